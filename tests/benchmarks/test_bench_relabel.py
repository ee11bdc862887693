"""What each action of the relabeller takes on two million points, apart from its model and from the browser."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("viser", reason="viser is not installed")

from seg3d_core.data.scenes import SceneCloud, SceneWriter
from seg3d_core.geometry.camera import Camera
from seg3d_core.interaction.candidates import MaskCandidates
from seg3d_core.relabel.edits import ModelIdentity
from seg3d_core.relabel.models import Models
from seg3d_core.relabel.settings import RelabelConfig
from seg3d_core.relabel.web.controller import RelabelController
from seg3d_core.relabel.web.server import RelabelServer
from seg3d_core.types import Cloud, Prompt, RgbdFrame

EDGE_M, APART_M, BOX_M, HEIGHT_M = 15.0, 1.5, 0.6, 0.5
BOXES = int(EDGE_M / APART_M)
FLOOR = BOXES**2 + 1
EYE = np.array([7.5, 7.5, 6.0])
FRAMES = 12
"""More than the relabeller keeps."""
CAMERA = Camera(640, 480, np.array([[500.0, 0, 319.5], [0, 500.0, 239.5], [0, 0, 1]]))


class Knows(Models):
    """Answers with the box that was clicked, at once; the time it took is not counted."""

    description = "knows"

    def __init__(self, truth: np.ndarray) -> None:
        super().__init__(RelabelConfig.build({}))
        self.prompt, self.prompt_identity = self, ModelIdentity("knows")
        self._truth, self.spent = truth, np.zeros(2)

    def set_cloud(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def predict(self, prompt: Prompt, mask_input: object = None, multimask: bool | None = None) -> MaskCandidates:
        start = clocks()
        rows = [int(np.abs(self._cloud.points - point).sum(axis=1).argmin()) for point in prompt.points]
        inside = np.isin(self._truth, self._truth[rows][prompt.is_foreground])
        logits = np.repeat(np.where(inside, np.float32(4), np.float32(-4))[None], 3 if multimask else 1, axis=0)
        scores = np.full(len(logits), 0.9, np.float32)
        answer = MaskCandidates(self._cloud, logits, scores, scores)
        self.spent += clocks() - start
        return answer


def clocks() -> np.ndarray:
    """Now, s: of the wall, and of this process's work."""
    return np.array([time.perf_counter(), time.process_time()])


def boxes(count: int) -> tuple[Cloud, np.ndarray]:
    """A floor with boxes, and of each point the box (from 1) or that it is of the floor."""
    random = np.random.default_rng(0)
    xyz = random.uniform(0, EDGE_M, (count, 3))
    inside = (xyz[:, :2] % APART_M < BOX_M).all(axis=1)
    xyz[:, 2] = np.where(inside, HEIGHT_M, 0)
    across, along = (xyz[:, :2] // APART_M).astype(np.int32).T
    truth = np.where(inside, 1 + across * BOXES + along, FLOOR).astype(np.int32)
    return Cloud(xyz.astype(np.float32), random.random((count, 3), np.float32)), truth


class Desk:
    """A person at the relabeller."""

    def __init__(self, folder: Path, count: int) -> None:
        cloud, truth = boxes(count)
        depth = np.full((CAMERA.height, CAMERA.width), EYE[2] - HEIGHT_M, np.float32)
        with SceneWriter(folder, {"boxes": 0}) as writer:
            for number in range(FRAMES):
                T = np.eye(4)
                T[:3, :3], T[:3, 3] = np.diag([1.0, -1, -1]), EYE + np.array([0, 0.2 * number, 0])
                rgb = np.full((*depth.shape, 3), 0.5, np.float32)
                writer.add(str(number), RgbdFrame(depth, CAMERA, rgb, T, "map", number))
            scene = writer.finish(
                SceneCloud(cloud, np.zeros(count, np.int32), None, None, {}), np.array([0.0, 0, 1]), name="boxes",
                source="made", layout="synth",
            )  # fmt: skip
        self._models = Knows(truth)
        self.controller = RelabelController([scene], self._models, RelabelConfig.build({}))
        self.server = RelabelServer(self.controller, "127.0.0.1", 0)
        self.server.finish_events()
        self.seconds: dict[str, list[np.ndarray]] = {}

    def close(self) -> None:
        self.server.close()
        self.controller.close()

    def do(self, name: str, event: Callable[[], object]) -> None:
        """Until it is on its way to browsers; wall and processor, without what the model took."""
        self._models.spent[:] = 0
        start = clocks()
        self.server.do(event)
        self.server.finish_events()
        self.seconds.setdefault(name, []).append(clocks() - start - self._models.spent)
        assert not self.controller.message, self.controller.message

    def click(self, name: str, box: int, meaning: str = "on") -> None:
        """In the middle of a box; ``FLOOR``: beside the first."""
        across, along = divmod(box - 1, BOXES) if box != FLOOR else (5, 5)
        place = APART_M * np.array([across, along, 0]) + ([0.3, 0.3, HEIGHT_M] if box != FLOOR else [1.0, 1.0, 0])
        self.do(name, lambda: self.controller.click(EYE, place - EYE, meaning))

    def key(self, name: str, key: str) -> None:
        self.do(name, lambda: self.controller.key(key))


@pytest.fixture
def desk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Desk]:
    desk = Desk(tmp_path / "boxes", 2_000_000 if request.config.getoption("--bench") else 600_000)
    yield desk
    desk.close()


def label_boxes(desk: Desk, first: int) -> None:
    """Two objects, made, looked at, corrected and taken apart again."""
    for box in (first, first + 1):
        desk.click("click", box)
        desk.key("candidate", "2")
        desk.key("accept", "enter")
    desk.click("pick", first, "pick")
    desk.click("pick", first + 1, "pick")
    desk.key("merge", "M")
    desk.key("undo", "Z")
    desk.click("pick", first + 1, "pick")
    desk.key("merge", "M")
    desk.key("split", "S")
    desk.key("correct", "E")
    desk.click("click again", first + 2)
    desk.key("new", "N")
    for _ in range(2):
        desk.key("colours", "C")
    for _ in range(FRAMES):
        desk.key("next frame", "F")
    desk.click("pick", first, "pick")
    desk.key("delete", "D")


def test_actions(desk: Desk, request: pytest.FixtureRequest) -> None:
    measuring = request.config.getoption("--bench")
    for turn in range(5 if measuring else 1):
        label_boxes(desk, 44 + 3 * turn)
        desk.click("click, most of the scene", FLOOR)
        desk.key("accept, most of the scene", "enter")
        desk.key("undo, most of the scene", "Z")
        desk.key("new", "N")
    assert len(desk.controller.session.records) == (5 if measuring else 1)
    if measuring:
        print(f"\n{'ms, p50 p95':28} wall         processor")
        for name, seconds in desk.seconds.items():
            wall, work = (np.percentile(1e3 * np.array(seconds)[:, clock], [50, 95]) for clock in (0, 1))
            print(f"{name:28} {wall[0]:5.0f} {wall[1]:5.0f}  {work[0]:5.0f} {work[1]:5.0f}")
