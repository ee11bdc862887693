"""Graph segmentation of 300,000 points, stage by stage, against numpy, scipy and plain Python doing the same work."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import plain_graph
import plain_region_merging
import pytest
from plain_association import PlainTracker
from scipy.spatial import cKDTree

from seg3d_core.baselines.graph import GraphSegmenter
from seg3d_core.baselines.region_merging import absorb_slivers, merge_regions
from seg3d_core.config import GraphConfig, TrackingConfig
from seg3d_core.geometry.normals import estimate_normals
from seg3d_core.geometry.superpoints import SurfaceGraph, partition, sample_superpoints, surface_graph
from seg3d_core.geometry.superpoints_kernels import bends, undirected_edges
from seg3d_core.geometry.surface import Surface, nearest_within, thin
from seg3d_core.threads import usable_cores
from seg3d_core.tracking.association import IdTracker
from seg3d_core.types import Cloud

POINTS = 300_000
VOXEL_M = 0.01
CONFIG = GraphConfig(voxel_size_m=VOXEL_M)
K = 2 * CONFIG.neighbours
RADIUS_M = CONFIG.max_edge_voxels * VOXEL_M


@pytest.fixture(scope="module")
def cloud() -> Cloud:
    """A wavy floor and plateaus above it, about two points per working voxel, in random order, seen from above."""
    rng = np.random.default_rng(0)
    x, y = rng.random((2, POINTS)) * 4.0
    z = 0.05 * np.sin(3 * x) + 0.2 * (np.sin(9 * x) * np.sin(9 * y) > 0.3) + rng.normal(0, 0.001, POINTS)
    rgb = 0.5 + 0.4 * np.sin(np.stack([x, y, x + y], 1)) + rng.normal(0, 0.02, (POINTS, 3))
    return Cloud(
        np.stack([x, y, z], 1).astype(np.float32),
        rgb=np.clip(rgb, 0, 1).astype(np.float32),
        viewpoint=np.array([2.0, 2.0, 30.0]),
    )


@pytest.fixture(scope="module")
def surface(cloud: Cloud) -> Surface:
    return thin(cloud, VOXEL_M)


@pytest.fixture(scope="module")
def graph(cloud: Cloud) -> SurfaceGraph:
    return surface_graph(cloud, CONFIG)


def numpy_thin(cloud: Cloud) -> np.ndarray:
    cells = np.floor(cloud.points / VOXEL_M).astype(np.int64)
    _, inverse, counts = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    columns = np.concatenate([cloud.points, cloud.rgb], axis=1).T
    return np.stack([np.bincount(inverse, column) / counts for column in columns], axis=1)


def numpy_normals(points: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    patches = points[np.column_stack([np.arange(len(points)), np.where(neighbours >= 0, neighbours, 0)])]
    present = np.column_stack([np.ones(len(points), bool), neighbours >= 0])[..., None]
    counts = present.sum(1)
    centred = (patches - ((patches * present).sum(1) / counts)[:, None]) * present
    return np.linalg.eigh(np.einsum("nki,nkj->nij", centred, centred) / counts[..., None])[1][:, :, 0]


def numpy_edges(points: np.ndarray, normals: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    a = np.repeat(np.arange(len(points)), neighbours.shape[1])
    b = neighbours.reshape(-1)
    a, b = a[b >= 0], b[b >= 0].astype(np.int64)
    a, b = np.divmod(np.unique(np.minimum(a, b) * len(points) + np.maximum(a, b)), len(points))
    bend = np.maximum(0, 1 - (normals[a] * normals[b]).sum(1))
    outward = ((normals[b] - normals[a]) * (points[b] - points[a])).sum(1) > 0
    return np.where(outward, CONFIG.convex_weight * bend, bend)


def python_partition(graph: SurfaceGraph) -> list[int]:
    parent = list(range(len(graph.surface)))
    size = [1] * len(parent)
    threshold = [CONFIG.k] * len(parent)

    def find(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    order = np.argsort(graph.weights, kind="stable")
    edges = list(zip(graph.a[order].tolist(), graph.b[order].tolist(), graph.weights[order].tolist(), strict=True))
    for a, b, weight in edges:
        x, y = find(a), find(b)
        if x != y and weight <= threshold[x] and weight <= threshold[y]:
            parent[y] = x
            size[x] += size[y]
            threshold[x] = weight + CONFIG.k / size[x]
    for a, b, _ in edges:
        x, y = find(a), find(b)
        if x != y and min(size[x], size[y]) < CONFIG.min_samples:
            parent[y] = x
            size[x] += size[y]
    return [find(i) for i in range(len(parent))]


def test_thinning(cloud: Cloud, compare: Callable[..., None]) -> None:
    compare(
        "thin 300k points to 1 cm voxels",
        lambda: thin(cloud, VOXEL_M),
        "numpy unique rows, bincount",
        lambda: numpy_thin(cloud),
        at_least=2,
        bound="reads 7.2 MB, sorts 2.4 MB of keys",
        rounds=5,
    )


def test_neighbours(surface: Surface, compare: Callable[..., None]) -> None:
    points = surface.points
    compare(
        f"{K} neighbours of {len(points) // 1000}k samples",
        lambda: nearest_within(points, K, RADIUS_M, 2.5 * VOXEL_M),
        "scipy cKDTree, as many threads",
        lambda: cKDTree(points, balanced_tree=False).query(
            points, K + 1, distance_upper_bound=RADIUS_M, workers=usable_cores()
        ),
        at_least=2,
        bound="about 60 distances per sample",
        rounds=5,
    )


def test_normals(surface: Surface, compare: Callable[..., None]) -> None:
    neighbours = nearest_within(surface.points, K, RADIUS_M, 2.5 * VOXEL_M)
    compare(
        "normals",
        lambda: estimate_normals(surface.points, neighbours),
        "numpy eigh in one batch",
        lambda: numpy_normals(surface.points, neighbours),
        at_least=4,
        bound="gathers 12 x 12 B per sample",
        rounds=5,
    )


def test_edges(graph: SurfaceGraph, compare: Callable[..., None]) -> None:
    points, normals = graph.surface.points, graph.normals
    near = nearest_within(points, CONFIG.neighbours, RADIUS_M, 2.5 * VOXEL_M)

    def ours() -> np.ndarray:
        a, b = undirected_edges(near)
        return bends(points, normals, a, b, CONFIG.convex_weight)

    compare(
        f"edges and weights ({len(graph.a) // 1000}k)",
        ours,
        "numpy unique pairs",
        lambda: numpy_edges(points, normals, near),
        at_least=4,
        bound="gathers 48 B per edge",
        rounds=5,
    )


def test_partition(graph: SurfaceGraph, compare: Callable[..., None]) -> None:
    compare(
        "Felzenszwalb partition",
        lambda: partition(graph, CONFIG.k, CONFIG.min_samples),
        "plain Python union-find",
        lambda: python_partition(graph),
        at_least=8,
        bound="two passes of random 8 B finds over all edges",
        rounds=3,
    )


def test_everything(cloud: Cloud, compare: Callable[..., None]) -> None:
    segmenter = GraphSegmenter(CONFIG)

    def peer() -> object:
        points = numpy_thin(cloud)[:, :3]
        found = cKDTree(points, balanced_tree=False).query(points, K + 1, distance_upper_bound=RADIUS_M)[1][:, 1:]
        neighbours = np.where(found < len(points), found, -1)
        normals = numpy_normals(points, neighbours)
        return numpy_edges(points, normals, neighbours[:, : CONFIG.neighbours])

    compare(
        "whole segmentation of 300k points",
        lambda: segmenter.segment(cloud),
        "numpy and scipy, up to the edges",
        peer,
        at_least=2,
        bound="sum of the stages",
        rounds=3,
    )


def test_merging(graph: SurfaceGraph, compare: Callable[..., None]) -> None:
    patches = sample_superpoints(graph, CONFIG)
    ours, plain = (
        lambda merge=merge, absorb=absorb: absorb(graph, merge(graph, patches, CONFIG.max_border_bend))
        for merge, absorb in (
            (merge_regions, absorb_slivers),
            (plain_region_merging.merge_regions, plain_region_merging.absorb_slivers),
        )
    )
    compare(
        f"objects of {int(patches.max()) + 1} patches",
        ours,
        "plain Python with heapq",
        plain,
        at_least=2,
        bound="reads 12 B per edge twice",
        rounds=3,
        clock=time.process_time,
    )


def test_from_the_graph_on(cloud: Cloud, graph: SurfaceGraph, compare: Callable[..., None]) -> None:
    segmenter = GraphSegmenter(CONFIG)
    compare(
        "whole segmentation of 300k points",
        lambda: segmenter.segment(cloud),
        "plain merging and colours alone, graph given",
        lambda: plain_graph.objects_of(graph, CONFIG),
        bound="sum of the stages",
        rounds=3,
        clock=time.process_time,
    )


def test_tracking(cloud: Cloud, compare: Callable[..., None]) -> None:
    instances = GraphSegmenter(CONFIG).segment(cloud)
    tracker, plain = IdTracker(TrackingConfig()), PlainTracker(TrackingConfig())
    tracker.update(instances), plain.update(instances)
    compare(
        f"ids of {len(instances)} instances",
        lambda: tracker.update(instances),
        "masks, np.unique, one look-up per track",
        lambda: plain.update(instances),
        at_least=1.5,
        bound="sorts 2.4 MB of keys",
        rounds=5,
        clock=time.process_time,
    )
