"""cloud.npz: the fused or scanned cloud of a scene, its superpoints, and its truth where that is known.

The arrays have the names of any labelled .npz cloud, so that ``seg3d segment`` and ``seg3d eval`` read it as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32
from numpy.typing import NDArray

from seg3d_core.data.atomic import atomic_path
from seg3d_core.data.npz_clouds import read_arrays, read_npz, write_npz
from seg3d_core.errors import InputError
from seg3d_core.types import IGNORE, Cloud, LabelledCloud


@dataclass(frozen=True, eq=False)
class SceneCloud:
    """The points of a whole scene.

    Attributes:
        cloud: points (m, world frame), colours, normals.
        superpoints: (N,) surface patch of each point, dense from 0.
        instance_id: (N,) true instance, positive, ``IGNORE`` where none; None where truth is not known.
        part_id: (N,) true part, positive and distinct over the scene, ``IGNORE`` where none; None where not known.
        names: what each instance id is.

    Raises:
        InputError: lengths disagree.
    """

    cloud: Cloud
    superpoints: Int32[np.ndarray, " N"]
    instance_id: Int32[np.ndarray, " N"] | None = None
    part_id: Int32[np.ndarray, " N"] | None = None
    names: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("superpoints", "instance_id", "part_id"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.cloud):
                raise InputError(f"cloud has {len(self.cloud)} points but {len(values)} rows of {name}")

    def __len__(self) -> int:
        return len(self.cloud)

    @property
    def has_truth(self) -> bool:
        """Whether true instances are known."""
        return self.instance_id is not None

    @property
    def labelled(self) -> LabelledCloud:
        """The cloud with its true instances.

        Raises:
            InputError: they are not known.
        """
        if self.instance_id is None:
            raise InputError("the scene has no true instances: it was recorded, not rendered or annotated")
        return LabelledCloud(self.cloud, self.instance_id, self.names)


def write_scene_cloud(path: Path, scene: SceneCloud) -> None:
    """Write the cloud; colours in 8 bits; complete or not at all.

    Raises:
        InputError: the disk is full or the folder cannot be written.
    """
    cloud = scene.cloud
    rgb = None if cloud.rgb is None else np.rint(np.clip(cloud.rgb, 0, 1) * 255).astype(np.uint8)
    with atomic_path(path) as temporary:
        write_npz(
            temporary,
            {
                "points": cloud.points,
                "rgb": rgb,
                "normals": cloud.normals,
                "superpoint": scene.superpoints,
                "instance": _on_disk(scene.instance_id),
                "part": _on_disk(scene.part_id),
                "instance_ids": np.array(list(scene.names), np.int64) if scene.names else None,
                "instance_names": np.array(list(scene.names.values())) if scene.names else None,
                "frame_id": np.array(cloud.frame_id),
                "stamp_ns": np.array(cloud.stamp_ns, np.int64),
            },
        )


def read_scene_cloud(path: Path) -> SceneCloud:
    """Read what ``write_scene_cloud`` wrote.

    Raises:
        InputError: missing, damaged, or arrays that do not belong together.
    """
    try:
        records = read_npz(path)
        arrays = read_arrays(path)
        cloud = records.cloud()
        if len(cloud) != len(records.points):
            raise InputError(f"{len(records.points) - len(cloud)} points are not finite")
        superpoints = _integers(arrays, "superpoint")
        if superpoints is None:
            raise InputError("no array superpoint")
        return SceneCloud(
            cloud,
            superpoints,
            _ids(arrays, "instance"),
            _ids(arrays, "part"),
            {int(k): v for k, v in records.names.items()},
        )
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _on_disk(ids: Int32[np.ndarray, " N"] | None) -> NDArray[np.int32] | None:
    return None if ids is None else np.where(ids == IGNORE, 0, ids).astype(np.int32)


def _integers(arrays: dict[str, NDArray[Any]], name: str) -> NDArray[np.int32] | None:
    array = arrays.get(name)
    if array is None:
        return None
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InputError(f"{name} is {array.dtype} {array.shape}, expected one integer per point")
    return array.astype(np.int32)


def _ids(arrays: dict[str, NDArray[Any]], name: str) -> NDArray[np.int32] | None:
    ids = _integers(arrays, name)
    return None if ids is None else np.where(ids > 0, ids, np.int32(IGNORE))
