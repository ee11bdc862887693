"""rosbag2 recordings of an RGB-D camera: images from their topics, poses from tf."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64
from PIL import Image

from seg3d_core.data.bag_poses import camera_transforms
from seg3d_core.data.bags import BagReader
from seg3d_core.data.scenes.alignment import is_one_view, offset_px, register_depth
from seg3d_core.data.scenes.bag_images import decode_camera, decode_depth_m, decode_rgb, header_of
from seg3d_core.data.scenes.bag_topics import BagTopicsConfig, choose_topics
from seg3d_core.data.scenes.cloud import SceneCloud
from seg3d_core.data.scenes.recordings import Z_UP, RecordedFrame, UpFrom
from seg3d_core.data.transform_tree import TransformTree
from seg3d_core.data.tum_sequences import MAX_PAIR_GAP_NS, pair
from seg3d_core.errors import InputError
from seg3d_core.geometry.camera import Camera
from seg3d_core.geometry.rectification import rectify
from seg3d_core.types import RgbdFrame

FIXED_FRAMES = ("map", "odom", "world")


@dataclass(frozen=True)
class _Stamped:
    """Where an image message is: the time it was recorded at, and what its header says."""

    recorded_ns: int
    stamp_ns: int
    frame_id: str


@dataclass(frozen=True, eq=False)
class _Pair:
    """A depth image, its colour image, and where the colour camera stood."""

    depth: _Stamped
    colour: _Stamped
    T_world_camera: Float64[np.ndarray, "4 4"]


class BagRecording:
    """One camera of a recording. Frames have the colour camera's viewpoint and the depth images' size, rectified.

    Raises:
        InputError: unreadable, no such topics, no camera_info, no transforms, or no frame with a pose.
    """

    layout = "rosbag2"
    up = Z_UP
    up_from: UpFrom = "convention"

    def __init__(self, path: Path, config: BagTopicsConfig) -> None:
        self._path = path
        self.name = path.resolve().stem
        with BagReader(path) as reader:
            self._topics = choose_topics(reader.topics(), config, str(path))
            depth, colour = (self._stamps(reader, topic) for topic in (self._topics.depth, self._topics.colour))
            self._depth_camera, self._colour_camera = (
                self._camera(reader, topic) for topic in (self._topics.depth_info, self._topics.colour_info)
            )
        tree = camera_transforms(path, colour[0].frame_id, config.pose_topic)
        fixed = _fixed_frame(tree, config.fixed_frame, colour[0].frame_id)
        self._T_colour_depth = _between(tree, colour[0], depth[0])
        if self._T_colour_depth is None and not is_one_view(self._depth_camera, self._colour_camera):
            off = offset_px(self._depth_camera, self._colour_camera)
            raise InputError(
                f"{path}: depth and colour are both in frame {depth[0].frame_id} but their intrinsics move a corner "
                f"by {off:.0f} px: choose the depth topic that belongs to {self._topics.colour}"
            )
        self._pairs, left_out = _paired(depth, colour, tree, fixed)
        if not self._pairs:
            raise InputError(
                f"{path}: none of {len(depth)} depth images can be used, the first because: {left_out[0][1]}"
            )
        self.frames = tuple(str(one.depth.stamp_ns) for one in self._pairs)
        self.left_out = tuple(left_out)

    def depth_frame(self, index: int) -> RgbdFrame:
        """Depth and pose of a frame, registered to colour."""
        frame = self._aligned(index, None)
        return replace(frame, rgb=None)

    def read(self, index: int) -> RecordedFrame:
        """The whole frame."""
        colour = self._topics.colour
        rgb = decode_rgb(self._message(colour, self._pairs[index].colour), self._topics.types[colour])
        return RecordedFrame(self._aligned(index, rgb))

    def recorded_ns(self, index: int) -> int:
        """When the depth image of a frame was recorded, ns."""
        return self._pairs[index].depth.recorded_ns

    def scan(self) -> SceneCloud | None:
        """Recordings of a camera hold none."""
        return None

    def _aligned(self, index: int, rgb: np.ndarray | None) -> RgbdFrame:
        one, depth, colour = self._pairs[index], self._depth_camera, self._colour_camera
        depth_m = decode_depth_m(self._message(self._topics.depth, one.depth), self._topics.types[self._topics.depth])
        camera = colour.resized(depth.width, depth.height)
        if rgb is not None:
            rgb = _resized(rgb, colour, camera)
        if self._T_colour_depth is None:
            return rectify(RgbdFrame(depth_m, camera, rgb, one.T_world_camera, "map", one.depth.stamp_ns))
        blank = RgbdFrame(np.zeros_like(depth_m), camera, rgb, one.T_world_camera, "map", one.depth.stamp_ns)
        flat = rectify(blank)
        return replace(flat, depth_m=register_depth(depth_m, depth, flat.camera, self._T_colour_depth))

    def _stamps(self, reader: BagReader, topic: str) -> list[_Stamped]:
        found = []
        for message in reader.messages([topic]):
            stamp_ns, frame_id = header_of(message.data)
            found.append(_Stamped(message.stamp_ns, stamp_ns, frame_id))
        if not found:
            raise InputError(f"{self._path}: topic {topic} has no message")
        return sorted(found, key=lambda one: one.stamp_ns)

    def _camera(self, reader: BagReader, topic: str) -> Camera:
        for message in reader.messages([topic]):
            return decode_camera(message.data)
        raise InputError(f"{self._path}: topic {topic} has no message, so that the intrinsics are not known")

    def _message(self, topic: str, where: _Stamped) -> bytes:
        with BagReader(self._path) as reader:
            for message in reader.messages([topic], where.recorded_ns, where.recorded_ns + 1):
                if header_of(message.data)[0] == where.stamp_ns:
                    return message.data
        raise InputError(f"{self._path}: {topic} at {where.stamp_ns} ns is gone")


def _resized(rgb: np.ndarray, colour: Camera, camera: Camera) -> np.ndarray:
    """The colour image at the size of ``camera``."""
    if rgb.shape[:2] != (colour.height, colour.width):
        raise InputError(
            f"colour image is {rgb.shape[1]}x{rgb.shape[0]} px, its camera_info says {colour.width}x{colour.height} px"
        )
    if rgb.shape[:2] == (camera.height, camera.width):
        return rgb
    image = Image.fromarray(np.rint(rgb * 255).astype(np.uint8))
    small = image.resize((camera.width, camera.height), Image.Resampling.BOX)
    return np.asarray(small, np.float32) / np.float32(255)


def _fixed_frame(tree: TransformTree, asked: str, camera: str) -> str:
    """The frame that poses are taken in: as asked, or the first usual one that the camera is connected to."""
    if asked:
        tree.chain(asked, camera)
        return asked
    for name in FIXED_FRAMES:
        if name in tree.frames:
            tree.chain(name, camera)
            return name
    raise InputError(
        f"none of {', '.join(FIXED_FRAMES)} is among the recorded frames; name one with --set bag.fixed_frame=NAME: "
        f"{', '.join(tree.frames[:12])}"
    )


def _between(tree: TransformTree, colour: _Stamped, depth: _Stamped) -> Float64[np.ndarray, "4 4"] | None:
    """Depth camera to colour camera; None if both images are in one frame."""
    if colour.frame_id.lstrip("/") == depth.frame_id.lstrip("/"):
        return None
    return tree.lookup(colour.frame_id, depth.frame_id, depth.stamp_ns)


def _paired(
    depth: list[_Stamped], colour: list[_Stamped], tree: TransformTree, fixed: str
) -> tuple[list[_Pair], list[tuple[str, str]]]:
    """Frames in the order of time, and depth images that have no colour or pose, with the reason."""
    depth_ns, colour_ns = (np.array([one.stamp_ns for one in images], np.int64) for images in (depth, colour))
    partners = dict(pair(depth_ns, colour_ns, MAX_PAIR_GAP_NS))
    pairs: list[_Pair] = []
    left_out = []
    for i, one in enumerate(depth):
        if i not in partners:
            left_out.append((str(one.stamp_ns), f"no colour image within {MAX_PAIR_GAP_NS / 1e6:g} ms"))
            continue
        try:
            partner = colour[partners[i]]
            pairs.append(_Pair(one, partner, tree.lookup(fixed, partner.frame_id, one.stamp_ns)))
        except InputError as error:
            left_out.append((str(one.stamp_ns), f"no pose: {error}"))
    return pairs, left_out
