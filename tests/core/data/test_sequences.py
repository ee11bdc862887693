from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from seg3d_core.data.sequences import RgbdSequence, open_sequence
from seg3d_core.data.tum_sequences import pair
from seg3d_core.errors import InputError
from seg3d_core.geometry.transforms import from_quaternion

WIDTH, HEIGHT = 8, 6
K = "525 0 3.5\n0 525 2.5\n0 0 1\n"


def pose(x: float) -> str:
    return f"1 0 0 {x}\n0 1 0 0\n0 0 1 0\n0 0 0 1\n"


def write_images(folder: Path, stem: str, depth: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    for name in ("color", "depth", "pose"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (255, 0, 51)).save(folder / "color" / f"{stem}.png")
    values = np.full((HEIGHT, WIDTH), depth, np.uint16)
    values[0, 0], values[0, 1] = 0, 65535
    Image.fromarray(values).save(folder / "depth" / f"{stem}.png")


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    for number in range(3):
        write_images(tmp_path, f"{number:03}", 1000 + number)
        (tmp_path / "pose" / f"{number:03}.txt").write_text(pose(number))
    (tmp_path / "intrinsics.txt").write_text(K)
    return tmp_path


def test_the_plain_layout(plain: Path) -> None:
    sequence = open_sequence(plain)
    assert isinstance(sequence, RgbdSequence)
    assert (len(sequence), sequence.layout, sequence.skipped) == (3, "plain", 0)
    assert sequence.up.tolist() == [0, 0, 1]
    assert sequence.stamps_ns.tolist() == [0, 33_333_333, 66_666_667]
    frame = sequence[2]
    assert (frame.frame_id, frame.stamp_ns) == ("map", 66_666_667)
    assert frame.depth_m[0, :3].tolist() == [0, 0, np.float32(1.002)]
    np.testing.assert_allclose(frame.rgb[3, 3], [1, 0, 0.2], rtol=1e-6)
    assert frame.T_world_camera[0, 3] == 2
    assert frame.camera.K[0, 0] == 525
    assert sequence[-1].stamp_ns == frame.stamp_ns
    with pytest.raises(IndexError):
        sequence[3]


def test_stamps_and_gravity_are_read_where_they_are(plain: Path) -> None:
    (plain / "frames.txt").write_text("# index source s\n000 0 0.1\n001 5 1700000000.123456789\n002 9 1700000001\n")
    (plain / "gravity_direction.txt").write_text("0\n2\n0\n")
    sequence = open_sequence(plain)
    assert sequence.stamps_ns.tolist() == [100_000_000, 1700000000123456789, 1700000001000000000]
    assert sequence.up.tolist() == [0, -1, 0]


def rename(old: str, new: str) -> Callable[[Path], object]:
    return lambda folder: (folder / old).rename(folder / new)


def write(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (rename("depth", "depth_raw"), "has depth_raw/ but no depth/: depth_raw belongs to the depth camera"),
        (rename("pose", "pose_depth"), "has pose_depth/ but no pose/"),
        (write("intrinsics_depth.txt", K.replace("525", "585")), "not registered to colour: .* fx = 585 px.* 525 px"),
        (rename("intrinsics.txt", "k.txt"), r"cannot read .*intrinsics\.txt: No such file"),
        (rename("pose", "poses"), "there is no folder .*pose"),
        (write("intrinsics.txt", "525 0 3"), "3 numbers, expected a 3x3 matrix"),
        (write("intrinsics.txt", K.replace("525", "0")), "fx = 0 px"),
        (write("pose/001.txt", "one"), "could not convert string to float: 'one', expected a 4x4 matrix"),
        (write("pose/001.txt", pose(0).replace("1 0 0", "2 0 0", 1)), r"001\.txt is not rigid"),
        (rename("pose/001.txt", "pose/9.txt"), "1 of 3 depth images have no pose file: 001"),
        (rename("color/002.png", "color/9.png"), "1 of 3 depth images have no color file: 002"),
        (write("frames.txt", "000 0 0\n001 0 1\n"), "has no line for 1 of 3 frames: 002"),
        (write("frames.txt", "000 0 0\n001 0 2\n002 0 1\n"), r"stamps do not increase at 002\.png \(1000000000 ns\)"),
        (write("frames.txt", "000 0 zero\n"), "'zero' is not a time in seconds"),
        (write("frames.txt", "000 0 nan\n"), "'nan' is not a time in seconds"),
        (write("frames.txt", "000 0 1e999999\n"), "'1e999999' is not a time in seconds"),
        (write("frames.txt", "000 0 1e11\n"), "a time of 1e11 s is out of range, at most 9223372036 s"),
        (write("frames.txt", "000\n"), "line 1: 1 columns, expected 2: '000'"),
        (write("gravity_direction.txt", "0 0 0"), "is no direction"),
        (rename("depth", "d"), "there is no folder .*depth"),
    ],
)
def test_broken_sequences_are_refused_in_words(plain: Path, break_it: Callable[[Path], object], message: str) -> None:
    break_it(plain)
    with pytest.raises(InputError, match=message):
        open_sequence(plain)


