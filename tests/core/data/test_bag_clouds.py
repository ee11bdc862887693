from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rosbags.typesys import Stores, get_typestore

from seg3d_core.colours import instance_colours
from seg3d_core.data.bag_clouds import CLOUD, decode_cloud, decode_instances, encode_cloud, encode_instances
from seg3d_core.errors import InputError
from seg3d_core.types import Cloud, Instances

STORE = get_typestore(Stores.ROS2_JAZZY)
MAKE = STORE.types
S = 1_000_000_000


def message(rows: np.ndarray, height: int = 1, big: bool = False, **changes: object) -> bytes:
    """A cloud of structured rows; ``changes`` of the message's fields."""
    codes = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 8}
    fields = [
        MAKE["sensor_msgs/msg/PointField"](name, offset, codes[kind.str[1:]], 1)
        for name, (kind, offset) in ((name, rows.dtype.fields[name][:2]) for name in rows.dtype.names)
    ]
    header = MAKE["std_msgs/msg/Header"](MAKE["builtin_interfaces/msg/Time"](7, 9), "map")
    width, step = len(rows) // height, rows.dtype.itemsize
    values = {
        "header": header,
        "height": height,
        "width": width,
        "fields": fields,
        "is_bigendian": big,
        "point_step": step,
        "row_step": step * width,
        "data": np.frombuffer(rows.tobytes(), np.uint8),
        "is_dense": True,
    }
    return bytes(STORE.serialize_cdr(MAKE[CLOUD](**{**values, **changes}), CLOUD))


@given(
    hnp.arrays(np.float32, st.tuples(st.integers(0, 9), st.just(3)), elements=st.floats(-9, 9, width=32)),
    st.booleans(),
    st.booleans(),
)
def test_clouds_come_back(points: np.ndarray, has_colour: bool, has_normals: bool) -> None:
    levels = (np.abs(points) * 25).astype(np.uint8)
    rgb = levels.astype(np.float32) * np.float32(1 / 255) if has_colour else None
    normals = np.tile(np.float32([0, 0.6, 0.8]), (len(points), 1)) if has_normals else None
    cloud = Cloud(points, rgb=rgb, normals=normals, frame_id="odom", stamp_ns=5 * S + 3)
    back = decode_cloud(encode_cloud(cloud))
    np.testing.assert_array_equal(back.points, points)
    for found, expected in ((back.rgb, rgb), (back.normals, normals)):
        assert (found is None) == (expected is None)
        if expected is not None:
            np.testing.assert_array_equal(found, expected)
    assert (back.frame_id, back.stamp_ns) == ("odom", 5 * S + 3)


def test_instances_come_back() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(50, 3)).astype(np.float32)
    masks = np.zeros((2, 50), np.bool_)
    masks[0, :10] = masks[1, 20:40] = True
    cloud = Cloud(points, frame_id="map", stamp_ns=S)
    found = Instances(cloud, masks, np.float32([0.9, 0.4]), np.int32([7, 3]))
    data = encode_instances(found)
    back = decode_instances(data)
    assert back.instance_ids.tolist() == [3, 7]
    np.testing.assert_array_equal(back.masks, masks[[1, 0]])
    np.testing.assert_allclose(decode_cloud(data).rgb[0], instance_colours(np.int32([7]))[0], atol=1 / 255)
    with pytest.raises(InputError, match="cloud has no field instance_id; its fields are x, y, z"):
        decode_instances(encode_cloud(cloud))


def test_other_layouts() -> None:
    kind = np.dtype({"names": ["z", "x", "y", "rgba"], "formats": [">f8"] * 3 + [">u4"], "offsets": [0, 8, 16, 40]})
    rows = np.zeros(4, kind)
    rows["x"], rows["y"], rows["z"] = [1, 2, np.nan, 4], 5, 6
    rows["rgba"] = 0xFF_80_00_40
    cloud = decode_cloud(message(rows, height=2, big=True))
    assert cloud.points.tolist() == [[1, 5, 6], [2, 5, 6], [4, 5, 6]]
    np.testing.assert_allclose(cloud.rgb[0] * 255, [0x80, 0, 0x40], rtol=1e-6)
    three = np.zeros(2, [(name, "<f4") for name in "xyz"] + [(name, "u1") for name in "rgb"])
    three["g"] = 255
    np.testing.assert_allclose(decode_cloud(message(three)).rgb, [[0, 1, 0]] * 2, rtol=1e-6)


ROWS = np.zeros(4, [(name, "<f4") for name in "xyz"])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (message(ROWS[["x", "y"]].copy()), "cloud has no field z; its fields are x, y"),
        (message(ROWS, width=5), r"cloud of 1x5 points has 48 bytes in rows of 48: 60 bytes in rows of at least 60"),
        (message(ROWS, point_step=8), "field 'z' takes bytes 8 to 12 of a point, but a point has 8 bytes"),
        (b"\0\1\0\0nonsense", "PointCloud2 message is damaged"),
    ],
)
def test_what_is_no_cloud_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        decode_cloud(data)
