"""The values that travel through seg3d.

Dimension legend, used by every annotation in the package:

    N      points of a cloud
    Q      instances (or mask queries); always the first axis of masks
    H, W   image rows and columns
    P      prompt points

Units: metres, seconds unless the name says otherwise (``stamp_ns``). Colour ``rgb`` is float32 in 0..1. Poses are
``T_target_source`` 4x4 float64 matrices that map source coordinates to target coordinates. Frames: camera frames are
optical (x right, y down, z forward), robot and world frames follow REP-103 (z up) unless a data set says otherwise.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, Int64

from seg3d_core.errors import InputError
from seg3d_core.geometry.camera import Camera
from seg3d_core.masks_kernels import fill_masks, paint

IGNORE = -1
"""The only sentinel of the core: a point that belongs to no instance, superpoint or voxel."""


@dataclass(frozen=True, eq=False)
class Cloud:
    """An unordered set of finite 3-D points in one frame at one time.

    Attributes:
        points: (N, 3) metres in ``frame_id``; every coordinate finite.
        rgb: (N, 3) in 0..1, or None for a colourless cloud.
        normals: (N, 3) unit length, on the side the sensor saw, or None.
        frame_id: name of the coordinate frame; empty where none is known (files).
        stamp_ns: time of the measurement in nanoseconds; of a fused cloud, of the newest frame in it.
        source_index: (N,) row-major position of each point in the organised cloud or image it came from, or None.
        viewpoint: where the one sensor stood that saw every point, metres in ``frame_id``; None if unknown or several.
        up: away from the floor, of any length but 0, in ``frame_id``; None: its z axis.
        known_finite: whoever made the points has looked at every coordinate; saves looking again. Not kept.

    Raises:
        InputError: a length disagrees with ``points``, a coordinate (of the viewpoint, too) is not finite, or ``up`` is
            no direction.
    """

    points: Float32[np.ndarray, "N 3"]
    rgb: Float32[np.ndarray, "N 3"] | None = None
    normals: Float32[np.ndarray, "N 3"] | None = None
    frame_id: str = ""
    stamp_ns: int = 0
    source_index: Int64[np.ndarray, " N"] | None = None
    viewpoint: Float64[np.ndarray, "3"] | None = None
    up: Float64[np.ndarray, "3"] | None = None
    known_finite: InitVar[bool] = False

    def __post_init__(self, known_finite: bool) -> None:
        for name in ("rgb", "normals", "source_index"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.points):
                raise InputError(f"cloud has {len(self.points)} points but {len(values)} rows of {name}")
        if not known_finite:
            self._check_points()
        if self.viewpoint is not None and not np.isfinite(self.viewpoint).all():
            raise InputError(f"the viewpoint of the cloud is not finite: {self.viewpoint.tolist()} m")
        if self.up is not None and not 0 < float(np.linalg.norm(self.up)) < np.inf:
            raise InputError(f"up = {self.up.tolist()} of the cloud is no direction")

    def _check_points(self) -> None:
        # The sum of squares is finite only if every coordinate is: one pass, no (N, 3) temporary.
        flat = self.points.reshape(-1)
        with np.errstate(over="ignore", invalid="ignore"):
            squares = np.dot(flat, flat)
        if not np.isfinite(squares) and not np.isfinite(self.points).all():
            bad = int((~np.isfinite(self.points).all(axis=1)).sum())
            raise InputError(f"cloud has {bad} of {len(self.points)} points with NaN or infinite coordinates")

    def __len__(self) -> int:
        return len(self.points)

    @classmethod
    def from_file(cls, path: str | Path) -> Cloud:
        """Read a .ply, .pcd or .npz file; points with NaN coordinates are dropped and counted in the log.

        Raises:
            InputError: the file is missing, damaged or of an unknown kind.
        """
        # The readers build clouds, so that importing them above would be a circle.
        from seg3d_core.data.cloud_files import read_cloud

        return read_cloud(path)

    def select(self, index: Int64[np.ndarray, " M"] | Bool[np.ndarray, " N"]) -> Cloud:
        """The cloud of the chosen points, with everything that belongs to them."""
        return replace(
            self,
            points=self.points[index],
            rgb=None if self.rgb is None else self.rgb[index],
            normals=None if self.normals is None else self.normals[index],
            source_index=None if self.source_index is None else self.source_index[index],
        )


@dataclass(frozen=True, eq=False)
class RgbdFrame:
    """One colour image with its registered depth, the camera that took both, and where it stood.

    Attributes:
        rgb: (H, W, 3) in 0..1, or None for a depth-only camera.
        depth_m: (H, W) metres along the optical axis; 0 = no return.
        camera: intrinsics shared by both images.
        T_world_camera: optical camera frame to ``frame_id``; None while the pose is not known.
        frame_id: name of the world frame when ``T_world_camera`` is given, of the camera frame otherwise.
        stamp_ns: time of the exposure in nanoseconds.

    Raises:
        InputError: image sizes disagree with each other or with the camera.
    """

    depth_m: Float32[np.ndarray, "H W"]
    camera: Camera
    rgb: Float32[np.ndarray, "H W 3"] | None = None
    T_world_camera: Float64[np.ndarray, "4 4"] | None = None
    frame_id: str = ""
    stamp_ns: int = 0

    def __post_init__(self) -> None:
        size = (self.camera.height, self.camera.width)
        for name in ("depth_m", "rgb"):
            image = getattr(self, name)
            if image is not None and image.shape[:2] != size:
                raise InputError(
                    f"{name} is {image.shape[1]}x{image.shape[0]} px but the camera is {size[1]}x{size[0]} px"
                )


@dataclass(frozen=True, eq=False)
class Prompt:
    """Clicks that say which object is meant, in the frame of the cloud they were made on.

    Attributes:
        points: (P, 3) metres.
        is_foreground: (P,) whether each is on the object; the others are beside it.

    Raises:
        InputError: the lengths disagree, or a coordinate is not finite.
    """

    points: Float32[np.ndarray, "P 3"]
    is_foreground: Bool[np.ndarray, " P"]

    def __post_init__(self) -> None:
        if len(self.points) != len(self.is_foreground):
            raise InputError(f"prompt has {len(self.points)} points but {len(self.is_foreground)} labels")
        if not np.isfinite(self.points).all():
            raise InputError(f"prompt has clicks that are not finite: {self.points.tolist()} m")

    @classmethod
    def click(cls, x: float, y: float, z: float, is_foreground: bool = True) -> Prompt:
        """A single click, metres."""
        return cls(np.array([[x, y, z]], np.float32), np.array([is_foreground]))

    def with_click(self, x: float, y: float, z: float, is_foreground: bool = True) -> Prompt:
        """These clicks and one more."""
        more = Prompt.click(x, y, z, is_foreground)
        return Prompt(
            np.concatenate([self.points, more.points]), np.concatenate([self.is_foreground, more.is_foreground])
        )


@dataclass(frozen=True, eq=False)
class Instances:
    """Instances found in one cloud. Masks may overlap; ``labels`` says who wins.

    Attributes:
        cloud: the cloud that the masks index.
        masks: (Q, N) bool, query first.
        scores: (Q,) confidence in 0..1.
        instance_ids: (Q,) positive and distinct; stable over time once a tracker has assigned them.
        degraded: why the result is worse than the settings ask for, for people; empty where it is not.
        partition: (N,) row of the one mask over each point, ``IGNORE`` for none, where the instances were made from
            labels, so that masks cannot overlap; otherwise None.
    """

    cloud: Cloud
    masks: Bool[np.ndarray, "Q N"]
    scores: Float32[np.ndarray, " Q"]
    instance_ids: Int32[np.ndarray, " Q"]
    degraded: str = ""
    partition: Int32[np.ndarray, " N"] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.masks.shape != (len(self.scores), len(self.cloud)):
            raise InputError(
                f"masks are {self.masks.shape}, expected ({len(self.scores)} scores, {len(self.cloud)} points)"
            )
        ids = self.instance_ids
        if len(ids) != len(self.scores) or (ids <= 0).any() or len(np.unique(ids)) != len(ids):
            raise InputError(f"instance ids must be {len(self.scores)} positive distinct numbers, got {ids.tolist()}")

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def from_labels(
        cls, cloud: Cloud, labels: Int32[np.ndarray, " N"], scores: Float32[np.ndarray, " Q"] | None = None
    ) -> Instances:
        """Instances from one dense label per point: 0..Q-1, ``IGNORE`` for none; ids become label + 1.

        ``scores`` defaults to 1 for every instance.
        """
        count = int(labels.max(initial=IGNORE)) + 1
        masks, partition = np.zeros((count, len(labels)), np.bool_), np.empty(len(labels), np.int32)
        fill_masks(labels, masks, partition)
        if scores is None:
            scores = np.ones(count, np.float32)
        instances = cls(cloud, masks, scores, np.arange(1, count + 1, dtype=np.int32))
        return instances._knowing(partition)

    def with_ids(self, instance_ids: Int32[np.ndarray, " Q"]) -> Instances:
        """The same instances under other ids."""
        return replace(self, instance_ids=instance_ids)._knowing(self.partition)

    def _knowing(self, partition: Int32[np.ndarray, " N"] | None) -> Instances:
        """These instances. Only for those who have just made them: it is no argument, lest masks and labels differ."""
        object.__setattr__(self, "partition", partition)
        return self

    @cached_property
    def labels(self) -> Int32[np.ndarray, " N"]:
        """(N,) row of the best-scoring mask over each point, ``IGNORE`` where there is none; ties go to the first."""
        if self.partition is not None:
            return self.partition
        rows = np.full(len(self.cloud), IGNORE, np.int32)
        best_last = np.argsort(-self.scores, kind="stable")[::-1]
        paint(np.ascontiguousarray(self.masks), np.ascontiguousarray(best_last), rows)
        return rows

    @property
    def point_ids(self) -> Int32[np.ndarray, " N"]:
        """(N,) instance id of each point as it goes on the wire: 0 = unlabelled."""
        ids = np.append(self.instance_ids, np.int32(0))
        return np.take(ids, self.labels)

    @property
    def point_scores(self) -> Float32[np.ndarray, " N"]:
        """(N,) score of each point's instance; 0 = unlabelled."""
        scores = np.append(self.scores, np.float32(0))
        return np.take(scores, self.labels)


@dataclass(frozen=True, eq=False)
class LabelledCloud:
    """A cloud with known instances: ground truth of data sets and synthetic rooms.

    Attributes:
        cloud: the points.
        instance_id: (N,) positive id of each point's instance, ``IGNORE`` where it has none.
        names: what each id is, for people; may be empty.
    """

    cloud: Cloud
    instance_id: Int32[np.ndarray, " N"]
    names: dict[int, str]
