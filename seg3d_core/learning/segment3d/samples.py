"""What a step of training sees of one cloud: voxels as the network reads them, and the masks that are to be found.

N points, V voxels, M masks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, Int32, Int64, UInt8

from seg3d_core.geometry.voxels import voxelize
from seg3d_core.segment3d.proposals import Proposals
from seg3d_core.segment3d.voxel_input import COLOUR_STATISTICS


@dataclass(frozen=True, eq=False)
class VoxelSample:
    """One training example.

    Attributes:
        coordinates: (V, 3) floor(xyz / voxel size), each once.
        colours: (V, 3) normalised as the network reads them; 0 is the mean colour.
        xyz: (V, 3) the first point in each voxel, m.
        masks: (M, V) what is to be found; they may overlap, none is empty, M may be 0.
        name: of the frame or scene, for people.
        superpoints: (V,) surface patch of each voxel, any numbers, where masks are to consist of them; or None.
    """

    coordinates: Int32[np.ndarray, "V 3"]
    colours: Float32[np.ndarray, "V 3"]
    xyz: Float32[np.ndarray, "V 3"]
    masks: Bool[np.ndarray, "M V"]
    name: str = ""
    superpoints: Int32[np.ndarray, " V"] | None = None

    def __len__(self) -> int:
        return len(self.coordinates)

    def select(self, voxels: Int64[np.ndarray, " K"], fewest_voxels: int = 1) -> VoxelSample:
        """These voxels, in this order; masks with fewer voxels left are dropped."""
        masks = _large(self.masks[:, voxels], fewest_voxels)
        patches = None if self.superpoints is None else self.superpoints[voxels]
        return VoxelSample(self.coordinates[voxels], self.colours[voxels], self.xyz[voxels], masks, self.name, patches)


@runtime_checkable
class Targets(Protocol):
    """Masks on the points of a cloud, however they are kept."""

    def masks(self, points: Int64[np.ndarray, " K"]) -> Bool[np.ndarray, "M K"]:
        """Which of ``points`` (distinct rows of the cloud) are in each mask; masks may come out empty."""
        ...

    @property
    def nbytes(self) -> int:
        """Memory, B."""
        ...


@dataclass(frozen=True, eq=False)
class LabelTargets:
    """Masks that do not overlap.

    Attributes:
        labels: (N,) any number for each mask, negative for none.
    """

    labels: Int32[np.ndarray, " N"]

    def masks(self, points: Int64[np.ndarray, " K"]) -> Bool[np.ndarray, "M K"]:
        """One mask for each number among ``points``, by ascending number."""
        labels = self.labels[points]
        present = np.unique(labels)
        masks: Bool[np.ndarray, "M K"] = labels == present[present >= 0, None]
        return masks

    @property
    def nbytes(self) -> int:
        """Memory, B."""
        return self.labels.nbytes


@dataclass(frozen=True, eq=False)
class ProposalTargets:
    """Masks that may overlap.

    Attributes:
        proposals: on the N points.
    """

    proposals: Proposals

    def masks(self, points: Int64[np.ndarray, " K"]) -> Bool[np.ndarray, "M K"]:
        """All of them, in the order of the proposals."""
        found = self.proposals
        place = np.full(found.num_rows, -1, np.int64)
        place[points] = np.arange(len(points))
        columns, owners = place[found.members], np.repeat(np.arange(len(found)), found.sizes)
        chosen = columns >= 0
        masks = np.zeros((len(found), len(points)), np.bool_)
        masks[owners[chosen], columns[chosen]] = True
        return masks

    @property
    def nbytes(self) -> int:
        """Memory, B."""
        return self.proposals.members.nbytes + self.proposals.offsets.nbytes


@dataclass(frozen=True, eq=False)
class TrainingCloud:
    """A cloud to make samples of.

    Attributes:
        points: (N, 3) m, z up.
        rgb: (N, 3) in 0..255.
        targets: masks on the points.
        name: of the frame or scene, for people.
        superpoints: (N,) surface patch of each point, where masks are to consist of them; or None.
    """

    points: Float32[np.ndarray, "N 3"]
    rgb: UInt8[np.ndarray, "N 3"]
    targets: Targets
    name: str
    superpoints: Int32[np.ndarray, " N"] | None = None

    @property
    def nbytes(self) -> int:
        """Memory, B."""
        patches = 0 if self.superpoints is None else self.superpoints.nbytes
        return self.points.nbytes + self.rgb.nbytes + self.targets.nbytes + patches


def voxel_sample(
    cloud: TrainingCloud,
    rows: Int64[np.ndarray, " K"],
    points: Float32[np.ndarray, "K 3"],
    voxel_size_m: float,
    fewest_voxels: int = 1,
    recolour: Callable[[Float32[np.ndarray, "V 3"]], Float32[np.ndarray, "V 3"]] = lambda rgb: rgb,
) -> VoxelSample:
    """Points to voxels; the first point in a voxel stands for it, its masks included, as the predictor has it.

    Args:
        cloud: colours and masks are its.
        rows: of the cloud that are used, each once.
        points: where these are now, m.
        voxel_size_m: edge of a voxel, m.
        fewest_voxels: masks with fewer are dropped.
        recolour: changes the colours (0..1) of the points that stand for voxels.

    Raises:
        InputError: a point is not finite, or out of reach of voxel numbers.
    """
    # Divided first and in float32, as the predictor does: a point on a border falls into the same voxel.
    voxels = voxelize(points / np.float32(voxel_size_m), 1.0)
    first = voxels.first_point
    seen = rows[first]
    rgb = recolour(cloud.rgb[seen].astype(np.float32) / np.float32(255))
    masks = _large(cloud.targets.masks(seen), fewest_voxels)
    patches = None if cloud.superpoints is None else cloud.superpoints[seen]
    return VoxelSample(voxels.coordinates, normalised(rgb), points[first], masks, cloud.name, patches)


def plain_sample(cloud: TrainingCloud, voxel_size_m: float, fewest_voxels: int = 1) -> VoxelSample:
    """A cloud as it is, all of it: for validation.

    Raises:
        InputError: see ``voxel_sample``.
    """
    return voxel_sample(cloud, np.arange(len(cloud.points)), cloud.points, voxel_size_m, fewest_voxels)


def cut_around(rng: np.random.Generator, sample: VoxelSample, most: int, fewest_voxels: int = 1) -> VoxelSample:
    """The ``most`` voxels that are nearest to a random one, across the floor; all where there are no more.

    The place is on one of the masks where there are any. Masks with fewer than ``fewest_voxels`` left are dropped.
    """
    if len(sample) <= most:
        return sample
    places = np.flatnonzero(sample.masks.any(axis=0))
    place = int(rng.choice(places)) if len(places) else int(rng.integers(len(sample)))
    across = np.abs(sample.coordinates[:, :2] - sample.coordinates[place, :2]).max(axis=1)
    return sample.select(np.sort(np.argpartition(across, most)[:most]), fewest_voxels)


def normalised(rgb: Float32[np.ndarray, "N 3"]) -> Float32[np.ndarray, "N 3"]:
    """Colours (0..1) as networks are trained with them."""
    mean, deviation = (np.array(values, np.float32) for values in COLOUR_STATISTICS["imagenet"])
    scaled: Float32[np.ndarray, "N 3"] = (rgb - mean) / deviation
    return scaled


def _large(masks: Bool[np.ndarray, "M V"], fewest_voxels: int) -> Bool[np.ndarray, "K V"]:
    large: Bool[np.ndarray, "K V"] = masks[masks.sum(axis=1) >= max(1, fewest_voxels)]
    return large
