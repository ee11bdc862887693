"""One object per file, as AGILE3D publishes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seg3d_core.data.agile3d import agile3d_files, agile3d_group, read_agile3d
from seg3d_core.data.ply import write_vertices
from seg3d_core.errors import ConfigError, InputError
from seg3d_core.evaluation.scenes import find_scenes


def write(path: Path, colour_type: str = "u1", brightest: float = 255, label: str = "label") -> Path:
    kinds = [("x", "f4"), ("y", "f4"), ("z", "f4"), *((name, colour_type) for name in "RGB"), (label, "i4")]
    rows = np.zeros(4, kinds)
    rows["x"] = 0, 1, 2, np.nan
    rows["G"] = 0, 51, brightest, 0
    rows[label] = 0, 7, 1, 1
    path.parent.mkdir(parents=True, exist_ok=True)
    write_vertices(path, rows)
    return path


@pytest.mark.parametrize("colour_type", ["u1", "f4", "f8", "i4"])
def test_the_object_and_its_surroundings(tmp_path: Path, colour_type: str) -> None:
    labelled = read_agile3d(write(tmp_path / "a.ply", colour_type))
    assert labelled.instance_id.tolist() == [-1, 1, 1]
    assert labelled.cloud.points[:, 0].tolist() == [0, 1, 2]
    assert labelled.cloud.rgb is not None
    assert labelled.cloud.rgb[:, 1] == pytest.approx([0, 0.2, 1])


def test_what_is_not_of_this_layout(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.ply: no label among the fields x, y, z, R, G, B, id"):
        read_agile3d(write(tmp_path / "a.ply", label="id"))
    with pytest.raises(InputError, match=r"colours R G B are 0\.\.256, expected 0\.\.255"):
        read_agile3d(write(tmp_path / "b.ply", "f4", 256))
    with pytest.raises(InputError, match=r"gone\.ply: No such file"):
        read_agile3d(tmp_path / "gone.ply")


def test_scenes_are_all_files_below_and_grouped_by_their_names(tmp_path: Path) -> None:
    crops = tmp_path / "crops"
    write(crops / "area5" / "area5_crop_10.ply")
    write(crops / "area1" / "area1_crop_3.ply")
    scenes = find_scenes([f"agile3d:{crops}"])
    assert [scene.name for scene in scenes] == [
        f"{crops}/area1/area1_crop_3.ply",
        f"{crops}/area5/area5_crop_10.ply",
    ]
    assert [scene.group for scene in scenes] == ["area1", "area5"]
    truth = scenes[0].load(lambda share, words: None)
    assert truth.labelled.names == {1: "object"}
    assert not truth.background
    assert agile3d_group(Path("2013_05_28.ply")) == "2013"
    assert agile3d_files(crops / "area1" / "area1_crop_3.ply") == [crops / "area1" / "area1_crop_3.ply"]
    with pytest.raises(ConfigError, match=r"no \.ply files there"):
        find_scenes([f"agile3d:{tmp_path / 'none'}"])
