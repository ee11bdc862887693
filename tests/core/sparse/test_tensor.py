from __future__ import annotations

import subprocess
import sys

import pytest

torch = pytest.importorskip("torch", reason="the sparse engine needs PyTorch")

from seg3d_core.errors import ConfigError, InputError  # noqa: E402
from seg3d_core.sparse import keys  # noqa: E402
from seg3d_core.sparse.coordinates import CoordinateMaps  # noqa: E402
from seg3d_core.sparse.tensor import SparseTensor  # noqa: E402


def voxels(*rows: tuple[int, int, int, int]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.int32).reshape(-1, 4)


def test_levels_by_hand() -> None:
    maps = CoordinateMaps(voxels((0, -1, 0, 0), (0, 1, 0, 0), (0, 0, 0, 1), (1, 0, 0, 0)))
    assert maps.coarser(1).tolist() == [[0, -2, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
    parents = maps.parents(1)
    assert parents.rows.tolist() == [0, 1, 1, 2]
    assert parents.slots.tolist() == [1, 1, 4, 0]
    assert maps.coarser(2).tolist() == [[0, -4, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
    assert maps.strides == [1, 2, 4]


def test_kernel_map_by_hand() -> None:
    pairs = CoordinateMaps(voxels((0, 0, 0, 0), (0, 1, 0, 0), (0, 0, 0, 3))).centred(1, 3)
    assert pairs.identity == 13
    assert pairs.pair_count == 5
    assert pairs.input_rows[14].tolist() == [1] and pairs.output_rows[14].tolist() == [0]
    assert pairs.neighbours[:, 12:15].tolist() == [[3, 0, 1], [0, 1, 3], [3, 2, 3]]


def test_maps_are_made_once() -> None:
    maps = CoordinateMaps(voxels((0, 0, 0, 0), (0, 1, 0, 0)))
    assert maps.centred(1, 3) is maps.centred(1, 3)
    assert maps.down(1) is maps.down(1)
    assert maps.coarser(1) is maps.coarser(1)


def test_rows_stay_where_they_are() -> None:
    coordinates = voxels((0, 5, 0, 0), (1, 0, 0, 0), (0, -5, 0, 0))
    x = SparseTensor.from_coordinates(coordinates, torch.zeros(3, 2))
    assert x.coordinates is coordinates
    assert [rows.tolist() for rows in x.batch_rows(3)] == [[0, 2], [1], []]
    assert x.replace(torch.zeros(3, 7)).maps is x.maps


def test_neighbours_across_the_whole_range_are_told_apart() -> None:
    limit = keys.COORDINATE_LIMIT
    coordinates = voxels((0, -limit, -limit, -limit), (0, limit - 1, limit - 1, limit - 1), (0, 0, 0, 0), (0, 0, 0, 1))
    assert CoordinateMaps(coordinates).centred(1, 3).pair_count == 4 + 2


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(0, 1, 2, 3), (0, 1, 2, 3), (0, 1, 2, 3), (1, 1, 2, 3)], "2 of 4 voxels occur more than once"),
        ([(0, 524288, 0, 0)], r"voxel coordinate 524288 is outside \[-524288, 524288\), 10.5 km each way at 2 cm"),
        ([(0, 0, -524289, 0)], r"voxel coordinate -524289 is outside"),
        ([(-1, 0, 0, 0)], "batch index is -1, the least is 0"),
        (
            [(0, -524288, -524288, -524288), (7, 524287, 524287, 524287)],
            "the box around all voxels has 1048576 x 1048576 x 1048576 cells in 8 batch elements, more than 4.6e",
        ),
    ],
)
def test_voxels_that_cannot_be_used(rows: list[tuple[int, int, int, int]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SparseTensor.from_coordinates(voxels(*rows), torch.zeros(len(rows), 1))


def test_features_of_other_voxels() -> None:
    with pytest.raises(InputError, match="3 feature rows for 2 voxels"):
        SparseTensor.from_coordinates(voxels((0, 0, 0, 0), (0, 0, 0, 1)), torch.zeros(3, 1))
    x = SparseTensor.from_coordinates(voxels((0, 0, 0, 0)), torch.zeros(1, 1))
    with pytest.raises(InputError, match="0 feature rows for 1 voxels"):
        x.replace(torch.zeros(0, 1))


def test_levels_that_nobody_made() -> None:
    with pytest.raises(ConfigError, match="there is no level of stride 4, only of 1"):
        CoordinateMaps(voxels((0, 0, 0, 0))).coordinates(4)


def test_the_public_face_needs_no_torch() -> None:
    hidden = "import sys; sys.modules['torch'] = None; import seg3d_core, seg3d_core.sparse; seg3d_core.Cloud"
    subprocess.run([sys.executable, "-c", hidden], check=True)
