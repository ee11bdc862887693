"""Synthetic tables: what stands on them, and the scenes that one view of them becomes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seg3d_core.cli import main
from seg3d_core.data.rooms.footprints import contact, footprint, holds
from seg3d_core.data.rooms.items import Item, Part
from seg3d_core.data.rooms.materials import plain
from seg3d_core.data.rooms.meshes import box, cylinder
from seg3d_core.data.rooms.tabletop import make_tabletop
from seg3d_core.data.scenes import SceneFolder
from seg3d_core.data.scenes.check import check_scene
from seg3d_core.data.scenes.synth_run import make_rooms, missing_rooms
from seg3d_core.data.scenes.synth_settings import SynthConfig
from seg3d_core.data.scenes.synth_tables import make_table_scene
from seg3d_core.errors import ConfigError
from seg3d_core.geometry.backprojection import backproject

SMALL = SynthConfig.build({"content": "tables", "width": 96, "height": 72})
SEED = 3


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> SceneFolder:
    folder = tmp_path_factory.mktemp("tables")
    assert list(make_rooms(folder, [SEED], SMALL, 1)) == [(SEED, None)]
    assert missing_rooms(folder, [SEED, SEED + 1], SMALL) == [SEED + 1]
    return SceneFolder.open(folder / "table_000003")


def test_a_table_is_whole(scene: SceneFolder) -> None:
    assert list(check_scene(scene)) == []
    assert (scene.frame_count, scene.description.source) == (1, "table:3")
    names = scene.description.instance_names
    assert list(names.values()).count("table") == 1
    assert len(set(names) - scene.structure_ids) >= 3
    assert set(scene.description.part_owners.values()) == set(names)


def test_the_cloud_is_pixels_of_the_frame_with_their_truth(scene: SceneFolder) -> None:
    cloud, frame = scene.cloud(), scene.frame(0)
    seen = backproject(frame, 0.0, SMALL.tables.reach_m)
    pixel_of = {point.tobytes(): pixel for point, pixel in zip(seen.points, seen.source_index, strict=True)}
    pixels = np.array([pixel_of[point.tobytes()] for point in cloud.cloud.points])
    assert len(np.unique(pixels)) == len(pixels) > 500
    for what, ids in (("instance", cloud.instance_id), ("part", cloud.part_id)):
        image = scene.true_ids(0, what)
        assert image is not None
        np.testing.assert_array_equal(image.reshape(-1)[pixels], ids)
    assert set(cloud.names) == set(np.unique(cloud.instance_id[cloud.instance_id > 0]).tolist())
    assert np.unique(cloud.superpoints).tolist() == list(range(cloud.superpoints.max() + 1))


def test_the_same_seed_gives_the_same_table(scene: SceneFolder, tmp_path: Path) -> None:
    assert make_table_scene(tmp_path / "a", SEED, SMALL).description.manifest == scene.description.manifest


@pytest.mark.parametrize("seed", [1, 2, 4])
def test_things_stand_on_what_is_below_them_and_in_nothing(seed: int) -> None:
    tabletop = make_tabletop(seed, 10, 16)
    things = [one for one in tabletop.room.placed if one.instance_id > tabletop.table_id]
    tops_m = {one.instance_id: one.T_world_object[2, 3] + one.item.bounds()[1, 2] for one in tabletop.room.placed}
    assert len(things) >= 3
    for one in things:
        assert one.T_world_object[2, 3] == pytest.approx(tops_m[one.support_id])
        assert one.item.bounds()[0, 2] == pytest.approx(0, abs=1e-9)
        assert 0.01 < np.ptp(one.item.bounds(), axis=0).max() <= 0.36


def test_footprints_by_hand() -> None:
    square = footprint(Item("box", (Part("box", box(0.2, 0.1, 0.3), plain((1.0, 1.0, 1.0))),)), np.pi / 2)
    np.testing.assert_allclose(np.ptp(square.outline, axis=0), [0.1, 0.2])
    assert (square.has_base, square.has_top, square.height_m) == (True, True, 0.3)
    assert contact(square.outline, square.outline, 0.0) == pytest.approx(0.1)
    assert contact(square.outline, square.outline, np.pi / 2) == pytest.approx(0.2)
    assert holds(square.top, square.base)
    assert not holds(square.top, square.base + np.array([0.06, 0]))
    lying = Item("can", (Part("can", cylinder(0.05, 0.2), plain((1.0, 1.0, 1.0))),)).turned(1, np.pi / 2)
    assert not footprint(lying, 0.0).has_base


def test_what_rooms_say_of_themselves_is_as_before() -> None:
    recorded = SynthConfig.build({}).recorded()
    assert recorded["frames"] == 24
    assert not {"content", "tables"} & set(recorded)
    assert "frames" not in SMALL.recorded()


def test_a_table_is_seen_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["data", "synth", "--to", str(tmp_path), "--rooms", "1", "--set", "content=tables"]
    assert main([*command, "--frames", "2"]) == 2
    assert "a table is seen once" in capsys.readouterr().err


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ConfigError, match="is greater than max_voxel_m"):
        SynthConfig.build({"tables": {"min_voxel_m": 0.02}})
