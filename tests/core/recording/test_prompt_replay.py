from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rosbags.typesys import Stores, get_typestore

from seg3d_core.cli import main
from seg3d_core.data.bag_clouds import CLOUD, encode_cloud, encode_instances
from seg3d_core.data.bags import BagWriter
from seg3d_core.errors import InputError
from seg3d_core.interaction.candidates import MaskCandidates
from seg3d_core.recording.prompt_replay import ReplayConfig, ReplayedObject, replay_prompts
from seg3d_core.types import Cloud, Instances

STORE = get_typestore(Stores.ROS2_JAZZY)
MAKE = STORE.types
CLICK, STRING = "geometry_msgs/msg/PointStamped", "std_msgs/msg/String"
S = 1_000_000_000


class Ball:
    """Means all that is within its radius of a click on the object, and of none beside it."""

    description = "a ball"

    def __init__(self, radius_m: float) -> None:
        self._radius_m = radius_m

    def set_cloud(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def predict(self, prompt, mask_input=None, multimask=None) -> MaskCandidates:
        away = np.linalg.norm(self._cloud.points[:, None] - prompt.points[None], axis=2) < self._radius_m
        mask = away[:, prompt.is_foreground].any(axis=1) & ~away[:, ~prompt.is_foreground].any(axis=1)
        logits = np.where(mask, 3, -3).astype(np.float32)[None]
        return MaskCandidates(self._cloud, logits, np.ones(1, np.float32), np.ones(1, np.float32))


def line(stamp_ns: int = S) -> Cloud:
    """A point every centimetre along x, 1 m."""
    points = np.zeros((101, 3), np.float32)
    points[:, 0] = np.arange(101) / 100
    return Cloud(points, frame_id="map", stamp_ns=stamp_ns)


def header(stamp_ns: int, frame: str) -> object:
    return MAKE["std_msgs/msg/Header"](MAKE["builtin_interfaces/msg/Time"](*divmod(stamp_ns, S)), frame)


def click(x: float, frame: str = "map") -> bytes:
    return bytes(
        STORE.serialize_cdr(MAKE[CLICK](header(S, frame), MAKE["geometry_msgs/msg/Point"](x, 0.0, 0.0)), CLICK)
    )


def accepted(**objects: tuple[int, int]) -> bytes:
    """Objects by id, i7=(first, behind the last) point of the line."""
    cloud = line()
    masks = np.zeros((len(objects), len(cloud)), np.bool_)
    for mask, (first, end) in zip(masks, objects.values(), strict=True):
        mask[first:end] = True
    ids = np.array([int(name[1:]) for name in objects], np.int32)
    found = Instances(cloud, masks, np.ones(len(ids), np.float32), ids)
    kept = masks.any(axis=0)
    return encode_instances(Instances(cloud.select(kept), masks[:, kept], found.scores, ids))


@pytest.fixture
def session(tmp_path: Path) -> Callable[..., Path]:
    def record(*events: tuple[str, bytes]) -> Path:
        path = tmp_path / "bag"
        kinds = {"clicked_point": CLICK, "clicked_point_negative": CLICK, "prompt_node/actions": STRING}
        with BagWriter(path) as writer:
            for number, (name, data) in enumerate(events, 1):
                writer.topic(f"/{name}", kinds.get(name, CLOUD))(number * S, data)
        return path

    return record


def replay(path: Path, radius_m: float) -> list[ReplayedObject]:
    return replay_prompts(path, ReplayConfig.build({}), Ball(radius_m), lambda done, total: None)


EMPTY = encode_cloud(Cloud(np.zeros((0, 3), np.float32), frame_id="map"))
TWO_OBJECTS = (
    ("cloud", encode_cloud(line())),
    ("clicked_point", click(0.2)),
    ("clicked_point", click(0.3)),
    ("clicked_point_negative", click(0.45)),
    ("prompt_node/mask", EMPTY),
    ("prompt_node/accepted", accepted(i7=(11, 36))),
    ("clicked_point", click(0.9)),
    ("prompt_node/mask", EMPTY),  # dropped
    ("clicked_point", click(0.7)),
    ("prompt_node/accepted", accepted(i7=(11, 36), i8=(61, 80))),
)


def test_the_same_model_finds_the_same(session: Callable[..., Path]) -> None:
    first, second = replay(session(*TWO_OBJECTS), 0.0999)
    assert (first.instance_id, first.prompts, first.recorded, first.now, first.iou) == (7, 3, 25, 25, 1.0)
    assert (second.instance_id, second.prompts, second.recorded, second.now, second.iou) == (8, 1, 19, 19, 1.0)


def test_another_model_is_compared(session: Callable[..., Path], capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    path = session(*TWO_OBJECTS)
    rows = replay(path, 0.0499)
    assert [row.now for row in rows] == [18, 9]
    assert [row.iou for row in rows] == [pytest.approx(18 / 25), pytest.approx(9 / 19)]
    monkeypatch.setattr("seg3d_core.prompting.make_prompt_model", lambda config: Ball(0.0499))
    assert main(["bags", "replay-prompts", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["7", "3", "25", "18", "72.0"]
    assert lines[3] == "mean IoU 59.7 % of 2 objects; a ball"


def test_what_cannot_be_compared_says_why(session: Callable[..., Path]) -> None:
    rows = replay(
        session(
            ("clicked_point", click(0.2)),
            ("prompt_node/accepted", accepted(i1=(0, 5))),
            ("cloud", encode_cloud(line())),
            ("prompt_node/accepted", accepted(i1=(0, 5), i2=(5, 9))),
            ("clicked_point", click(0.2, "camera")),
            ("prompt_node/accepted", accepted(i3=(0, 5))),
        ),
        0.1,
    )
    assert [row.note for row in rows] == [
        "clicked_point: there is no cloud before it",
        "no prompts were recorded before it",
        "clicked_point: it is in frame camera, the cloud in map, and there are no transforms",
    ]
    assert np.isnan([row.iou for row in rows]).all()


def test_what_was_undone_is_undone(session: Callable[..., Path]) -> None:
    def action(name: str) -> tuple[str, bytes]:
        return "prompt_node/actions", bytes(STORE.serialize_cdr(MAKE[STRING](name), STRING))

    (row,) = replay(
        session(
            ("cloud", encode_cloud(line())),
            ("clicked_point", click(0.9)),
            action("reject"),
            ("clicked_point", click(0.2)),
            ("clicked_point", click(0.8)),
            action("undo"),
            action("save_instances"),
            action("accept"),
            ("prompt_node/accepted", accepted(i7=(11, 30))),
        ),
        0.0999,
    )
    assert (row.instance_id, row.prompts, row.now, row.iou) == (7, 2, 19, 1.0)


def test_recordings_without_prompts_are_refused(session: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="has no clicked_point or another prompt: nothing can be asked again"):
        replay(session(("cloud", encode_cloud(line())), ("prompt_node/accepted", accepted(i1=(0, 5)))), 0.1)


def test_recordings_without_clouds_are_refused(session: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="has no clouds, so that it is not known what was clicked on"):
        replay(session(("clicked_point", click(0.2))), 0.1)
