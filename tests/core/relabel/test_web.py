"""The browser's side without a browser: what handlers are given becomes actions, and the state becomes pictures."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace

import numpy as np
import pytest

from seg3d_core import optional
from seg3d_core.data.scenes import SceneFolder
from seg3d_core.errors import ConfigError
from seg3d_core.geometry.transforms import apply, invert, to_quaternion
from seg3d_core.relabel.edits import ModelIdentity
from seg3d_core.relabel.settings import RelabelConfig
from seg3d_core.relabel.web.controller import RelabelController
from seg3d_core.relabel.web.frame_view import FrameViews
from seg3d_core.relabel.web.frame_view_kernels import number_by_pixel, paint_pixels, rows_in_view
from seg3d_core.relabel.web.seen import Seen
from seg3d_core.relabel.web.server import RelabelServer, screen_view

TABLE, TALL, FLAT, BALL = 1, 2, 3, 4
EYE = np.array([1.1, -0.6, 0.8])
ON = {TALL: (0.15, 0.06, 0.2), FLAT: (0.42, 0.25, 0.1), BALL: (0.1, 0.4, 0.16), TABLE: (0.6, -0.3, 0.0)}
TOKEN = "0123456789abcdef"


def window(eye=EYE, target=(0.2, 0.2, 0.05)):
    """viser's camera of a browser that looks at the table."""
    forward = np.subtract(target, eye) / np.linalg.norm(np.subtract(target, eye))
    right = np.cross(forward, [0, 0, 1])
    T = np.eye(4)
    T[:3, 0] = right / np.linalg.norm(right)
    T[:3, 1], T[:3, 2], T[:3, 3] = np.cross(forward, T[:3, 0]), forward, eye
    position, xyzw = to_quaternion(T)
    return SimpleNamespace(position=position, wxyz=np.roll(xyzw, 1), fov=1.2, aspect=1.6)


def event(target, camera=None):
    """A click as viser tells of it, at a place of the scene."""
    camera = camera or window()
    view = screen_view(camera)
    local = apply(invert(view.T_world_camera), np.array([target], np.float32))[0]
    across, down = (local[:2] / local[2] / view.tangents + 1) / 2
    return SimpleNamespace(
        client=SimpleNamespace(camera=camera),
        ray_origin=tuple(camera.position.tolist()),
        ray_direction=tuple(np.subtract(target, camera.position).tolist()),
        screen_pos=(float(across), float(down)),
    )


@pytest.fixture
def controller(table, tmp_path, told_class):
    scene, things = table
    models = told_class(things)
    controller = RelabelController([scene], models, RelabelConfig.build({}))
    yield controller
    controller.close()


def test_masks_are_projected_into_frames(table):
    scene, things = table
    cloud = scene.cloud().cloud
    views = FrameViews(SceneFolder.open(scene.path), cloud, 0.01)
    assert len(views) == 4
    none = np.zeros(len(cloud), np.int32)
    plain = views.picture(0, Seen(none, none > 0, (), "instances"))
    marked = views.picture(0, Seen(none, things == FLAT, (), "true"))
    frame = views.frame(0)
    changed = (plain != marked).any(axis=-1)
    blue = frame.rgb.argmax(axis=-1) == 2
    assert (changed & blue).sum() / (changed | (blue & (frame.depth_m > 0))).sum() > 0.8
    # What is hidden behind another thing is not painted over it.
    assert not (changed & (frame.rgb[..., 0] > 0.7)).sum() > 0.1 * changed.sum()
    assert views.best_for(np.array([0.15, 0.0, 0.2])) in (0, 1)
    assert views.best_for(np.array([0.0, 0.0, 50.0])) is None


def test_a_pixel_has_the_last_point_that_is_seen_there():
    random = np.random.default_rng(0)
    points = random.uniform(-1, 1, (300, 3)).astype(np.float32)
    T = np.eye(4)
    T[:3, 3] = 0.1, -0.2, 1.0
    low, high = np.array([-0.5, -0.4]), np.array([0.3, 0.6])
    local = apply(T, points)
    slopes = local[:, :2] / local[:, 2:]
    plain = np.flatnonzero((local[:, 2] > 0.1) & (slopes >= low).all(axis=1) & (slopes <= high).all(axis=1))
    assert rows_in_view(points, T, low, high, 0.1).tolist() == plain.tolist()

    pixels, depth = random.integers(-3, 23, (80, 2)), random.uniform(0.5, 2, 80).astype(np.float32)
    frame = random.uniform(0.5, 2, (16, 20)).astype(np.float32)
    expected = np.full(frame.shape, -1)
    chosen = np.arange(0, 80, 3)
    for number in chosen:
        u, v = pixels[number]
        for down, across in np.ndindex(frame.shape):
            is_near = max(abs(down - v), abs(across - u)) <= 2
            if is_near and abs(frame[down, across] - depth[number]) <= 0.1 * max(depth[number], 1):
                expected[down, across] = number
    numbers = number_by_pixel(pixels, depth, chosen, frame, 2, 0.1)
    assert (numbers == expected).all()

    picture, rgb = (random.integers(0, 256, (*shape, 3)).astype(np.uint8) for shape in (frame.shape, (80,)))
    mixed = np.rint(0.35 * picture + 0.65 * rgb[expected])
    painted = picture.copy()
    paint_pixels(painted, numbers, rgb, 0.65)
    assert (painted == np.where(expected[..., None] >= 0, mixed, picture)).all()


