"""Over-segmentation into surface patches: Felzenszwalb & Huttenlocher 2004 on surface normals.

Meshes follow the rule of the ScanNet Segmentator, so that its segments can be reproduced. Clouds have no faces: their
graph joins spatial neighbours, and an edge weighs the bend between its normals, an outward (convex) bend less than an
inward one, because objects are mostly convex and touch what they stand on in a concave crease (Stein et al. 2014).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int32

from seg3d_core.config import GraphConfig
from seg3d_core.errors import InputError
from seg3d_core.geometry.normals import estimate_normals, is_seen_from, passes_against_noise, toward
from seg3d_core.geometry.normals_kernels import smooth
from seg3d_core.geometry.orientation import upward
from seg3d_core.geometry.superpoints_kernels import (
    bends,
    dense_labels,
    face_normal_means,
    felzenszwalb,
    mesh_edges,
    undirected_edges,
)
from seg3d_core.geometry.surface import Surface, nearest_within, point_spacing, thin
from seg3d_core.types import Cloud

_FINEST_VOXEL_M, _COARSEST_VOXEL_M = 0.006, 0.02
_CELL_VOXELS = 2.5


@dataclass(frozen=True, eq=False)
class SurfaceGraph:
    """Samples of a cloud and the weighted edges between neighbouring ones.

    Attributes:
        surface: the samples.
        normals: (S, 3) unit, smoothed over neighbours; zero where undefined.
        a, b: (E,) ends of each edge, a < b, every pair once.
        weights: (E,) bend between the ends' normals, 0..2.
    """

    surface: Surface
    normals: Float32[np.ndarray, "S 3"]
    a: Int32[np.ndarray, " E"]
    b: Int32[np.ndarray, " E"]
    weights: Float32[np.ndarray, " E"]


def mesh_superpoints(
    vertices: Float32[np.ndarray, "N 3"], triangles: Int32[np.ndarray, "T 3"], k: float = 0.01, min_vertices: int = 20
) -> Int32[np.ndarray, " N"]:
    """Superpoint of each vertex, dense from 0 in order of first appearance, by the ScanNet Segmentator's rule.

    Vertex normals are the mean of the unit normals of their faces; an edge weighs 1 - n1.n2, squared where it bends
    outward; patches below ``min_vertices`` are absorbed along the lightest edges. Equal weights keep the faces' order.

    Raises:
        InputError: a triangle names a vertex that is not there.
    """
    if len(triangles) and (triangles.min() < 0 or triangles.max() >= len(vertices)):
        raise InputError(
            f"triangles name vertices {triangles.min()} to {triangles.max()}, the mesh has {len(vertices)}"
        )
    a, b, weights = mesh_edges(vertices, face_normal_means(vertices, triangles), triangles)
    order = np.argsort(weights, kind="stable")
    labels: Int32[np.ndarray, " N"] = dense_labels(felzenszwalb(len(vertices), a, b, weights, order, k, min_vertices))
    return labels


def cloud_superpoints(cloud: Cloud, config: GraphConfig) -> Int32[np.ndarray, " N"]:
    """Superpoint of each point, dense from 0.

    Raises:
        InputError: as ``surface_graph``.
    """
    graph = surface_graph(cloud, config)
    labels: Int32[np.ndarray, " N"] = sample_superpoints(graph, config)[graph.surface.point_to_sample]
    return labels


def sample_superpoints(graph: SurfaceGraph, config: GraphConfig) -> Int32[np.ndarray, " S"]:
    """Superpoint of each sample of the graph, dense from 0 in order of first appearance."""
    return partition(graph, config.k, config.min_samples)


def partition(graph: SurfaceGraph, k: float, min_samples: int) -> Int32[np.ndarray, " S"]:
    """Felzenszwalb & Huttenlocher's partition of any weighted graph, dense from 0 in order of first appearance."""
    # Weights are ordered in steps of 2^-15: a radix sort, 10 times faster than one of floats, ties by position.
    steps = np.minimum(graph.weights * np.float32(1 << 15), np.float32(65_535)).astype(np.uint16)
    order = np.argsort(steps, kind="stable")
    roots = felzenszwalb(len(graph.surface), graph.a, graph.b, graph.weights, order, k, min_samples)
    labels: Int32[np.ndarray, " S"] = dense_labels(roots)
    return labels


def surface_graph(cloud: Cloud, config: GraphConfig) -> SurfaceGraph:
    """Thin the cloud, find normals that point to the side that was seen, and weigh the bends between neighbours.

    The cloud's own normals are used when there; otherwise they are estimated and turned toward the cloud's viewpoint,
    or toward the frame's origin if a camera there can have seen every point (true of any cloud in its camera's
    frame), or, in a map seen from everywhere, so that what lies flat faces up (+z).

    Raises:
        InputError: fewer points than an edge list needs, or points out of reach of voxel numbers.
    """
    least = config.neighbours + 1
    if len(cloud) < least:
        raise InputError(f"cloud has {len(cloud)} points, graph segmentation needs at least {least}")
    surface = thin(cloud, working_voxel_m(cloud, config))
    voxel_m = surface.voxel_size_m
    # Normals that have to be fitted need a wider patch than the graph has edges.
    wanted = config.neighbours if surface.normals is not None else 2 * config.neighbours
    neighbours = nearest_within(surface.points, wanted, config.max_edge_voxels * voxel_m, _CELL_VOXELS * voxel_m)
    near = np.ascontiguousarray(neighbours[:, : config.neighbours])
    a, b = undirected_edges(near)
    normals = smooth(_seen_normals(surface, neighbours, a, b, cloud.viewpoint), near)
    weights = bends(surface.points, normals, a, b, config.convex_weight)
    return SurfaceGraph(surface, normals, a, b, weights)


def working_voxel_m(cloud: Cloud, config: GraphConfig) -> float:
    """The configured resolution (m), or the automatic one of this cloud."""
    if config.voxel_size_m > 0:
        return config.voxel_size_m
    spacing = point_spacing(cloud.points)
    return max(spacing, min(max(2 * spacing, _FINEST_VOXEL_M), _COARSEST_VOXEL_M))


def _seen_normals(
    surface: Surface,
    neighbours: Int32[np.ndarray, "S k"],
    a: Int32[np.ndarray, " E"],
    b: Int32[np.ndarray, " E"],
    viewpoint: Float64[np.ndarray, "3"] | None,
) -> Float32[np.ndarray, "S 3"]:
    """Normals of the samples on the side that was seen, as far as that can be found out."""
    if surface.normals is not None:
        return surface.normals
    if viewpoint is None and is_seen_from(surface.points, np.zeros(3), surface.voxel_size_m):
        viewpoint = np.zeros(3)
    if viewpoint is None:
        return upward(surface.points, estimate_normals(surface.points, neighbours), a, b)
    normals = estimate_normals(surface.points, neighbours, passes_against_noise(surface.points, viewpoint))
    return toward(normals, surface.points, viewpoint)
