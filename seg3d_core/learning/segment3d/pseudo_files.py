"""pseudo/NAME.npz of a scene folder: masks that a network found on the points of cloud.npz.

scores (F,) float32, best first; sizes (F,) int64; steps (M,) int32: the points of each mask ascending, as differences
(the first from -1), one mask after the other; points: how many the cloud has, and check: CRC-32 of their coordinates;
made_by: what found them. Masks may overlap.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from seg3d_core.data.atomic import atomic_path
from seg3d_core.data.npz_clouds import read_arrays
from seg3d_core.errors import InputError
from seg3d_core.segment3d.proposals import Proposals
from seg3d_core.types import Cloud


@dataclass(frozen=True, eq=False)
class PseudoMasks:
    """Masks of a scene, and what found them.

    Attributes:
        proposals: on the points of the cloud, best score first, members ascending.
        made_by: weights and settings, for people and for those who go on.
    """

    proposals: Proposals
    made_by: str

    def best(self, min_score: float, most: int) -> Proposals:
        """Those with a score above ``min_score``, at most the ``most`` best (section 6 of the method)."""
        return self.proposals.select(np.flatnonzero(self.proposals.scores[:most] > min_score))


def write_pseudo_masks(path: Path, masks: PseudoMasks, cloud: Cloud) -> None:
    """Write the file, and the folder it is in; complete or not at all. About a byte for each member.

    Raises:
        InputError: masks on another number of points, a full disk, or a folder that cannot be written.
    """
    found = masks.proposals
    if found.num_rows != len(cloud):
        raise InputError(f"masks of {found.num_rows} points for a cloud of {len(cloud)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    with atomic_path(path) as partial:
        np.savez_compressed(
            partial,
            allow_pickle=False,
            scores=found.scores,
            sizes=found.sizes,
            steps=_steps(found),
            points=np.int64(len(cloud)),
            check=np.int64(_check(cloud.points)),
            made_by=np.array(masks.made_by),
        )


def read_pseudo_masks(path: Path, cloud: Cloud) -> PseudoMasks:
    """Read what ``write_pseudo_masks`` wrote for ``cloud``.

    Raises:
        InputError: the file is missing or damaged, or of another cloud.
    """
    try:
        arrays = read_arrays(path)
        points, check = int(arrays["points"]), int(arrays["check"])
        proposals = _proposals(arrays, points)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except (InputError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: no pseudo masks: {error}") from error
    if points != len(cloud) or check != _check(cloud.points):
        raise InputError(
            f"{path}: masks of another cloud, of {points} points, the scene has {len(cloud)}: delete it and label anew"
        )
    return PseudoMasks(proposals, str(arrays["made_by"]))


def made_by(path: Path) -> str:
    """What found the masks of a file.

    Raises:
        InputError: the file is missing or damaged.
    """
    return str(_array(path, "made_by"))


def scores(path: Path) -> Float32[np.ndarray, " F"]:
    """Confidence of each of the masks of a file, best first.

    Raises:
        InputError: the file is missing or damaged.
    """
    return _array(path, "scores").astype(np.float32)


def _array(path: Path, name: str) -> NDArray[Any]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            array: NDArray[Any] = archive[name]
            return array
    except (OSError, ValueError, KeyError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: no pseudo masks: {error}; delete it to label anew") from error


def _steps(found: Proposals) -> NDArray[np.int32]:
    """Differences between the members of each mask, ascending, the first from -1."""
    owners = np.repeat(np.arange(len(found)), found.sizes)
    members = found.members[np.lexsort((found.members, owners))]
    steps = np.diff(members, prepend=np.int32(-1))
    starts = found.offsets[:-1]
    steps[starts] = members[starts] + 1
    return steps.astype(np.int32)


def _proposals(arrays: dict[str, NDArray[Any]], points: int) -> Proposals:
    scores: Float32[np.ndarray, " F"] = arrays["scores"].astype(np.float32)
    sizes, steps = arrays["sizes"].astype(np.int64), arrays["steps"].astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    if len(sizes) != len(scores) or (sizes < 1).any() or offsets[-1] != len(steps) or (steps < 1).any():
        raise InputError(f"{len(scores)} scores, {len(sizes)} sizes and {len(steps)} members do not fit")
    total = np.cumsum(steps)
    # Each mask starts anew from -1.
    before = np.concatenate([[0], total])[offsets[:-1]]
    members = total - np.repeat(before, sizes) - 1
    if len(members) and members.max() >= points:
        raise InputError(f"a mask has point {members.max()}, the cloud has points 0 to {points - 1}")
    return Proposals(scores, offsets, members.astype(np.int32), points)


def _check(points: Float32[np.ndarray, "N 3"]) -> int:
    return zlib.crc32(np.ascontiguousarray(points).tobytes())