def test_proposals_are_of_the_model_of_the_settings(table, told_class):
    scene, things = table
    models = told_class(things)
    config = RelabelConfig.build({"segment": {"model": "graph"}})
    controller = RelabelController([scene], models, config)
    controller.key("P")
    assert {(record.decision, record.model) for record in controller.session.records.values()} == {
        ("proposed", "graph")
    }
    controller.close()
    assert RelabelConfig.build({}).segment.model == "nano"
    assert models.segmenter_identity("graph") == ModelIdentity("graph")
    assert len(models.segmenter_identity("nano").sha256) == 64


def test_scenes_without_frames_have_none(tmp_path, table, told_class):
    from seg3d_core.data.cloud_files import write_cloud
    from seg3d_core.relabel.targets import open_targets

    write_cloud(tmp_path / "one.ply", table[0].cloud().cloud)
    scene = open_targets([tmp_path / "one.ply"], tmp_path / "to", lambda _: None)
    views = FrameViews(scene[0], table[0].cloud().cloud, 0.01)
    assert (len(views), views.best_for(np.zeros(3))) == (0, None)


def test_events_become_actions_and_browsers_see_what_came_of_them(controller, table):
    pytest.importorskip("viser", reason="viser is not installed")
    things = table[1]
    with RelabelServer(controller, "127.0.0.1", 0) as server:

        def send(meaning, *places):
            for place in places:
                asyncio.run(server.clicked(meaning)(event(place)))
            server.finish_events()

        def press(*keys):
            for key in keys:
                server.do(lambda key=key: controller.key(key))
            server.finish_events()

        def shown_as(thing):
            """Colour of the point nearest to a place, in the browser."""
            points = controller.session.cloud.points
            away = [np.linalg.norm(points[rows] - ON[thing], axis=1) for rows in controller.now.overview.pieces]
            piece = int(np.argmin([one.min() for one in away]))
            return tuple(server._cloud._overview[piece].handle.colors[away[piece].argmin()].tolist())

        before = shown_as(TALL)
        send("on", ON[TALL])
        assert (controller.selected == (things == TALL)).all(), controller.message
        assert shown_as(TALL) != before
        assert "predicted IoU 0.90" in server._panel._message.content
        send("on", ON[FLAT])
        send("beside", ON[FLAT])
        assert (controller.selected == (things == TALL)).all()
        server._panel._name.value = "tall"
        server.do(server._panel.accept)
        send("on", ON[FLAT])
        press("2", "1", "enter")
        assert controller.session.sizes == {1: int((things == TALL).sum()), 2: int((things == FLAT).sum())}
        assert "| 1 | tall | 1726 | accepted |" in server._panel._list.content
        assert server._panel._name.value == ""
        # Pick and merge; undo; split again by places.
        send("pick", ON[TALL], ON[FLAT])
        assert controller.picked == (1, 2)
        press("M")
        assert list(controller.session.sizes) == [1]
        press("Z", "escape", "D")
        assert list(controller.session.sizes) == [1, 2]
        assert "**shift-click the instances to delete; none is picked**" in server._panel._message.content
        send("pick", ON[FLAT])
        press("E")
        assert (controller.session.editing, controller.picked) == (2, ())
        press("N")
        # A lasso around the ball from above, corner by corner.
        press("L")
        camera = window(np.array([0.1, 0.39, 1.2]), (0.1, 0.4, 0.0))
        for angle in np.linspace(0, 5.5, 8):
            place = np.array(ON[BALL]) + 0.1 * np.array([np.cos(angle), np.sin(angle), 0])
            asyncio.run(server.clicked("on")(event(place, camera)))
        press("enter", "2")
        assert controller.selected[(things == BALL) & (controller.session.cloud.points[:, 2] > 0.12)].all()
        assert controller.session.selection.source == "lasso"
        asyncio.run(
            server.rectangle(
                SimpleNamespace(client=SimpleNamespace(camera=camera), screen_min=(0.45, 0.4), screen_max=(0.55, 0.6))
            )
        )
        press("enter")
        assert len(controller.session.records) == 3
        send("on", (9.0, 9.0, 9.0))
        assert "**there is no point under the cursor**" in server._panel._message.content
        press("C")
        assert shown_as(TALL) == before
        server.do(lambda: controller.show_frame(2))
        server.do(controller.save)
        server.finish_events()
        assert "written: 3 instances" in controller.message
        # An event that fails altogether does not end the others.
        logging.getLogger("seg3d_core.browser.page").disabled = True
        server.do(lambda: 1 // 0)
        logging.getLogger("seg3d_core.browser.page").disabled = False
        press("Z")
    assert (SceneFolder.open(table[0].path).cloud().instance_id == 1).sum() == (things == TALL).sum()


def test_scenes_are_changed_and_what_was_done_is_written(table, tmp_path, told_class):
    import shutil

    scene, things = table
    shutil.copytree(scene.path, tmp_path / "other")
    scenes = [scene, SceneFolder.open(tmp_path / "other")]
    controller = RelabelController(scenes, told_class(things), RelabelConfig.build({}))
    controller.click(EYE, np.subtract(ON[TALL], EYE), "on")
    controller.accept("tall")
    controller.open_scene(1)
    assert (controller.index, controller.session.sizes) == (1, {})
    assert SceneFolder.open(scene.path).cloud().names == {1: "tall"}
    controller.open_scene(0)
    assert controller.session.sizes == {1: int((things == TALL).sum())}
    controller.close()


def test_viser_is_asked_for_in_words(controller, monkeypatch):
    def gone(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(optional.importlib, "import_module", gone)
    with pytest.raises(
        ConfigError, match="relabelling in a browser needs viser, which is not installed: python -m pip"
    ):
        RelabelServer(controller, "127.0.0.1", 0)
