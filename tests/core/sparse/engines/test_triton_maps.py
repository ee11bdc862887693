"""Tiles of the Triton engine: every pair once, no step too many. Plain PyTorch, no Triton."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the sparse engine needs PyTorch")

from seg3d_core.errors import ConfigError  # noqa: E402
from seg3d_core.sparse.coordinates import CoordinateMaps  # noqa: E402
from seg3d_core.sparse.engines import triton_maps, triton_tiles  # noqa: E402
from seg3d_core.sparse.engines.interface import Step  # noqa: E402
from seg3d_core.sparse.kernel_maps import KernelMap  # noqa: E402

STEPS = [Step(1), Step(3), Step(5), *(Step(size, "down") for size in (2, 3, 5)), Step(2, "up")]


def voxels(seed: int, count: int, extent: int, shift: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    position = torch.randint(-extent, extent, (count, 3), generator=generator) + shift
    batch = 2 * torch.randint(0, 2, (count, 1), generator=generator)
    unique = torch.unique(torch.cat([batch, position], 1), dim=0).int()
    return unique[torch.randperm(len(unique), generator=generator)]


def pairs_of_tiles(tiles: triton_maps.TiledMap) -> set[tuple[int, int, int]]:
    """(kernel row, input row, output row) as the kernels read them; none twice."""
    pairs = []
    for tile, count in enumerate(tiles.kernel_row_counts.tolist()):
        for place in range(count):
            row = int(tiles.kernel_rows[tile, place])
            inputs, outputs = tiles.input_rows[tile, place].tolist(), tiles.output_rows[tile].tolist()
            pairs += [(row, i, o) for i, o in zip(inputs, outputs, strict=True) if i >= 0]
    assert len(set(pairs)) == len(pairs)
    return set(pairs)


def pairs_of_lists(kernel_map: KernelMap) -> set[tuple[int, int, int]]:
    lists = enumerate(zip(kernel_map.input_rows, kernel_map.output_rows, strict=True))
    pairs = {(row, i, o) for row, (ins, outs) in lists for i, o in zip(ins.tolist(), outs.tolist(), strict=True)}
    identity = () if kernel_map.identity is None else range(kernel_map.output_count)
    return pairs | {(kernel_map.identity, i, i) for i in identity}


def listed(maps: CoordinateMaps, stride: int, step: Step) -> set[tuple[int, int, int]]:
    if step.direction == "down":
        return pairs_of_lists(maps.down(stride, step.kernel_size))
    if step.direction == "up":
        return pairs_of_lists(maps.up(stride // 2))
    return pairs_of_lists(maps.centred(stride, step.kernel_size))


@given(
    seed=st.integers(0, 2**31),
    count=st.integers(0, 150),
    extent=st.sampled_from([1, 4, 900]),
    shift=st.sampled_from([0, 400_000, -500_001]),
    table_cells=st.sampled_from([0, 2**20]),
    step=st.sampled_from(STEPS),
)
def test_tiles_hold_the_pairs_of_the_lists(
    seed: int, count: int, extent: int, shift: int, table_cells: int, step: Step
) -> None:
    maps = CoordinateMaps(voxels(seed, count, extent, shift), table_cells)
    maps.coarser(1)
    tiles = triton_maps.tiles_of(maps, 2, step, processors=1)
    assert pairs_of_tiles(tiles) == listed(maps, 2, step)
    rows = tiles.output_rows[tiles.output_rows >= 0]
    assert rows.sort().values.equal(torch.arange(tiles.output_count, dtype=torch.int32))


@given(seed=st.integers(0, 2**31), count=st.integers(1, 300))
def test_a_tile_reads_what_any_of_its_rows_needs_and_nothing_else(seed: int, count: int) -> None:
    maps = CoordinateMaps(voxels(seed, count, 4))
    tiles = triton_maps.tiles_of(maps, 1, Step(3), processors=1)
    is_needed = (tiles.input_rows >= 0).any(2)
    places = torch.arange(27)[None]
    assert is_needed.equal(places < tiles.kernel_row_counts[:, None])
    assert tiles.kernel_rows.sort(1).values.equal(places.int().expand(tiles.shape[0], 27))
    assert (tiles.kernel_row_counts.diff() <= 0).all()


def test_on_a_surface_few_products_are_for_nothing() -> None:
    side = torch.arange(120)
    x, y = (axis.reshape(-1) for axis in torch.meshgrid(side, side, indexing="ij"))
    tilted = torch.stack([torch.zeros_like(x), x, y, (0.31 * x + 0.17 * y).long()], 1).int()
    maps = CoordinateMaps(tilted)
    tiles = triton_maps.tiles_of(maps, 1, Step(3), processors=1)
    in_order = maps.neighbours(1, 3, 1).view(27, -1, 64).ge(0).any(2).sum()
    done = int(tiles.kernel_row_counts.sum()) * tiles.shape[1]
    assert done < 1.15 * maps.centred(1, 3).pair_count
    assert done < 0.85 * int(in_order) * 64


def test_upwards_nearly_all_tiles_need_one_kernel_row() -> None:
    maps = CoordinateMaps(voxels(0, 6000, 12))
    maps.coarser(1)
    counts = triton_maps.tiles_of(maps, 2, Step(2, "up"), processors=1000).kernel_row_counts
    assert counts.sum() <= len(counts) + 7


def test_tiles_are_made_once() -> None:
    maps = CoordinateMaps(voxels(0, 50, 4))
    assert triton_maps.tiles_of(maps, 1, Step(3), 1) is triton_maps.tiles_of(maps, 1, Step(3), 1)


def test_up_from_the_finest_level_is_refused() -> None:
    maps = CoordinateMaps(voxels(0, 50, 4))
    with pytest.raises(ConfigError, match="there is no level of stride 0, only of 1"):
        triton_maps.tiles_of(maps, 1, Step(2, "up"), 1)


@pytest.mark.parametrize(
    ("out_channels", "width"), [(1, 16), (16, 16), (17, 32), (32, 32), (96, 96), (128, 128), (192, 96), (256, 128)]
)
def test_width_follows_the_channels(out_channels: int, width: int) -> None:
    tile = triton_tiles.choose_tile((1000, 128), 64, out_channels, torch.float16, processors=100)
    assert tile.width == width
    assert tile.wide + tile.narrow == width


@given(
    tiles=st.integers(1, 5000),
    rows=st.sampled_from(triton_tiles.ROWS),
    in_channels=st.integers(1, 600),
    out_channels=st.integers(1, 600),
    dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float32]),
    processors=st.integers(1, 150),
)
def test_a_tile_is_one_of_those_compiled_beforehand(
    tiles: int, rows: int, in_channels: int, out_channels: int, dtype: torch.dtype, processors: int
) -> None:
    tile = triton_tiles.choose_tile((tiles, rows), in_channels, out_channels, dtype, processors)
    widths = triton_tiles.possible_widths(out_channels, dtype)
    assert tile in [triton_tiles.make_tile(rows, width, in_channels, dtype) for width in widths]
    assert tile.columns(out_channels) * tile.width >= out_channels


def test_few_rows_get_narrow_tiles_so_that_no_processor_idles() -> None:
    widths = [
        triton_tiles.choose_tile((tiles, 64), 256, 256, torch.float16, processors=132).width for tiles in (10, 42, 178)
    ]
    assert widths == [32, 64, 128]
