from __future__ import annotations

import io
import os
import signal

import numpy as np
import pytest

from seg3d_core.data.scenes import SceneFolder
from seg3d_core.errors import ConfigError, InputError
from seg3d_core.labelling.claims import claimed
from seg3d_core.labelling.jobs import Share
from seg3d_core.labelling.remote import RemoteLabeller
from seg3d_core.labelling.run import label_frames, todo
from seg3d_core.labelling.settings import LabelFramesConfig
from seg3d_core.labelling.workforce import ThisProcess, choose_workforce


class Halves:
    """Left and right; keeps the names of what it was asked, and does not like some."""

    needs_truth = False

    def __init__(self, bad=(), batch_size=2):
        self.bad, self.batch_size, self.asked = dict.fromkeys(bad, 99), batch_size, []

    def label(self, frames):
        self.asked.append([frame.name for frame in frames])
        for frame in frames:
            if self.bad.get(frame.name):
                self.bad[frame.name] -= 1
                raise RuntimeError("out of memory\nmore of it")
        half = np.zeros(frames[0].rgbd.depth_m.shape, np.int32)
        half[:, half.shape[1] // 2 :] = 1
        return [half] * len(frames)


def run(scenes, source, config=None, share=None, stream=None):
    config = config or LabelFramesConfig(name="halves")
    missing, kept = todo(config, scenes, share or Share())
    return label_frames(ThisProcess(source), missing, kept, config.retries, stream)


def test_every_frame_gets_its_file(scene):
    folder = SceneFolder.open(scene)
    source = Halves()
    outcome = run([folder], source)
    assert outcome.words() == "3 frames labelled, 0 had masks before"
    assert source.asked == [["room/000000", "room/000001"], ["room/000002"]]
    assert np.array_equal(np.unique(folder.mask_ids("halves", 2)), [0, 1])
    assert sorted(path.name for path in (scene / "masks" / "halves").iterdir()) == [
        *(f"00000{n}.png" for n in range(3)),
        "settings.yaml",
    ]


def test_what_has_masks_is_not_done_again(scene):
    folder = SceneFolder.open(scene)
    run([folder], Halves())
    folder.mask_path("halves", 1).unlink()
    source, said = Halves(), io.StringIO()
    assert run([folder], source, stream=said).words() == "1 frames labelled, 2 had masks before"
    assert source.asked == [["room/000001"]]
    assert said.getvalue().startswith("frames [####################] 3/3")


def test_only_every_so_many_frames(scene):
    source = Halves()
    run([SceneFolder.open(scene)], source, LabelFramesConfig(name="halves", every=2))
    assert source.asked == [["room/000000", "room/000002"]]


def test_bad_frames_are_tried_alone_then_once_more_then_told(make_scene):
    scenes = [SceneFolder.open(make_scene("a", 2)), SceneFolder.open(make_scene("b", 2))]
    scenes[1].colour_path(1).write_bytes(b"\x89PNG\r\n\x1a\n no more")
    source = Halves(bad=["a/000001"], batch_size=4)
    outcome = run(scenes, source)
    assert outcome.words().splitlines()[0] == "2 frames labelled, 0 had masks before, 2 failed:"
    assert outcome.words().splitlines()[1] == "  a/000001: RuntimeError: out of memory"
    assert (
        outcome.words().splitlines()[2].startswith(f"  b/000001: {scenes[1].colour_path(1)}: cannot be read as an im")
    )
    together, *alone = source.asked
    assert together == ["a/000000", "a/000001", "b/000000"]
    assert alone == [["a/000000"], ["a/000001"], ["b/000000"], ["a/000001"]]
    assert not scenes[0].mask_path("halves", 1).exists()


def test_what_fails_once_is_done_in_the_second_round(scene):
    source = Halves(batch_size=1)
    source.bad["room/000000"] = 1
    assert run([SceneFolder.open(scene)], source).words() == "3 frames labelled, 0 had masks before"


def test_frames_without_any_mask_are_labelled_and_counted(scene):
    source = Halves()
    source.label = lambda frames: [np.full(frames[0].rgbd.depth_m.shape, -1, np.int32)] * len(frames)
    folder = SceneFolder.open(scene)
    assert run([folder], source).words() == "3 frames labelled, 0 had masks before, 3 show no mask"
    assert (folder.mask_ids("halves", 0) == -1).all()


def test_a_frame_that_another_process_has_is_left_to_it(scene):
    folder = SceneFolder.open(scene)
    run([folder], Halves(bad=["room/000000"]), LabelFramesConfig(name="halves", retries=0))
    with claimed(folder.mask_path("halves", 0)):
        source = Halves()
        assert run([folder], source).words() == "0 frames labelled, 2 had masks before, 1 are another process's"
        assert source.asked == []


def test_a_full_disk_ends_the_run(scene, monkeypatch):
    def full(*unused, **unused_too):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("PIL.Image.Image.save", full)
    source = Halves(batch_size=1)
    with pytest.raises(InputError, match=r"cannot write .*masks/halves/000000.png: No space left on device"):
        run([SceneFolder.open(scene)], source)
    assert len(source.asked) == 1
    assert [path.name for path in (scene / "masks" / "halves").iterdir()] == ["settings.yaml"]


def test_masks_of_other_settings_are_not_mixed(scene):
    folder = SceneFolder.open(scene)
    run([folder], Halves())
    same = LabelFramesConfig(name="halves", every=3, retries=2)
    todo(same, [folder], Share())
    other = LabelFramesConfig.build({"name": "halves", "graph": {"min_px": 7}})
    with pytest.raises(ConfigError, match=r"halves holds masks of other settings: min_px was 200, is 7; choose"):
        todo(other, [folder], Share())


def test_damaged_settings_are_said(scene):
    folder = SceneFolder.open(scene)
    run([folder], Halves())
    (scene / "masks" / "halves" / "settings.yaml").write_text("{")
    with pytest.raises(InputError, match=r"settings.yaml is damaged: remove the folder"):
        run([folder], Halves())


def test_shares_are_disjoint_and_complete_whatever_is_done(make_scene):
    scenes = [SceneFolder.open(make_scene(name, 4)) for name in "ab"]
    config = LabelFramesConfig(name="halves")
    parts = []
    for rank in range(3):
        share = Share.from_environment({"RANK": str(rank), "WORLD_SIZE": "3", "LOCAL_RANK": "0"})
        parts.append([job.name for job in todo(config, scenes, share)[0]])
        run(scenes, Halves(), config, share)
    assert sorted(name for part in parts for name in part) == [f"{name}/00000{n}" for name in "ab" for n in range(4)]
    assert {len(part) for part in parts} == {2, 3}


@pytest.mark.parametrize("environment", [{"RANK": "2", "WORLD_SIZE": "2"}, {"RANK": "x"}, {"LOCAL_RANK": "-1"}])
def test_an_environment_that_contradicts_itself(environment):
    with pytest.raises(ConfigError, match=r"in the environment: expected 0 <= RANK < WORLD_SIZE and LOCAL_RANK >= 0"):
        Share.from_environment(environment)


def test_interrupted_after_the_frame_at_hand(scene):
    source = Halves(batch_size=1)
    plain = source.label

    def label(frames):
        os.kill(os.getpid(), signal.SIGINT)
        return plain(frames)

    source.label = label
    folder = SceneFolder.open(scene)
    assert run([folder], source).interrupted
    assert folder.mask_ids("halves", 0) is not None
    assert folder.mask_ids("halves", 1) is None
    source.label = plain
    assert not run([folder], source).interrupted


def test_several_processes_give_the_masks_of_one(make_scene):
    alone, together = (SceneFolder.open(make_scene(f"{name}/room", 4)) for name in ("alone", "together"))
    for scene, workers in ((alone, 0), (together, 2)):
        config = LabelFramesConfig(source="truth", workers=workers)
        missing, kept = todo(config, [scene], Share())
        outcome = label_frames(choose_workforce(config, None, Share()), missing, kept, 0, None)
        assert outcome.words() == "4 frames labelled, 0 had masks before"
    for index in range(4):
        assert np.array_equal(alone.mask_ids("truth", index), together.mask_ids("truth", index))


def test_a_source_that_cannot_be_made_there_is_said():
    pytest.importorskip("torch")
    with pytest.raises(ConfigError, match=r"needs weights"):
        RemoteLabeller(LabelFramesConfig(source="segment-anything"))
