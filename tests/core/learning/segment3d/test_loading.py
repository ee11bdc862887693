"""Samples of each step: what they are made of, and that only the seed and the step decide."""

from __future__ import annotations

import logging
from itertools import islice

import numpy as np
import pytest
from table_scene import HEIGHT, LEFT, RIGHT, WALL, WIDTH, table_ids, write_table_scene

from seg3d_core.data.scenes.id_images import MASK_NONE, write_id_image
from seg3d_core.errors import ConfigError, InputError
from seg3d_core.learning.segment3d.data_settings import DataConfig
from seg3d_core.learning.segment3d.loading import Samples, Share, load_samples, steps_in_epoch
from seg3d_core.learning.segment3d.samples import LabelTargets, TrainingCloud, plain_sample
from seg3d_core.learning.segment3d.sources import CachedSource, cloud_source

FIELDS = ("coordinates", "colours", "xyz", "masks")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Two scenes of three frames, all but the last frame of the second with masks called "made"."""
    folder = tmp_path_factory.mktemp("scenes")
    scenes = [write_table_scene(folder / name) for name in ("one", "two")]
    ids = table_ids() - 1
    ids[:2] = -1
    for scene in scenes:
        for frame in range(3 if scene.name == "one" else 2):
            scene.mask_path("made", frame).parent.mkdir(parents=True, exist_ok=True)
            write_id_image(scene.mask_path("made", frame), ids, MASK_NONE)
    return scenes


def config(**values):
    return DataConfig.build({"targets": "made", "batch": 2, "workers": 0, **values})


def same(one, other):
    return one.name == other.name and all(np.array_equal(getattr(one, name), getattr(other, name)) for name in FIELDS)


def all_same(one, other):
    assert [step for step, _ in one] == [step for step, _ in other]
    for (_, ours), (_, theirs) in zip(one, other, strict=True):
        assert len(ours) == len(theirs) and all(map(same, ours, theirs))
    return True


def test_a_frame_as_it_is(scenes):
    source = cloud_source(scenes, config())
    assert len(source) == 5
    cloud = source.read(3)
    assert cloud.name == "two frame 0" and len(cloud.points) == HEIGHT * (WIDTH - 1)
    np.testing.assert_allclose(cloud.points[:, 0].max(), 2, atol=1e-3)
    sample = plain_sample(cloud, 0.02)
    sizes = sample.masks.sum(axis=1)
    assert len(sizes) == 3 and (sizes > 50).all()
    # The two uppermost rows have no mask.
    assert 0 < (~sample.masks.any(axis=0)).sum() < 3 * WIDTH


def test_known_targets_with_and_without_structure(scenes):
    for kind in ("frames", "scenes"):
        for targets in ("instance", "part"):
            whole, things = (
                cloud_source(scenes, config(kind=kind, targets=targets, structure=structure)).read(0).targets.labels
                for structure in (True, False)
            )
            values, counts = np.unique(whole, return_counts=True)
            if kind == "scenes":
                assert values.tolist() == [WALL, LEFT, RIGHT]
            assert len(values) == 3 and np.unique(things).tolist()[0] == -1 and len(np.unique(things)) == 3
            assert (things == -1).sum() == counts[0]


def test_frames_may_be_left_out(scenes):
    assert [len(cloud_source(scenes, config(every=every))) for every in (1, 2, 3)] == [5, 3, 2]
    assert steps_in_epoch(config(), scenes) == 3
    assert steps_in_epoch(config(), scenes, Share(1, 2)) == 2


def test_nothing_to_learn_from(scenes):
    with pytest.raises(ConfigError, match=r"none of 2 scenes has frames with masks called 'sam': .*seg3d label frames"):
        load_samples(config(targets="sam"), scenes, 0, 1, 0)
    with pytest.raises(ConfigError, match="none of 2 scenes has scenes with masks called 'made'"):
        cloud_source(scenes, config(kind="scenes"))


def test_every_cloud_is_seen_once_in_an_epoch(scenes):
    samples = Samples(cloud_source(scenes, config()), config(), 0)
    names = [samples.sample(number).name for number in range(10)]
    assert len(set(names[:5])) == len(set(names[5:])) == 5
    assert names[:5] != names[5:]


def test_only_seed_and_step_decide(scenes):
    whole = list(load_samples(config(), scenes, 0, 6, seed=3))
    assert [step for step, _ in whole] == list(range(6))
    assert all_same(whole[4:], list(load_samples(config(), scenes, 4, 6, seed=3)))
    assert all_same(whole, list(load_samples(config(cache_mb=0), scenes, 0, 6, seed=3)))
    other = list(load_samples(config(), scenes, 0, 6, seed=4))
    for (_, ours), (_, theirs) in zip(whole, other, strict=True):
        assert not any(map(same, ours, theirs))
    assert not same(*whole[0][1])


def test_other_processes_make_the_same(scenes):
    made_here = list(load_samples(config(), scenes, 2, 5, seed=1))
    assert all_same(made_here, list(load_samples(config(workers=1), scenes, 2, 5, seed=1)))


def test_shares_are_what_one_process_sees_with_the_whole_batch(scenes):
    whole = list(islice(load_samples(config(batch=4), scenes, 0, 3, seed=2), 3))
    parts = [list(load_samples(config(), scenes, 0, 3, 2, Share(index, 2))) for index in (0, 1)]
    for (_, samples), (_, first), (_, second) in zip(whole, *parts, strict=True):
        assert all(map(same, samples, first + second))
    with pytest.raises(ConfigError, match="process 2 of 2: must be 0 to 1"):
        Share(2, 2)


def test_samples_are_cut(scenes):
    cut = config(max_voxels=300, fewest_voxels=20)
    for _, samples in load_samples(cut, scenes, 0, 4, seed=0):
        for sample in samples:
            assert len(sample) == 300 and (sample.masks.sum(axis=1) >= 20).all() and len(sample.masks)


class Broken:
    """Every third cloud cannot be read, or none can."""

    def __init__(self, all_of_them=False):
        self.all_of_them = all_of_them
        self.asked = []

    def __len__(self):
        return 6

    def read(self, index):
        self.asked.append(index)
        if self.all_of_them or index % 3 == 0:
            raise InputError(f"cloud {index} is torn")
        points = np.random.default_rng(index).uniform(-1, 1, (500, 3)).astype(np.float32)
        return TrainingCloud(
            points, np.full((500, 3), 128, np.uint8), LabelTargets(np.zeros(500, np.int32)), f"{index}"
        )


def test_clouds_that_cannot_be_read_are_said_once_and_replaced(caplog):
    caplog.set_level(logging.WARNING)
    samples = Samples(Broken(), config(batch=6), 0)
    first, again = samples[0], Samples(Broken(), config(batch=6), 0)[0]
    caplog.clear()
    assert all(map(same, first, again)) and not {"0", "3"} & {sample.name for sample in first}
    samples[0], samples[1]
    assert not caplog.records
    with pytest.raises(InputError, match="20 of 6 clouds in a row cannot be learned from"):
        Samples(Broken(all_of_them=True), config(), 0)[0]


def test_tiny_clouds_are_refused():
    class Tiny(Broken):
        def read(self, index):
            return TrainingCloud(
                np.zeros((9, 3), np.float32), np.zeros((9, 3), np.uint8), LabelTargets(np.zeros(9, np.int32)), "tiny"
            )

    with pytest.raises(InputError, match="in a row"):
        Samples(Tiny(), config(), 0)[0]


def test_the_cache_keeps_what_was_used_last():
    source = Broken()
    size = source.read(1).nbytes
    source.asked.clear()
    cached = CachedSource(source, 2 * size)
    for index in (1, 2, 1, 4, 1, 2):
        assert cached.read(index).name == f"{index}"
    assert source.asked == [1, 2, 4, 2]
    none = CachedSource(source, size - 1)
    assert none.read(1) is not none.read(1)
