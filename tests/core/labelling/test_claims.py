from __future__ import annotations

import subprocess
import sys

import pytest

from seg3d_core.errors import InputError
from seg3d_core.labelling.claims import claimed

# fcntl locks belong to open files: one process can play both.


def test_a_frame_is_one_process_alone(tmp_path):
    target = tmp_path / "000001.png"
    with claimed(target) as first, claimed(target) as second, claimed(tmp_path / "000002.png") as other:
        assert (first, second, other) == (True, False, True)
    assert not list(tmp_path.iterdir())
    with claimed(target) as free:
        assert free


def test_what_is_there_needs_nobody(tmp_path):
    target = tmp_path / "000001.png"
    target.touch()
    with claimed(target) as mine:
        assert not mine
    assert [path.name for path in tmp_path.iterdir()] == ["000001.png"]


def test_who_fails_leaves_it_to_others(tmp_path):
    target = tmp_path / "000001.png"
    with pytest.raises(RuntimeError), claimed(target):
        raise RuntimeError
    with claimed(target) as free:
        assert free


def test_a_killed_process_claims_nothing_and_its_half_file_goes(tmp_path):
    target = tmp_path / "000001.png"
    code = (
        "import os, sys; from pathlib import Path; from seg3d_core.labelling.claims import claimed\n"
        "target = Path(sys.argv[1])\n"
        "with claimed(target): target.with_name('.000001-abcd.png').touch(); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(target)], check=False).returncode == -9
    assert {path.name for path in tmp_path.iterdir()} == {".000001.claim", ".000001-abcd.png"}
    with claimed(target) as free:
        assert free
        assert {path.name for path in tmp_path.iterdir()} == {".000001.claim"}


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with (
        pytest.raises(InputError, match=r"cannot write .*\.000001\.claim: No such file or directory"),
        claimed(tmp_path / "gone" / "000001.png"),
    ):
        pass
