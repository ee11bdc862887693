from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("geometry_msgs")

from geometry_msgs.msg import Pose, PoseWithCovariance, Vector3
from std_msgs.msg import Header

from seg3d_core.types import Cloud, Instances
from seg3d_ros import detections

pytestmark = pytest.mark.ros


def stand_in() -> ModuleType:
    """The fields of vision_msgs that are used, for systems without it (it has no wheels)."""
    defaults = {
        "ObjectHypothesis": lambda: {"class_id": "", "score": 0.0},
        "ObjectHypothesisWithPose": lambda: {"hypothesis": None, "pose": PoseWithCovariance()},
        "BoundingBox3D": lambda: {"center": Pose(), "size": Vector3()},
        "Detection3D": lambda: {"header": Header(), "results": [], "bbox": None, "id": ""},
        "Detection3DArray": lambda: {"header": Header(), "detections": []},
    }

    def message(name: str) -> type:
        def fill(self: SimpleNamespace, **values: object) -> None:
            known = defaults[name]()
            assert set(values) <= set(known), f"{name} has no {set(values) - set(known)}"
            SimpleNamespace.__init__(self, **(known | values))

        return type(name, (SimpleNamespace,), {"__init__": fill})

    module = ModuleType("vision_msgs.msg")
    for name in defaults:
        setattr(module, name, message(name))
    return module


@pytest.fixture(autouse=True)
def vision_msgs(monkeypatch: pytest.MonkeyPatch) -> None:
    if not detections.available():
        monkeypatch.setitem(sys.modules, "vision_msgs", ModuleType("vision_msgs"))
        monkeypatch.setitem(sys.modules, "vision_msgs.msg", stand_in())


def test_one_detection_per_instance_with_points() -> None:
    cube = np.array([[x, y, z] for x in (0, 2) for y in (0, 1) for z in (0, 4)], np.float32)
    cloud = Cloud(np.concatenate([cube, cube + 10]), frame_id="map", stamp_ns=5_000_000_007)
    masks = np.zeros((3, 16), bool)
    masks[0, :8] = masks[1, 8:] = True
    instances = Instances(cloud, masks, np.float32([0.5, 0.25, 1]), np.array([7, 70_000, 9], np.int32))
    array = detections.detection_array(instances)
    assert (array.header.frame_id, array.header.stamp.sec, array.header.stamp.nanosec) == ("map", 5, 7)
    assert [detection.id for detection in array.detections] == ["7", "70000"]
    for detection, center, score in zip(array.detections, [(1, 0.5, 2), (11, 10.5, 12)], [0.5, 0.25], strict=True):
        assert detection.header == array.header
        (result,) = detection.results
        assert (result.hypothesis.class_id, result.hypothesis.score) == ("object", score)
        assert result.pose.pose == detection.bbox.center
        position, size = detection.bbox.center.position, detection.bbox.size
        np.testing.assert_allclose((position.x, position.y, position.z), center, atol=1e-5)
        np.testing.assert_allclose((size.x, size.y, size.z), (2, 1, 4), atol=1e-5)
        assert detection.bbox.center.orientation.w == pytest.approx(1)