def test_what_is_not_a_sequence_is_refused_in_words(plain: Path) -> None:
    with pytest.raises(InputError, match="is not there: the folder of an RGB-D sequence"):
        open_sequence(plain / "gone")
    with pytest.raises(InputError, match="is a file, expected the folder"):
        open_sequence(plain / "intrinsics.txt")
    with pytest.raises(InputError, match=f"depth is one part of a sequence: open {plain}"):
        open_sequence(plain / "depth")
    (plain / "color").rename(plain / "rgb")
    with pytest.raises(InputError, match=r"expected plain .*; found depth, intrinsics\.txt, pose, rgb"):
        open_sequence(plain)


def test_damaged_images_are_named_when_they_are_read(plain: Path) -> None:
    sequence = open_sequence(plain, registration_frames=0)
    image = plain / "depth" / "001.png"
    image.write_bytes(image.read_bytes()[:60])
    with pytest.raises(InputError, match=r"depth/001\.png: cannot be read as an image"):
        sequence[1]
    Image.new("L", (WIDTH, HEIGHT)).save(image)
    with pytest.raises(InputError, match="mode L, expected one channel of 16 bits"):
        sequence[1]
    Image.new("RGB", (4, 4)).save(plain / "color" / "002.png")
    with pytest.raises(InputError, match=r"002\.png: 4x4 px, the sequence has 8x6 px"):
        sequence[2]


def test_sizes_of_the_plain_layout_must_agree(plain: Path) -> None:
    write_images(plain, "000", 1000, (16, 12))
    with pytest.raises(InputError, match="depth is 8x6 px and colour 16x12 px"):
        open_sequence(plain)


@pytest.fixture
def scannet(tmp_path: Path) -> Path:
    for number in (0, 10, 2):
        write_images(tmp_path, str(number), 2000, (2 * WIDTH, 2 * HEIGHT))
        (tmp_path / "pose" / f"{number}.txt").write_text(pose(number))
    (tmp_path / "pose" / "2.txt").write_text("-inf " * 16)
    (tmp_path / "intrinsic").mkdir()
    (tmp_path / "intrinsic" / "intrinsic_depth.txt").write_text("525 0 3.5 0\n0 525 2.5 0\n0 0 1 0\n0 0 0 1\n")
    (tmp_path / "intrinsic" / "intrinsic_color.txt").write_text("1050 0 7.5 0\n0 1050 5.5 0\n0 0 1 0\n0 0 0 1\n")
    return tmp_path


def test_a_scannet_export(scannet: Path) -> None:
    sequence = open_sequence(scannet)
    assert (sequence.layout, len(sequence), sequence.skipped) == ("scannet", 2, 1)
    assert [frame.depth.stem for frame in sequence.frames] == ["0", "10"]
    assert sequence.stamps_ns.tolist() == [0, 333_333_333]
    frame = sequence[1]
    assert frame.rgb.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_allclose(frame.rgb[0, 0], [1, 0, 0.2], rtol=1e-6)
    assert frame.camera.K[0, 0] == 525


def test_a_scannet_export_seen_from_two_places_is_refused(scannet: Path) -> None:
    (scannet / "intrinsic" / "intrinsic_color.txt").write_text("1050 0 17.5 0\n0 1050 5.5 0\n0 0 1 0\n0 0 0 1\n")
    with pytest.raises(InputError, match=r"intrinsics move a corner by 5\.0 px, at most 4 px is allowed"):
        open_sequence(scannet)


def test_a_sequence_without_any_pose_is_refused(scannet: Path) -> None:
    for number in (0, 10):
        (scannet / "pose" / f"{number}.txt").write_text("-inf " * 16)
    with pytest.raises(InputError, match=r"no usable frame \(3 without a pose"):
        open_sequence(scannet)


