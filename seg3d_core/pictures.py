"""Pictures of clouds without a GPU or a display: shaded, depth-buffered point splats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, Int32, UInt8
from PIL import Image, ImageDraw, ImageFont
from scipy.spatial import cKDTree

from seg3d_core import picture_kernels as kernels
from seg3d_core.colours import GREY, instance_colours
from seg3d_core.data.atomic import atomic_path
from seg3d_core.errors import InputError
from seg3d_core.geometry.camera import Camera
from seg3d_core.picture_views import View, below_ceiling, choose_views, facing, view_camera
from seg3d_core.types import Cloud, Instances

SUPERSAMPLING = 2
"""Pictures are drawn this much larger and averaged down: smooth edges."""

EDGE_STRENGTH = 9.0
MAX_GAP_PX = 12
LIGHT_OVER_SHOULDER = np.array([-0.35, -0.65, -0.65])
"""Towards the light, in the optical frame: from above, left of and behind the camera."""

PANEL_WIDTH, PANEL_HEIGHT = 800, 600
CAPTION_PX = 34
SPACING_SAMPLES = 2000


def render_cloud(
    points: Float32[np.ndarray, "N 3"],
    rgb: Float32[np.ndarray, "N 3"],
    camera: Camera,
    T_world_camera: Float64[np.ndarray, "4 4"],
    point_size_m: float | None = None,
    normals: Float32[np.ndarray, "N 3"] | None = None,
) -> UInt8[np.ndarray, "H W 3"]:
    """Picture of a cloud on white.

    Args:
        points: metres.
        rgb: 0..1.
        camera: intrinsics of the picture; its lens distortion is not drawn.
        T_world_camera: optical camera frame to the frame of the points.
        point_size_m: diameter of a splat; None = so that neighbours just close the surface.
        normals: unit; shade the points when given. Depth edges are shaded always.

    Raises:
        InputError: ``point_size_m`` is not positive.
    """
    if point_size_m is not None and not point_size_m > 0:
        raise InputError(f"point_size_m is {point_size_m} m, must be greater than 0 m")
    size_m = closing_size_m(points) if point_size_m is None else point_size_m
    canvas = _Canvas(points, normals, View(camera, T_world_camera), size_m)
    return canvas.paint(rgb)


@dataclass(frozen=True, eq=False)
class Column:
    """One column of a comparison.

    Attributes:
        caption: over the column.
        ids: (N,) instance of each point, 0 = none; None shows true colours.
    """

    caption: str
    ids: Int32[np.ndarray, " N"] | None = None


def before_after(
    cloud: Cloud,
    instances: Instances,
    up: tuple[float | int, float | int, float | int] | Float64[np.ndarray, " 3"] = (0.0, 0.0, 1.0),
) -> UInt8[np.ndarray, "H W 3"]:
    """Two views, one below the other, each in true colour (left) and in instance colours (right).

    Args:
        cloud: what is shown; metres; normals towards the sensors let one look through near walls.
        instances: result on the same points; may be empty.
        up: direction away from the floor in the cloud's frame, any length.

    Raises:
        InputError: the instances belong to another cloud, or ``up`` has no direction.
    """
    if len(instances.cloud) != len(cloud):
        raise InputError(f"instances index {len(instances.cloud)} points but the cloud has {len(cloud)}")
    return side_by_side(cloud, [Column("colour"), Column(f"{len(instances)} instances", instances.point_ids)], up)


def side_by_side(
    cloud: Cloud,
    columns: Sequence[Column],
    up: tuple[float | int, float | int, float | int] | Float64[np.ndarray, " 3"] = (0.0, 0.0, 1.0),
) -> UInt8[np.ndarray, "H W 3"]:
    """Two views, one below the other, each in every column's colours; views are chosen for the last column.

    Args:
        cloud: what is shown; metres.
        columns: at least one; the last has ids.
        up: direction away from the floor in the cloud's frame, any length.

    Raises:
        InputError: a column belongs to another cloud, or ``up`` has no direction.
    """
    direction = np.asarray(up, np.float64)
    length = float(np.linalg.norm(direction))
    if not (np.isfinite(length) and length > 0):
        raise InputError(f"up is {tuple(direction.tolist())}, must be a finite direction")
    chosen = columns[-1].ids
    if chosen is None or any(column.ids is not None and len(column.ids) != len(cloud) for column in columns):
        raise InputError(f"the columns of a picture need {len(cloud)} ids each, the last one in any case")
    shown = np.flatnonzero(below_ceiling(cloud.points, direction / length))
    cloud = cloud.select(shown)
    true_rgb = cloud.rgb if cloud.rgb is not None else np.full(cloud.points.shape, GREY + 0.2, np.float32)
    paints = [true_rgb if column.ids is None else instance_colours(column.ids[shown]) for column in columns]
    size_m = closing_size_m(cloud.points)
    rows = []
    for view in _views(cloud, chosen[shown], direction / length):
        canvas = _Canvas(cloud.points, cloud.normals, view, size_m)
        rows.append(np.concatenate([canvas.paint(rgb) for rgb in paints], axis=1))
    return _captioned(np.concatenate(rows), [column.caption for column in columns])


def save_png(path: str | Path, image: UInt8[np.ndarray, "H W 3"]) -> None:
    """Write a picture; the folder is made where it is missing. The file appears complete or not at all.

    Raises:
        InputError: the folder or the file cannot be written.
    """
    folder = Path(path).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder}: {error.strerror or error}") from error
    with atomic_path(path) as temporary:
        Image.fromarray(image).save(temporary, format="PNG", optimize=True)


def closing_size_m(points: Float32[np.ndarray, "N 3"]) -> float:
    """Splat diameter that closes the gaps between neighbours: from the fourth nearest of some points."""
    if len(points) < 6:
        return 0.01
    queries = points[:: max(1, len(points) // SPACING_SAMPLES)]
    distance_m, _ = cKDTree(points).query(queries, k=5)
    return float(1.7 * np.median(distance_m[:, 4])) or 0.01


def _views(cloud: Cloud, ids: Int32[np.ndarray, " N"], up: Float64[np.ndarray, " 3"]) -> list[View]:
    camera = view_camera(PANEL_WIDTH, PANEL_HEIGHT)
    if len(cloud) == 0:
        return [View(camera, np.eye(4))] * 2
    return choose_views(cloud.points, cloud.normals, ids, up, camera)


class _Canvas:
    """The geometry of one picture, painted in as many colours as wanted."""

    def __init__(
        self,
        points: Float32[np.ndarray, "N 3"],
        normals: Float32[np.ndarray, "N 3"] | None,
        view: View,
        size_m: float,
    ) -> None:
        self._points, self._normals, self._view = points, normals, view
        self._rows = np.flatnonzero(facing(points, normals, view))
        self._nearest, self._owner = self._draw(size_m)
        self._shade = np.empty(self._nearest.shape, np.float32)
        kernels.edge_shade(self._nearest, SUPERSAMPLING, EDGE_STRENGTH, self._shade)

    def _draw(self, size_m: float) -> tuple[Float32[np.ndarray, "A B"], Int32[np.ndarray, "A B"]]:
        camera = self._view.camera
        T = np.linalg.inv(self._view.T_world_camera)
        local = self._points[self._rows] @ T[:3, :3].T + T[:3, 3]
        K = camera.K * SUPERSAMPLING
        depth_m = local[:, 2]
        safe = np.where(depth_m > 0, depth_m, 1.0)
        # The centre of a pixel of the small picture is the middle of its four drawn pixels.
        middle = K[:2, 2] + (SUPERSAMPLING - 1) / 2
        pixels = local[:, :2] / safe[:, None] * np.diag(K)[:2] + middle
        radius_px = np.maximum(K[0, 0] * size_m / 2 / safe, 1.0)
        shape = (camera.height * SUPERSAMPLING, camera.width * SUPERSAMPLING)
        nearest, owner = np.empty(shape, np.float32), np.empty(shape, np.int32)
        kernels.splat(pixels, depth_m, radius_px, size_m, nearest, owner)
        closed, closed_owner = np.empty_like(nearest), np.empty_like(owner)
        gap_px = min(MAX_GAP_PX, int(np.ceil(np.median(radius_px)))) if len(radius_px) else 1
        kernels.close_gaps(nearest, owner, gap_px, closed, closed_owner)
        return closed, closed_owner

    def paint(self, rgb: Float32[np.ndarray, "N 3"]) -> UInt8[np.ndarray, "H W 3"]:
        """The picture in these colours, one per point of the cloud."""
        shown = rgb[self._rows] * self._light()[:, None]
        colours = np.concatenate([shown, np.ones((1, 3), np.float32)])
        large = colours[self._owner] * self._shade[..., None]
        height, width = self._view.camera.height, self._view.camera.width
        blocks = large.reshape(height, SUPERSAMPLING, width, SUPERSAMPLING, 3)
        return np.asarray(np.round(blocks.mean(axis=(1, 3)).clip(0, 1) * 255), np.uint8)

    def _light(self) -> Float32[np.ndarray, " M"]:
        """Lambert's cosine with a generous ambient share; 1 without normals."""
        if self._normals is None:
            return np.ones(len(self._rows), np.float32)
        towards = self._view.T_world_camera[:3, :3] @ (LIGHT_OVER_SHOULDER / np.linalg.norm(LIGHT_OVER_SHOULDER))
        cosine = self._normals[self._rows] @ towards.astype(np.float32)
        return np.asarray(np.float32(0.72) + np.float32(0.36) * np.maximum(cosine, 0), np.float32)


def _captioned(image: UInt8[np.ndarray, "H W 3"], captions: list[str]) -> UInt8[np.ndarray, "H2 W 3"]:
    """The picture with a caption over each of its columns."""
    height, width = image.shape[:2]
    sheet = Image.new("RGB", (width, height + CAPTION_PX), "white")
    sheet.paste(Image.fromarray(image), (0, CAPTION_PX))
    draw = ImageDraw.Draw(sheet)
    for column, caption in enumerate(captions):
        place = (width * (column + 0.5) / len(captions), CAPTION_PX / 2)
        draw.text(place, caption, fill=(40, 40, 40), font=ImageFont.load_default(22), anchor="mm")
    return np.asarray(sheet)
