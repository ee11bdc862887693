"""What a path given to ``seg3d data import`` is, by the files that lie there."""

from __future__ import annotations

from pathlib import Path

from seg3d_core.data.scenes.bag_recording import BagRecording
from seg3d_core.data.scenes.bag_topics import BagTopicsConfig
from seg3d_core.data.scenes.recordings import Z_UP, Recording, SequenceRecording
from seg3d_core.data.scenes.replica import TRAJECTORY, open_replica
from seg3d_core.data.scenes.scannetpp import POSES, ScanNetPPRecording
from seg3d_core.data.scenes.scans import scannet_scan
from seg3d_core.data.scenes.sens_recording import SUFFIX, SensRecording
from seg3d_core.data.scenes.seven_scenes import SevenScenesRecording
from seg3d_core.data.sequences import open_sequence
from seg3d_core.errors import InputError

_BAGS = (".mcap", ".db3")
LAYOUTS = (
    "plain (color/ depth/ pose/ intrinsics.txt), ScanNet export (color/ depth/ pose/ intrinsic/) or .sens file, "
    "ScanNet++ (iphone/pose_intrinsic_imu.json), 7-Scenes (frame-*.color.png), TUM (rgb.txt depth.txt "
    "groundtruth.txt), Replica (results/ traj.txt), rosbag2 (metadata.yaml, .mcap, .db3)"
)


def open_recordings(path: Path, bag: BagTopicsConfig) -> list[Recording]:
    """The recording at ``path``; a 7-Scenes scene has one in each of its folders.

    Raises:
        InputError: nothing is there, nothing that is known, or it cannot be read.
    """
    if not path.exists():
        raise InputError(f"{path} is not there")
    if path.is_file():
        return [_open_file(path, bag)]
    if is_bag(path):
        return [BagRecording(path, bag)]
    if (path / "iphone" / POSES).is_file():
        return [ScanNetPPRecording(path)]
    if (path / TRAJECTORY).is_file() and (path / "results").is_dir():
        return [SequenceRecording(open_replica(path), Z_UP, "convention")]
    if any(path.glob("frame-*.color.png")):
        return [SevenScenesRecording(path)]
    sequences = sorted(folder for folder in path.glob("seq-*") if any(folder.glob("frame-*.color.png")))
    if sequences:
        return [SevenScenesRecording(folder) for folder in sequences]
    sens = sorted(path.glob(f"*{SUFFIX}"))
    if len(sens) == 1 and not (path / "color").is_dir():
        return [SensRecording(sens[0])]
    return [_open_folder(path)]


def is_bag(path: Path) -> bool:
    """Whether a path is a rosbag2 recording by its name, or a folder of one, also of one that needs repair."""
    if path.is_dir():
        return (path / "metadata.yaml").is_file() or any(file.suffix in _BAGS for file in path.iterdir())
    return path.suffix in _BAGS


def _open_file(path: Path, bag: BagTopicsConfig) -> Recording:
    if path.suffix == SUFFIX:
        return SensRecording(path)
    if is_bag(path):
        return BagRecording(path, bag)
    raise InputError(f"{path} is no recording that is known: {LAYOUTS}")


def _open_folder(path: Path) -> Recording:
    """Plain, ScanNet export or TUM; up is z in the last two, a plain folder says so in a file or not at all."""
    if not any((path / name).exists() for name in ("color", "rgb.txt", "../color")):
        inside = ", ".join(sorted(entry.name for entry in path.iterdir())[:8])
        raise InputError(f"{path} holds no recording that is known: {LAYOUTS}; found {inside or 'nothing'}")
    sequence = open_sequence(path, registration_frames=0)
    if sequence.layout == "scannet":
        name = path.resolve().name
        return SequenceRecording(sequence, Z_UP, "convention", lambda: scannet_scan(path, name))
    if sequence.layout == "tum":
        return SequenceRecording(sequence, Z_UP, "convention")
    if (path / "gravity_direction.txt").is_file():
        return SequenceRecording(sequence, sequence.up, "data")
    return SequenceRecording(sequence, None, "estimated")
