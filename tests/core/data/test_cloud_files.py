from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import open3d as o3d
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seg3d_core.data.cloud_files import read_cloud, read_labelled, write_cloud, write_labelled
from seg3d_core.errors import InputError
from seg3d_core.types import IGNORE, Cloud, Instances, LabelledCloud

SUFFIXES = [".ply", ".pcd", ".npz"]
anywhere = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)


@st.composite
def clouds(draw: st.DrawFn) -> Cloud:
    count = draw(st.integers(1, 30))
    coordinates = st.floats(-1e4, 1e4, width=32)
    points = draw(hnp.arrays(np.float32, (count, 3), elements=coordinates))
    # Colours on the 8-bit grid: all that PLY and PCD promise to keep.
    rgb = draw(st.none() | hnp.arrays(np.uint8, (count, 3)))
    normals = None
    if draw(st.booleans()):
        angles = draw(hnp.arrays(np.float32, (count, 2), elements=st.floats(-3, 3, width=32)))
        normals = np.stack(
            [np.cos(angles[:, 0]) * np.cos(angles[:, 1]), np.sin(angles[:, 0]) * np.cos(angles[:, 1]),
             np.sin(angles[:, 1])], axis=1,
        ).astype(np.float32)  # fmt: skip
    return Cloud(points, None if rgb is None else rgb.astype(np.float32) / np.float32(255), normals)


