"""The camera's frames beside the cloud: which one shows a place, and what of it is of an object."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Float64, Int64, UInt8

from seg3d_core.browser.colouring import true_colours
from seg3d_core.data.scenes import SceneFolder
from seg3d_core.geometry.camera import Camera
from seg3d_core.geometry.transforms import apply, invert
from seg3d_core.relabel.web.frame_view_kernels import number_by_pixel, paint_pixels, rows_in_view
from seg3d_core.relabel.web.seen import Seen
from seg3d_core.types import Cloud, RgbdFrame

_TOLERANCE = 0.02
"""A point is seen where the depth image has its depth but for this share, and no less than the same in metres."""

_TINT = np.float32(0.65)

_NEAREST_M = 0.05
"""What is nearer to the camera, or behind it, is not seen."""

_MARGIN = 0.05
"""Of (x/z, y/z) around a picture: points whose middle is not in it reach into it."""

_KEPT = 8
"""Frames that are kept as they were last shown: people go to and fro between neighbours."""


@dataclass(frozen=True, eq=False)
class _View:
    """A frame, and the points in view of it.

    Attributes:
        frame: as it was taken.
        picture: its colours, 0..255.
        places: of the points in view, among those that are drawn.
        pixels: (column, row) of each.
        depths_m: of each.
        radius: of each, pixels.
    """

    frame: RgbdFrame
    picture: UInt8[np.ndarray, "H W 3"]
    places: Int64[np.ndarray, " V"]
    pixels: Int64[np.ndarray, "V 2"]
    depths_m: Float32[np.ndarray, " V"]
    radius: int


class FrameViews:
    """Frames of a scene; none, where it was made of a cloud file.

    Args:
        scene: whose frames are read when they are needed.
        cloud: the points that are drawn into them: an even subset will do.
        spacing_m: between neighbouring points of it: so large is a point.
    """

    def __init__(self, scene: SceneFolder, cloud: Cloud, spacing_m: float) -> None:
        self._scene, self._cloud, self._spacing_m = scene, cloud, spacing_m
        self._views: OrderedDict[int, _View] = OrderedDict()
        self._sequence = scene.sequence if scene.frame_count else None
        self._poses = [] if self._sequence is None else [frame.T_world_camera for frame in self._sequence.frames]

    def __len__(self) -> int:
        return len(self._poses)

    def pose(self, index: int) -> Float64[np.ndarray, "4 4"]:
        """``T_world_camera`` of a frame."""
        return self._poses[index]

    def frame(self, index: int) -> RgbdFrame:
        """A frame; the last ones are kept.

        Raises:
            InputError: an image is missing or damaged.
        """
        return self._view(index).frame

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

    def picture(self, index: int, seen: Seen) -> UInt8[np.ndarray, "H W 3"]:
        """A frame with the object in progress, and in instance colours all instances, projected into it.

        Args:
            index: of the frame.
            seen: of the points that are drawn.

        Raises:
            InputError: an image is missing or damaged.
        """
        view = self._view(index)
        here = replace(seen.at(view.places), picked=())
        drawn = here.selected | (here.ids > 0) if seen.colours == "instances" else here.selected
        drawn_places = np.flatnonzero(drawn)
        numbers = number_by_pixel(view.pixels, view.depths_m, drawn_places, view.frame.depth_m, view.radius, _TOLERANCE)
        picture: UInt8[np.ndarray, "H W 3"] = view.picture.copy()
        paint_pixels(picture, numbers, here.rgb(true_colours(self._cloud)[view.places]), _TINT)
        return picture

    def _view(self, index: int) -> _View:
        """A frame as it is shown; the last ones are kept."""
        if index not in self._views:
            self._views[index] = self._made(self._scene.frame(index))
        self._views.move_to_end(index)
        while len(self._views) > _KEPT:
            self._views.popitem(last=False)
        return self._views[index]

    def _made(self, frame: RgbdFrame) -> _View:
        assert frame.T_world_camera is not None, "frames of scenes have poses"
        camera, T_camera_world, points = frame.camera, invert(frame.T_world_camera), self._cloud.points
        places = rows_in_view(points, T_camera_world, *_borders(camera), _NEAREST_M)
        local = apply(T_camera_world, points[places])
        middle_m = float(np.median(local[:, 2])) if len(local) else 1.0
        rgb = np.full((*frame.depth_m.shape, 3), 0.5, np.float32) if frame.rgb is None else frame.rgb
        return _View(
            frame,
            np.rint(rgb * 255).clip(0, 255).astype(np.uint8),
            places,
            np.rint(camera.project(local)).astype(np.int64),
            local[:, 2],
            int(np.ceil(camera.K[0, 0] * self._spacing_m / 2 / middle_m)),
        )


def _borders(camera: Camera) -> tuple[Float64[np.ndarray, "2"], Float64[np.ndarray, "2"]]:
    """The least and the largest (x/z, y/z) that a picture shows, and a little more."""
    u, v = np.meshgrid([-1, camera.width / 2, camera.width], [-1, camera.height / 2, camera.height])
    places = camera.undistorted(np.stack([u.ravel(), v.ravel()], axis=1))
    return np.nanmin(places, axis=0) - _MARGIN, np.nanmax(places, axis=0) + _MARGIN
