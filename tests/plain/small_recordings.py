"""A small analytic room, recorded in every layout that can be imported."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from rosbags.typesys import Stores, get_typestore

from seg3d_core.data.bags import BagWriter
from seg3d_core.data.rooms.walk import looking_at
from seg3d_core.data.scenes.writer import matrix_text
from seg3d_core.geometry.camera import Camera
from seg3d_core.geometry.transforms import invert, to_quaternion
from seg3d_core.types import RgbdFrame

CAMERA = Camera(80, 60, np.array([[70.0, 0, 39.5], [0, 70.0, 29.5], [0, 0, 1]]))
FRAMES = 8
ROOM = (np.array([-2.0, -1.6, 0.0]), np.array([2.0, 1.6, 2.4]))
BOXES = (
    (np.array([1.2, -0.5, 0.0]), np.array([1.8, 0.4, 0.8])),
    (np.array([-0.4, 0.9, 0.0]), np.array([0.5, 1.5, 1.1])),
)
STORE = get_typestore(Stores.ROS2_JAZZY)


def poses() -> list[np.ndarray]:
    turns = np.linspace(-0.6, 1.6, FRAMES)
    eyes = np.stack([-0.9 * np.cos(turns), -0.7 * np.sin(turns), np.full(FRAMES, 1.4)], axis=1)
    targets = np.stack([1.5 * np.cos(turns), 1.5 * np.sin(turns), np.full(FRAMES, 0.4)], axis=1)
    return [looking_at(eye, target) for eye, target in zip(eyes, targets, strict=True)]


def frame(T_world_camera: np.ndarray, number: int = 0, camera: Camera = CAMERA) -> RgbdFrame:
    """Slab test of every pixel's ray against the room (from inside) and the boxes (from outside)."""
    rays = camera.rays().astype(np.float64).reshape(-1, 3) @ T_world_camera[:3, :3].T
    rays[np.abs(rays) < 1e-9] = 1e-9
    origin = T_world_camera[:3, 3]
    crossings = [np.sort((np.stack(box)[:, None] - origin) / rays, axis=0) for box in (ROOM, *BOXES)]
    depth = crossings[0][1].min(axis=1)
    for near, far in crossings[1:]:
        entry = near.max(axis=1)
        hit = (entry < far.min(axis=1)) & (entry > 0)
        depth = np.where(hit, np.minimum(depth, entry), depth)
    points = origin + rays * depth[:, None]
    rgb = (np.floor(points * 4) % 5 / 5).astype(np.float32).reshape(camera.height, camera.width, 3)
    depth_m = depth.astype(np.float32).reshape(camera.height, camera.width)
    return RgbdFrame(depth_m, camera, rgb, T_world_camera, "map", number * 10**8)


def save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def colour(one: RgbdFrame) -> np.ndarray:
    return np.rint(one.rgb * 255).astype(np.uint8)


def steps(one: RgbdFrame, units_per_m: float = 1000) -> np.ndarray:
    return np.rint(one.depth_m * units_per_m).astype(np.uint16)


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def plain(folder: Path, frames: list[RgbdFrame]) -> Path:
    for number, one in enumerate(frames):
        save(folder / f"color/{number}.png", colour(one))
        save(folder / f"depth/{number}.png", steps(one))
        write_text(folder / f"pose/{number}.txt", matrix_text(one.T_world_camera))
    write_text(folder / "intrinsics.txt", matrix_text(CAMERA.K))
    write_text(folder / "gravity_direction.txt", "0 0 -1")
    return folder


def scannet(folder: Path, frames: list[RgbdFrame]) -> Path:
    plain(folder, frames)
    for name in ("color", "depth"):
        write_text(folder / f"intrinsic/intrinsic_{name}.txt", matrix_text(CAMERA.K))
    return folder


def sens(folder: Path, frames: list[RgbdFrame]) -> Path:
    """Colour twice as large as depth, which is what the format has two sets of intrinsics for."""
    K4, large = np.eye(4, dtype="<f4"), CAMERA.resized(160, 120)
    data = struct.pack("<IQ", 4, 3) + b"cam"
    for K in (large.K, None, CAMERA.K, None):
        matrix = K4.copy()
        if K is not None:
            matrix[:3, :3] = K
        data += matrix.tobytes()
    data += struct.pack("<iiIIIIfQ", 1, 1, 160, 120, 80, 60, 1000.0, len(frames))
    for number, one in enumerate(frames):
        png = io.BytesIO()
        Image.fromarray(colour(one)).resize((160, 120)).save(png, "png")
        depth = zlib.compress(steps(one).astype("<u2").tobytes())
        data += one.T_world_camera.astype("<f4").tobytes()
        data += struct.pack("<4Q", number * 10**5, number * 10**5, len(png.getvalue()), len(depth))
        data += png.getvalue() + depth
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "walk.sens").write_bytes(data)
    return folder / "walk.sens"


def scannetpp(folder: Path, frames: list[RgbdFrame]) -> Path:
    """The focal length breathes by 2 %; images are rendered accordingly."""
    records = {}
    for number, one in enumerate(frames):
        K = CAMERA.K.copy()
        K[0, 0] = K[1, 1] = 70.0 * (1 + 0.02 * np.sin(number))
        seen = frame(one.T_world_camera, number, Camera(80, 60, K))
        name = f"frame_{number:06}"
        save(folder / f"iphone/rgb/{name}.jpg", np.asarray(Image.fromarray(colour(seen)).resize((160, 120))))
        save(folder / f"iphone/depth/{name}.png", steps(seen))
        K_large = Camera(80, 60, K).resized(160, 120).K
        records[name] = {"aligned_pose": one.T_world_camera.tolist(), "intrinsic": K_large.tolist()}
    records["frame_000099"] = records["frame_000000"]
    write_text(folder / "iphone/pose_intrinsic_imu.json", json.dumps(records))
    return folder