def same(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    return (a is None and b is None) or (a is not None and b is not None and np.array_equal(a, b))


@pytest.mark.parametrize("suffix", SUFFIXES)
@anywhere
@given(cloud=clouds(), data=st.data())
def test_a_cloud_comes_back_as_it_was_written(suffix: str, cloud: Cloud, data: st.DataObject, tmp_path: Path) -> None:
    labels = data.draw(hnp.arrays(np.int32, len(cloud), elements=st.integers(-1, 3)))
    path = tmp_path / f"cloud{suffix}"
    write_cloud(path, cloud, Instances.from_labels(cloud, labels))
    back = read_labelled(path)
    assert same(back.cloud.points, cloud.points)
    assert same(back.cloud.rgb, cloud.rgb)
    assert same(back.cloud.normals, cloud.normals)
    assert same(back.instance_id, np.where(labels == IGNORE, IGNORE, labels + 1).astype(np.int32))


def test_npz_keeps_what_the_others_cannot(tmp_path: Path) -> None:
    cloud = Cloud(np.ones((2, 3), np.float32), np.full((2, 3), 1 / 3, np.float32), frame_id="map", stamp_ns=7 * 10**18)
    write_labelled(tmp_path / "a.npz", LabelledCloud(cloud, np.array([5, IGNORE], np.int32), {5: "mug"}))
    back = read_labelled(tmp_path / "a.npz")
    assert (back.cloud.frame_id, back.cloud.stamp_ns, back.names) == ("map", 7 * 10**18, {5: "mug"})
    assert same(back.cloud.rgb, cloud.rgb)


@pytest.mark.parametrize("suffix", [".ply", ".pcd"])
def test_open3d_reads_what_we_write(suffix: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cloud = Cloud(
        rng.random((50, 3), np.float32), rng.integers(0, 256, (50, 3)).astype(np.float32) / np.float32(255),
        np.tile(np.array([[0, 0, 1]], np.float32), (50, 1)),
    )  # fmt: skip
    labels = rng.integers(-1, 5, 50).astype(np.int32)
    write_cloud(tmp_path / f"a{suffix}", cloud, Instances.from_labels(cloud, labels))
    theirs = o3d.t.io.read_point_cloud(str(tmp_path / f"a{suffix}"))
    assert np.array_equal(theirs.point.positions.numpy(), cloud.points)
    assert np.array_equal(theirs.point.colors.numpy(), np.rint(cloud.rgb * 255).astype(np.uint8))
    assert np.array_equal(theirs.point.normals.numpy(), cloud.normals)
    assert np.array_equal(theirs.point.instance_id.numpy()[:, 0], labels + 1)


@pytest.mark.parametrize("suffix", [".ply", ".pcd"])
@pytest.mark.parametrize("options", [{"write_ascii": True}, {"compressed": True}, {}])
def test_we_read_what_open3d_writes(suffix: str, options: dict[str, bool], tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    theirs = o3d.t.geometry.PointCloud(rng.random((500, 3)).astype(np.float64))
    theirs.point.colors = np.repeat(rng.integers(0, 256, (50, 3)).astype(np.uint8), 10, axis=0)
    o3d.t.io.write_point_cloud(str(tmp_path / f"a{suffix}"), theirs, **options)
    cloud = read_cloud(tmp_path / f"a{suffix}")
    np.testing.assert_allclose(cloud.points, theirs.point.positions.numpy(), atol=1e-6)
    assert np.array_equal(np.rint(cloud.rgb * 255), theirs.point.colors.numpy())


def test_points_without_coordinates_are_dropped_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    points = np.array([[0, 0, 1], [np.nan, 0, 0], [2, 0, np.inf], [3, 4, 5]], np.float32)
    np.savez(tmp_path / "a.npz", xyz=points, rgb=np.arange(12, dtype=np.uint8).reshape(4, 3), instance=[1, 2, 3, 4])
    with caplog.at_level(logging.WARNING):
        labelled = read_labelled(tmp_path / "a.npz")
    assert "dropped 2 of 4 points" in caplog.text
    assert labelled.cloud.points.tolist() == [[0, 0, 1], [3, 4, 5]]
    assert labelled.cloud.source_index.tolist() == [0, 3]
    assert labelled.instance_id.tolist() == [1, 4]
    np.testing.assert_allclose(labelled.cloud.rgb[1] * 255, [9, 10, 11], rtol=1e-6)


def test_the_colour_range_is_decided_by_the_type(tmp_path: Path) -> None:
    xyz = np.zeros((1, 3), np.float32)
    np.savez(tmp_path / "bytes.npz", xyz=xyz, rgb=np.array([[1, 0, 255]], np.uint8))
    np.testing.assert_allclose(read_cloud(tmp_path / "bytes.npz").rgb, [[1 / 255, 0, 1]], rtol=1e-6)
    np.savez(tmp_path / "floats.npz", xyz=xyz, rgb=np.array([[1.0, 0, 0.5]]))
    assert read_cloud(tmp_path / "floats.npz").rgb.tolist() == [[1, 0, 0.5]]
    np.savez(tmp_path / "large.npz", xyz=xyz, rgb=np.array([[200.0, 0, 0]]))
    with pytest.raises(InputError, match=r"float colours are 0\.\.200, expected 0\.\.1; colours 0\.\.255 must be"):
        read_cloud(tmp_path / "large.npz")
    np.savez(tmp_path / "wide.npz", xyz=xyz, rgb=np.array([[200, 0, 0]], np.uint16))
    with pytest.raises(InputError, match=r"colours are uint16, expected uint8 \(0\.\.255\) or float \(0\.\.1\)"):
        read_cloud(tmp_path / "wide.npz")


def test_colours_of_dropped_points_do_not_matter(tmp_path: Path) -> None:
    nothing = [np.nan] * 3
    np.savez(tmp_path / "a.npz", xyz=np.array([[nothing, [0, 0, 1]]]), rgb=np.array([[nothing, [1, 0, 0]]]))
    cloud = read_cloud(tmp_path / "a.npz")
    assert (cloud.rgb.tolist(), cloud.source_index.tolist()) == ([[1, 0, 0]], [1])
    np.savez(tmp_path / "b.npz", xyz=np.zeros((1, 3)), rgb=np.array([nothing]))
    with pytest.raises(InputError, match=r"float colours are nan\.\.nan, expected 0\.\.1$"):
        read_cloud(tmp_path / "b.npz")


def test_normals_are_brought_to_length_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    np.savez(tmp_path / "a.npz", xyz=np.zeros((2, 3)), normals=np.array([[0, 3.0, 4.0], [0, 0, 0]]))
    with caplog.at_level(logging.WARNING):
        normals = read_cloud(tmp_path / "a.npz").normals
    np.testing.assert_allclose(normals, [[0, 0.6, 0.8], [0, 0, 0]], rtol=1e-6)
    assert "1 of 2 normals are zero or NaN" in caplog.text


def test_large_coordinates_are_announced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    np.savez(tmp_path / "a.npz", xyz=np.array([[5_000_000.03, 0, 0]]))
    with caplog.at_level(logging.WARNING):
        read_cloud(tmp_path / "a.npz")
    assert "single precision moves points by up to 0.03 m" in caplog.text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.ply", b"", "the file is empty"),
        ("a.xyz", b"1 2 3", "unknown suffix '.xyz', expected one of .ply, .pcd, .npz"),
        ("a.npz", b"PK\x03\x04 not really", "not a readable NumPy archive"),
        ("a.pcd", b"garbage", "not a PCD file, or truncated"),
        ("a.ply", b"garbage", "not a PLY file: it begins with b'gar'"),
    ],
)
def test_bad_files_are_refused_in_words(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"^{path}: {message}"):
        read_cloud(path)


def test_archives_that_are_none_are_refused(tmp_path: Path) -> None:
    points = np.zeros((2, 3), np.float32)
    with (tmp_path / "array.npz").open("wb") as file:
        np.save(file, points)
    np.savez(tmp_path / "secret.npz", points=points)
    content = bytearray((tmp_path / "secret.npz").read_bytes())
    for entry in (b"PK\3\4", b"PK\1\2"):
        content[content.index(entry) + (6 if entry[2] == 3 else 8)] |= 1  # the bit that says: encrypted
    (tmp_path / "secret.npz").write_bytes(content)
    for name in ("array", "secret"):
        with pytest.raises(InputError, match=f"{name}.npz: not a readable NumPy archive"):
            read_cloud(tmp_path / f"{name}.npz")


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.ply: No such file or directory"):
        read_cloud(tmp_path / "gone.ply")
    (tmp_path / "folder.ply").mkdir()
    with pytest.raises(InputError, match=r"this is a folder"):
        read_cloud(tmp_path / "folder.ply")
    with pytest.raises(InputError, match=r"it is a folder"):
        write_cloud(tmp_path / "folder.ply", Cloud(np.zeros((1, 3), np.float32)))
    with pytest.raises(InputError, match=r"the folder .*nowhere does not exist"):
        write_cloud(tmp_path / "nowhere" / "a.ply", Cloud(np.zeros((1, 3), np.float32)))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_truncation_is_noticed(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    write_cloud(path, Cloud(np.arange(30, dtype=np.float32).reshape(10, 3)))
    whole = path.read_bytes()
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError):
            read_cloud(path)


@anywhere
@given(suffix=st.sampled_from(SUFFIXES), start=st.integers(0, 500), noise=st.binary(max_size=40))
def test_damage_gives_a_cloud_or_an_input_error(suffix: str, start: int, noise: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    write_cloud(path, Cloud(np.ones((20, 3), np.float32), np.ones((20, 3), np.float32)))
    whole = path.read_bytes()
    path.write_bytes(whole[:start] + noise + whole[start + len(noise) :])
    try:
        assert np.isfinite(read_cloud(path).points).all()
    except InputError as error:
        assert str(path) in str(error)


def test_points_without_instances_are_not_labelled(tmp_path: Path) -> None:
    write_cloud(tmp_path / "a.ply", Cloud(np.zeros((1, 3), np.float32)))
    with pytest.raises(InputError, match=r"a\.ply: no instance numbers"):
        read_labelled(tmp_path / "a.ply")


def test_an_empty_cloud_is_neither_written_nor_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="an empty cloud is not written"):
        write_cloud(tmp_path / "a.ply", Cloud(np.zeros((0, 3), np.float32)))
    np.savez(tmp_path / "a.npz", xyz=np.zeros((0, 3)))
    with pytest.raises(InputError, match="the file holds no points"):
        read_cloud(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", xyz=np.full((4, 3), np.nan))
    with pytest.raises(InputError, match="all 4 points have NaN or infinite coordinates"):
        read_cloud(tmp_path / "b.npz")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(b"old")

    def full_disk(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(InputError, match="No space left on device"):
        write_cloud(path, Cloud(np.zeros((1, 3), np.float32)))
    assert [file.name for file in tmp_path.iterdir()] == ["a.npz"]
    assert path.read_bytes() == b"old"


def test_real_clouds(shared_data: Path) -> None:
    kitchen = read_cloud(shared_data / "kitchen" / "cloud_2cm.ply")
    theirs = o3d.t.io.read_point_cloud(str(shared_data / "kitchen" / "cloud_2cm.ply"))
    assert np.array_equal(kitchen.points, theirs.point.positions.numpy().astype(np.float32))
    assert np.array_equal(np.rint(kitchen.rgb * 255), theirs.point.colors.numpy())
    np.testing.assert_allclose(np.linalg.norm(kitchen.normals, axis=1), 1, atol=1e-3)
    for path in sorted((shared_data / "clouds").glob("*.ply")):
        assert len(read_cloud(path)) == len(o3d.t.io.read_point_cloud(str(path)).point.positions)
    bin_ = read_labelled(next((shared_data / "arc2017").glob("*.npz")))
    assert set(bin_.names) == set(bin_.instance_id.tolist()) - {IGNORE}
    assert len(bin_.names) == 8
