"""All that ``seg3d bench point-sam`` compares with another way to compute the same, in this process, on a CPU."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from seg3d_core.benchmark.by_turns import Pair
from seg3d_core.benchmark.large_map import MapPairs, floor_with_boxes
from seg3d_core.benchmark.plain_points import groups_pair
from seg3d_core.benchmark.point_sam_pairs import NetworkPairs
from seg3d_core.benchmark.rooms import room_points
from seg3d_core.point_sam.normalisation import Normalisation
from seg3d_core.point_sam.predictor import PointSam
from seg3d_core.point_sam_config import PromptModelConfig, patches_for
from seg3d_core.prompting import make_point_sam
from seg3d_core.types import Cloud


@dataclass(frozen=True)
class PeerSizes:
    """How large.

    Attributes:
        groups: points of a cloud, groups, points of each.
        map_points: of the map that is clicked in.
    """

    groups: tuple[tuple[int, int, int], ...] = ((10_000, 512, 64), (100_000, 2048, 64))
    map_points: int = 2_000_000


SIZES = PeerSizes()
"""Those that the targets are written down for."""


@contextmanager
def timed_conditions(threads: int) -> Iterator[None]:
    """PyTorch without gradients and on so many threads; 0 = as many as it has."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(before)


def peer_pairs(config: PromptModelConfig, points: int, sizes: PeerSizes) -> Generator[Pair, None, None]:
    """What is compared, one after the other; each to be run before the next, under ``timed_conditions``.

    Groups of points first, on one thread: the plain loop is thousands of steps too small to be shared out. Then encoder
    and clicks on a cloud of so many ``points``, unless patches are Voronoi cells, for which there are no plain modules;
    then clicks in a map.

    Raises:
        ConfigError, CheckpointError: as ``make_point_sam`` does.
        InputError: as ``PointSam`` does.
    """
    room = room_points(max(points, *(count for count, _, _ in sizes.groups)))
    with timed_conditions(1):
        for count, groups, size in sizes.groups:
            yield groups_pair(torch.from_numpy(room.points[:count]), groups, size)
    sam: PointSam = make_point_sam(config.model, config.point_sam)
    if sam.config.tokenizer == "neighbours":
        yield from _network_pairs(sam, room, points)
    in_map = MapPairs(sam, floor_with_boxes(sizes.map_points))
    yield in_map.first_click()
    yield in_map.later_click()


def _network_pairs(sam: PointSam, room: Cloud, points: int) -> Iterator[Pair]:
    """On the first ``points`` of ``room``, which are spread as evenly as all of them."""
    assert room.rgb is not None
    cloud, rgb = room.points[:points], torch.from_numpy(room.rgb[:points])
    xyz = torch.from_numpy(Normalisation.of(cloud, sam.settings.up).apply(cloud)).clamp_(-1, 1)
    chosen = patches_for(points, sam.settings, sam.config.tokenizer)
    pairs = NetworkPairs(sam.network, xyz, 2 * rgb - 1, *chosen, rows=(points // 3, points // 2))
    yield pairs.encoder()
    yield pairs.first_click()
    yield pairs.later_click(pairs.answer(pairs.encode(), 1, None)[0][0])