@pytest.fixture
def tum(tmp_path: Path) -> Path:
    for number in range(4):
        write_images(tmp_path, str(number), 5000)
    (tmp_path / "color").rename(tmp_path / "rgb")
    stamps = ["1305031102.175304", "1305031102.211214", "1305031102.243211", "1305031102.275326"]
    colour = "".join(f"{stamp} rgb/{i}.png\n" for i, stamp in enumerate(stamps))
    (tmp_path / "rgb.txt").write_text("# color images\n# timestamp filename\n" + colour)
    depth = ["1305031102.170304", "1305031102.212214", "1305031102.226738", "1305031109"]
    (tmp_path / "depth.txt").write_text("".join(f"{stamp} depth/{i}.png\n" for i, stamp in enumerate(depth)))
    turned = "0 0 0.70710678 0.70710678"
    (tmp_path / "groundtruth.txt").write_text(
        f"# t tx ty tz qx qy qz qw\n1305031102.160304 0 0 0 0 0 0 1\n1305031102.180304 2 0 0 {turned}\n"
        f"1305031102.300000 2 0 0 {turned}\n"
    )
    (tmp_path / "intrinsics.txt").write_text(K)
    return tmp_path


def test_the_tum_layout(tum: Path) -> None:
    sequence = open_sequence(tum)
    # The third depth image is nearer to the second colour image, which has a still nearer one: it gets the third.
    # The fourth has neither image nor pose.
    assert (sequence.layout, sequence.skipped) == ("tum", 1)
    assert [(f.depth.stem, f.colour.stem) for f in sequence.frames] == [("0", "0"), ("1", "1"), ("2", "2")]
    assert sequence.stamps_ns[0] == 1305031102170304000
    frame = sequence[0]
    assert frame.depth_m[2, 2] == 1
    # Half way between the two first poses in time: half the way and half the turn.
    angle = np.pi / 8
    half = from_quaternion(np.array([1.0, 0, 0]), np.array([0, 0, np.sin(angle), np.cos(angle)]))
    np.testing.assert_allclose(frame.T_world_camera, half, atol=1e-6)


def test_tum_intrinsics_are_known_for_its_own_size_only(tum: Path) -> None:
    (tum / "intrinsics.txt").unlink()
    with pytest.raises(InputError, match=r"8x6 px: put the 3x3 camera matrix into intrinsics\.txt"):
        open_sequence(tum)


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 300), min_size=1, max_size=20, unique=True),
    st.lists(st.integers(0, 300), min_size=1, max_size=20, unique=True),
    st.integers(0, 50),
)
def test_pairs_are_one_to_one_and_nobody_would_rather_swap(a: list[int], b: list[int], gap: int) -> None:
    a, b = sorted(a), sorted(b)
    pairs = pair(np.array(a, np.int64), np.array(b, np.int64), gap)
    of_a, of_b = dict(pairs), {k: i for i, k in pairs}
    assert len(of_a) == len(of_b) == len(pairs)
    for i in range(len(a)):
        for k in range(len(b)):
            distance = abs(a[i] - b[k])
            if distance <= gap:
                served_a = i in of_a and abs(a[i] - b[of_a[i]]) <= distance
                served_b = k in of_b and abs(a[of_b[k]] - b[k]) <= distance
                assert served_a or served_b
            else:
                assert of_a.get(i) != k


def test_the_kitchen(shared_data: Path) -> None:
    sequence = open_sequence(shared_data / "kitchen")
    assert (len(sequence), sequence.skipped) == (100, 0)
    assert sequence.stamps_ns[1] == 166_667_000
    np.testing.assert_allclose(sequence.up, [0.00887, -0.90443, -0.42654], atol=1e-4)
    frame = sequence[0]
    assert frame.depth_m.shape == (480, 640)
    assert frame.depth_m[frame.depth_m > 0].min() > 0.3
    assert frame.depth_m.max() < 10


@pytest.mark.parametrize(("name", "count"), [("sun3d_5frames", 5), ("apc_shelf_15frames", 15)])
def test_other_real_sequences(shared_data: Path, name: str, count: int) -> None:
    assert len(open_sequence(shared_data / "posed" / name)) == count


def test_the_unregistered_kitchen_is_refused_by_its_pictures(shared_data: Path, tmp_path: Path) -> None:
    kitchen = shared_data / "kitchen"
    for name, source in (("color", "color"), ("depth", "depth_raw"), ("pose", "pose_depth")):
        (tmp_path / name).symlink_to(kitchen / source)
    (tmp_path / "intrinsics.txt").write_text((kitchen / "intrinsics.txt").read_text())
    with pytest.raises(InputError, match=r"depth is not registered to colour: their edges are about \d\d px apart"):
        open_sequence(tmp_path)
    assert len(open_sequence(tmp_path, registration_frames=0)) == 100
