"""The camera's frames beside the cloud: which one shows a place, and what of it is of an object."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, Int64, UInt8

from seg3d_core.browser.colouring import Colours, point_colours, true_colours
from seg3d_core.data.scenes import SceneFolder
from seg3d_core.geometry.camera import Camera
from seg3d_core.geometry.transforms import apply, invert
from seg3d_core.relabel.web.frame_view_kernels import number_by_pixel, rows_in_view
from seg3d_core.types import Cloud, RgbdFrame

_TOLERANCE = 0.02
"""A point is seen where the depth image has its depth but for this share, and no less than the same in metres."""

_TINT = 0.65

_NEAREST_M = 0.05
"""What is nearer to the camera, or behind it, is not seen."""

_MARGIN = 0.05
"""Of (x/z, y/z) around a picture: points whose middle is not in it reach into it."""


class FrameViews:
    """Frames of a scene; none, where it was made of a cloud file.

    Args:
        scene: whose frames are read when they are needed.
    """

    def __init__(self, scene: SceneFolder) -> None:
        self._scene = scene
        self._last: tuple[int, RgbdFrame] | None = None
        self._sequence = scene.sequence if scene.frame_count else None
        self._poses = [] if self._sequence is None else [frame.T_world_camera for frame in self._sequence.frames]

    def __len__(self) -> int:
        return len(self._poses)

    def pose(self, index: int) -> Float64[np.ndarray, "4 4"]:
        """``T_world_camera`` of a frame."""
        return self._poses[index]

    def frame(self, index: int) -> RgbdFrame:
        """A frame; the last one is kept.

        Raises:
            InputError: an image is missing or damaged.
        """
        if self._last is None or self._last[0] != index:
            self._last = index, self._scene.frame(index)
        return self._last[1]

    def best_for(self, point: Float64[np.ndarray, "3"]) -> int | None:
        """The frame in whose picture a place (m) is most central and near, hidden or not; None if it is in none."""
        if self._sequence is None:
            return None
        camera = self._sequence.camera
        half = np.array([camera.width, camera.height]) / 2
        best, best_score = None, np.inf
        for index, T in enumerate(self._poses):
            local = invert(T)[:3] @ np.append(point, 1.0)
            if local[2] <= 0.1:
                continue
            off = np.abs(camera.project(local[None])[0] - half) / half
            score = float(np.max(off)) + 0.3 * float(local[2])
            if np.max(off) < 1 and score < best_score:
                best, best_score = index, score
        return best

    def picture(
        self,
        index: int,
        cloud: Cloud,
        rows: Int64[np.ndarray, " R"],
        instance_ids: Int32[np.ndarray, " N"],
        selected: Bool[np.ndarray, " N"] | None,
        colours: Colours,
        spacing_m: float,
    ) -> UInt8[np.ndarray, "H W 3"]:
        """A frame with the object in progress, and in instance colours all instances, projected into it.

        Args:
            index: of the frame.
            cloud: of the scene.
            rows: of the points that are drawn: an even subset will do.
            instance_ids: 0 = none.
            selected: the object in progress; None where there is none.
            colours: "true": only the object in progress is shown.
            spacing_m: between neighbouring points of ``rows``: so large is a point.

        Raises:
            InputError: an image is missing or damaged.
        """
        frame = self.frame(index)
        base = np.full((*frame.depth_m.shape, 3), 0.5, np.float32) if frame.rgb is None else frame.rgb
        shown = np.zeros(len(rows), np.bool_) if selected is None else selected[rows]
        if colours == "instances":
            shown |= instance_ids[rows] > 0
        pixels, seen = _seen(frame, cloud.points, rows[shown], spacing_m)
        distinct, of_pixel = np.unique(seen, return_inverse=True)
        chosen = None if selected is None else selected[distinct]
        tint = point_colours(true_colours(cloud.select(distinct)), instance_ids[distinct], chosen, (), colours)
        picture: UInt8[np.ndarray, "H W 3"] = np.rint(base * 255).clip(0, 255).astype(np.uint8)
        picture[pixels] = np.rint((1 - _TINT) * picture[pixels] + _TINT * tint[of_pixel]).astype(np.uint8)
        return picture


def _seen(
    frame: RgbdFrame, points: Float32[np.ndarray, "N 3"], rows: Int64[np.ndarray, " R"], spacing_m: float
) -> tuple[Bool[np.ndarray, "H W"], Int64[np.ndarray, " P"]]:
    """The pixels in which a frame sees points, each a square of its size, and the row of the point in each of them."""
    assert frame.T_world_camera is not None, "frames of scenes have poses"
    camera, T_camera_world = frame.camera, invert(frame.T_world_camera)
    low, high = _borders(camera)
    rows = rows_in_view(points, rows, T_camera_world, low, high, _NEAREST_M)
    if not len(rows):
        return np.zeros(frame.depth_m.shape, np.bool_), rows
    local = apply(T_camera_world, points[rows])
    radius = int(np.ceil(camera.K[0, 0] * spacing_m / 2 / float(np.median(local[:, 2]))))
    pixels = np.rint(camera.project(local)).astype(np.int64)
    numbers = number_by_pixel(pixels, local[:, 2], frame.depth_m, radius, _TOLERANCE)
    covered: Bool[np.ndarray, "H W"] = numbers >= 0
    return covered, rows[numbers[covered]]


def _borders(camera: Camera) -> tuple[Float64[np.ndarray, "2"], Float64[np.ndarray, "2"]]:
    """The least and the largest (x/z, y/z) that a picture shows, and a little more."""
    u, v = np.meshgrid([-1, camera.width / 2, camera.width], [-1, camera.height / 2, camera.height])
    places = camera.undistorted(np.stack([u.ravel(), v.ravel()], axis=1))
    return np.nanmin(places, axis=0) - _MARGIN, np.nanmax(places, axis=0) + _MARGIN
