"""The camera's frames beside the cloud: which one shows a place, and what of it is of an object."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, UInt8

from seg3d_core.browser.colouring import Colours, point_colours, true_colours
from seg3d_core.data.scenes import SceneFolder
from seg3d_core.geometry.transforms import apply, invert
from seg3d_core.types import Cloud, RgbdFrame

_TOLERANCE = 0.02
"""A point is seen where the depth image has its depth but for this share, and no less than the same in metres."""

_TINT = 0.65


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
        instance_ids: Int32[np.ndarray, " N"],
        selected: Bool[np.ndarray, " N"] | None,
        colours: Colours,
        spacing_m: float,
    ) -> UInt8[np.ndarray, "H W 3"]:
        """A frame with the object in progress, and in instance colours all instances, projected into it.

        Args:
            index: of the frame.
            cloud: of the scene.
            instance_ids: 0 = none.
            selected: the object in progress; None where there is none.
            colours: "true": only the object in progress is shown.
            spacing_m: between neighbouring points of the cloud: so large is a point.

        Raises:
            InputError: an image is missing or damaged.
        """
        frame = self.frame(index)
        base = np.full((*frame.depth_m.shape, 3), 0.5, np.float32) if frame.rgb is None else frame.rgb
        shown = np.zeros(len(cloud), np.bool_) if selected is None else selected.copy()
        if colours == "instances":
            shown |= instance_ids > 0
        rows = np.flatnonzero(shown)
        part = cloud.select(rows)
        rgb = point_colours(
            true_colours(part), instance_ids[rows], None if selected is None else selected[rows], (), colours
        )
        tint = _splat(frame, part.points, rgb, spacing_m)
        covered = tint.any(axis=-1, keepdims=True)
        mixed = np.where(covered, (1 - _TINT) * base * 255 + _TINT * tint, base * 255)
        picture: UInt8[np.ndarray, "H W 3"] = np.rint(mixed).clip(0, 255).astype(np.uint8)
        return picture


def _splat(
    frame: RgbdFrame, points: Float32[np.ndarray, "M 3"], rgb: UInt8[np.ndarray, "M 3"], spacing_m: float
) -> UInt8[np.ndarray, "H W 3"]:
    """Colours of the points that the frame sees, each as a square of its size; black where there are none."""
    assert frame.T_world_camera is not None, "frames of scenes have poses"
    height, width = frame.depth_m.shape
    local = apply(invert(frame.T_world_camera), points)
    image = np.zeros((height, width, 3), np.uint8)
    ahead = local[:, 2] > 0.05
    local, rgb = local[ahead], rgb[ahead]
    if not len(local):
        return image
    pixels = np.rint(frame.camera.project(local)).astype(np.int64)
    radius = int(np.ceil(frame.camera.K[0, 0] * spacing_m / 2 / float(np.median(local[:, 2]))))
    for down in range(-radius, radius + 1):
        for across in range(-radius, radius + 1):
            u, v = pixels[:, 0] + across, pixels[:, 1] + down
            inside = np.flatnonzero((u >= 0) & (u < width) & (v >= 0) & (v < height))
            depth = frame.depth_m[v[inside], u[inside]]
            tolerance = np.maximum(_TOLERANCE * local[inside, 2], _TOLERANCE)
            seen = inside[np.abs(depth - local[inside, 2]) <= tolerance]
            image[v[seen], u[seen]] = np.maximum(rgb[seen], 1)
    return image
