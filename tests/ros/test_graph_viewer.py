"""viewer_node and prompt_node on a real graph: a click in a page yields a mask."""

from __future__ import annotations

from collections.abc import Iterator

import chromium
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the ROS wheels (Python 3.11, 3.12) or a sourced ROS 2")
pytest.importorskip("torch", reason="networks need PyTorch")
pytest.importorskip("viser", reason="viser is not installed: python -m pip install viser")

from boxes import HIGH, LOW, boxes_cloud
from geometry_msgs.msg import PointStamped
from lifecycle_msgs.msg import Transition
from page_user import PageUser
from prompt_user import RELIABLE, PromptUser, S, iou
from ros_graph import Graph

from seg3d_ros.conversions.stamps import stamp_ns

pytestmark = pytest.mark.ros

NODE = "/viewer_node"
CLOUD, LABELS = boxes_cloud(0, spacing_m=0.02)
_LOW, _HIGH = np.percentile(CLOUD.points, [1, 99], axis=0)
EYE = (_LOW + _HIGH) / 2 + np.linalg.norm(_HIGH - _LOW) * np.array([-0.45, -0.55, 0.6])
"""Where a browser that comes looks from."""
TOPS = [(*((LOW[box] + HIGH[box]) / 2)[:2], HIGH[box][2]) for box in range(3)]


@pytest.fixture(scope="module")
def user(shared_graph: Graph) -> PromptUser:
    """prompt_node with a cloud, and viewer_node."""
    shared_graph.start("viewer_node", port=0, cloud_period_s=0.05)
    user = PromptUser(shared_graph, point_sam__device="cpu", scene__mode="whole")
    shared_graph.active(NODE)
    return user


@pytest.fixture
def desk(user: PromptUser) -> Iterator[PromptUser]:
    user.afresh(CLOUD)
    yield user
    assert "internal error" not in "".join(child.text() for child in user.graph.children)
    assert int(user.graph.status(NODE).get("crashes", 0)) == 0


def port(graph: Graph) -> int:
    return int(graph.until(lambda: graph.status(NODE).get("port", "0") != "0" and graph.status(NODE)["port"]))


def hears_clouds(desk: PromptUser) -> bool:
    """viewer_node subscribes to the cloud, as prompt_node does."""
    return desk.clouds.get_subscription_count() == 2


def looks_from(page: chromium.Page) -> np.ndarray:
    """Where the camera of the 3-D view is; three.js has y up, and viser's x and y lie as here."""
    x, y, z = page.evaluate("window.__viserMutable.camera.position.toArray()")
    return np.array([-z, -x, y])


def pixel(page: chromium.Page, place: tuple[float, float, float]) -> tuple[float, float]:
    """Where a place of the scene is in the window."""
    words = "(() => {const c = window.__viserMutable.camera; c.updateMatrixWorld(); return c.%s.elements})()"
    inverse, projection = (
        np.reshape(list(page.evaluate(words % name)), (4, 4)).T for name in ("matrixWorldInverse", "projectionMatrix")
    )
    x, y, z = place
    shown = projection @ inverse @ [-y, z, -x, 1]
    left, top, width, height = page.canvas()
    return left + (shown[0] / shown[3] + 1) / 2 * width, top + (1 - shown[1] / shown[3]) / 2 * height


def see(desk: PromptUser) -> None:
    """A cloud of now reaches the page."""
    desk.graph.subscribed(desk.clouds, 2)
    before = int(desk.graph.status(NODE)["frames_used"])
    desk.see(CLOUD)
    desk.graph.until(lambda: int(desk.graph.status(NODE)["frames_used"]) > before)


def test_a_click_in_a_page_becomes_a_prompt_and_a_mask(desk: PromptUser) -> None:
    graph = desk.graph
    heard = {
        name: graph.collect(PointStamped, f"/{name}", RELIABLE) for name in ("clicked_point", "clicked_point_negative")
    }
    assert not hears_clouds(desk), "nobody looks, so nothing is heard"
    slow, page = PageUser(port(graph), reads=False), PageUser(port(graph))
    see(desk)
    count = len(desk.masks)
    page.click(TOPS[0])
    graph.until(lambda: len(desk.masks) > count)
    (click,) = heard["clicked_point"]
    assert (click.header.frame_id, stamp_ns(click.header.stamp)) == ("map", desk.now_s * S)
    np.testing.assert_allclose([click.point.x, click.point.y, click.point.z], TOPS[0], atol=0.03)
    assert iou(desk.mask(), CLOUD, LABELS == 1) > 0.8
    # Beside the object, on the floor.
    page.click((-0.4, 0.5, 0.0), "cmd/ctrl")
    graph.until(lambda: len(desk.masks) > count + 1)
    assert [len(heard[name]) for name in heard] == [1, 1]
    # What a browser is not quick enough for is not kept for it, and one that vanishes takes nothing with it.
    before = page.received_bytes
    for _ in range(10):
        desk.send(CLOUD)
    graph.until(lambda: page.received_bytes > before + 12 * len(CLOUD))
    slow.drop()
    page.click(TOPS[1])
    graph.until(lambda: len(heard["clicked_point"]) == 2)
    page.click((9.0, 9.0, 0.0))
    page.close()
    graph.until(lambda: not hears_clouds(desk))
    assert len(heard["clicked_point"]) == 2, "there is nothing under the last one"


def test_there_is_a_page_while_the_node_is_active(desk: PromptUser) -> None:
    graph = desk.graph
    number = port(graph)
    page = PageUser(number)
    see(desk)
    assert graph.transition(NODE, Transition.TRANSITION_DEACTIVATE)
    with pytest.raises(OSError):
        PageUser(number)
    graph.until(lambda: not hears_clouds(desk))
    assert graph.transition(NODE, Transition.TRANSITION_ACTIVATE)
    # The system gives it another port; what it says of itself comes a moment later.
    graph.until(lambda: graph.status(NODE).get("port", "0") not in ("0", str(number)))
    page.close()


@chromium.needs_chromium
def test_a_person_clicks_in_a_browser(desk: PromptUser, tmp_path) -> None:
    graph = desk.graph
    browser = chromium.Browser(tmp_path / "profile")
    try:
        page = browser.open(f"http://127.0.0.1:{port(graph)}/")
        see(desk)
        chromium.wait_for(lambda: f"{len(CLOUD):,} points" in page.text())
        chromium.wait_for(lambda: np.allclose(looks_from(page), EYE, atol=0.01))
        count = len(desk.masks)
        page.click(*pixel(page, TOPS[0]))
        graph.until(lambda: len(desk.masks) > count)
        assert iou(desk.mask(), CLOUD, LABELS == 1) > 0.8
        chromium.wait_for(lambda: f"object in progress: {desk.masks[-1].width:,} points" in page.text())
        page.click(*pixel(page, (-0.4, 0.6, 0.0)), button="right")
        graph.until(lambda: len(desk.masks) > count + 1)
        page.press("Z")
        graph.until(lambda: len(desk.masks) > count + 2)
        page.press("Enter")
        chromium.wait_for(lambda: "accept: accepted object 5000" in page.text())
        chromium.wait_for(lambda: "1 instances accepted" in page.text() and "prompt_node" in page.text())
        page.screenshot(tmp_path / "viewer.png")
    finally:
        browser.close()
    assert (tmp_path / "viewer.png").stat().st_size > 10_000