def tum(folder: Path, frames: list[RgbdFrame]) -> Path:
    lists: dict[str, list[str]] = {"rgb": [], "depth": [], "groundtruth": []}
    for number, one in enumerate(frames):
        save(folder / f"rgb/{number}.png", colour(one))
        save(folder / f"depth/{number}.png", steps(one, 5000))
        stamp = f"{number / 10:.3f}"
        lists["rgb"].append(f"{stamp} rgb/{number}.png")
        lists["depth"].append(f"{stamp} depth/{number}.png")
        lists["groundtruth"].append(
            " ".join([stamp, *(f"{x:.9f}" for x in np.concatenate(to_quaternion(one.T_world_camera)))])
        )
    for name, lines in lists.items():
        write_text(folder / f"{name}.txt", "\n".join(lines))
    write_text(folder / "intrinsics.txt", matrix_text(CAMERA.K))
    return folder


def replica(folder: Path, frames: list[RgbdFrame]) -> Path:
    for number, one in enumerate(frames):
        save(folder / f"results/frame{number:06}.jpg", colour(one))
        save(folder / f"results/depth{number:06}.png", steps(one, 6553.5))
    write_text(folder / "traj.txt", "\n".join(matrix_text(one.T_world_camera).replace("\n", " ") for one in frames))
    camera = {"w": 80, "h": 60, "fx": 70.0, "fy": 70.0, "cx": 39.5, "cy": 29.5, "scale": 6553.5}
    write_text(folder.parent / "cam_params.json", json.dumps({"camera": camera}))
    return folder


def seven_scenes(folder: Path, frames: list[RgbdFrame]) -> Path:
    """Depth by a camera beside the colour camera, with the calibration in files; the world is the first camera's."""
    T_colour_depth = np.eye(4)
    T_colour_depth[0, 3] = -0.05
    T_first_world = invert(frames[0].T_world_camera @ T_colour_depth)
    for number, one in enumerate(frames):
        T_world_depth = one.T_world_camera @ T_colour_depth
        save(folder / f"seq-01/frame-{number:06}.color.png", colour(one))
        save(folder / f"seq-01/frame-{number:06}.depth.png", steps(frame(T_world_depth)))
        write_text(folder / f"seq-01/frame-{number:06}.pose.txt", matrix_text(T_first_world @ T_world_depth))
    for name in ("color", "depth"):
        write_text(folder / f"seq-01/intrinsics_{name}.txt", matrix_text(CAMERA.K))
    write_text(folder / "seq-01/T_color_depth.txt", matrix_text(T_colour_depth))
    return folder


def bag(folder: Path, frames: list[RgbdFrame]) -> Path:
    make = STORE.types

    def header(stamp_ns: int, frame_id: str) -> object:
        return make["std_msgs/msg/Header"](make["builtin_interfaces/msg/Time"](*divmod(stamp_ns, 10**9)), frame_id)

    def send(writer: BagWriter, topic: str, stamp_ns: int, message: object) -> None:
        kind = message.__msgtype__  # type: ignore[attr-defined]
        writer.topic(topic, kind)(stamp_ns, bytes(STORE.serialize_cdr(message, kind)))

    def image(one: RgbdFrame, encoding: str, pixels: np.ndarray) -> object:
        step = pixels.nbytes // 60
        data = np.frombuffer(pixels.tobytes(), np.uint8)
        return make["sensor_msgs/msg/Image"](header(one.stamp_ns, "camera"), 60, 80, encoding, 0, step, data)

    roi = make["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    info = make["sensor_msgs/msg/CameraInfo"](
        header(0, "camera"),
        60,
        80,
        "plumb_bob",
        np.zeros(5),
        CAMERA.K.ravel(),
        np.eye(3).ravel(),
        np.zeros(12),
        0,
        0,
        roi,
    )
    with BagWriter(folder) as writer:
        for one in frames:
            translation, quaternion = to_quaternion(one.T_world_camera)
            transform = make["geometry_msgs/msg/TransformStamped"](
                header(one.stamp_ns, "odom"),
                "camera",
                make["geometry_msgs/msg/Transform"](
                    make["geometry_msgs/msg/Vector3"](*translation), make["geometry_msgs/msg/Quaternion"](*quaternion)
                ),
            )
            send(writer, "/tf", one.stamp_ns, make["tf2_msgs/msg/TFMessage"]([transform]))
            send(writer, "/cam/color/image_raw", one.stamp_ns, image(one, "bgr8", colour(one)[..., ::-1]))
            send(writer, "/cam/depth/image_raw", one.stamp_ns, image(one, "32FC1", one.depth_m))
            send(writer, "/cam/color/camera_info", one.stamp_ns, info)
            send(writer, "/cam/depth/camera_info", one.stamp_ns, info)
    return folder


Maker = Callable[[Path, list[RgbdFrame]], Path]
LAYOUTS: dict[str, Maker] = {
    "plain": plain, "scannet": scannet, "sens": sens, "scannet++": scannetpp, "tum": tum, "replica": replica,
    "7-scenes": seven_scenes, "rosbag2": bag,
}  # fmt: skip
