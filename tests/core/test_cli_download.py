"""``seg3d download`` from end to end, from a server that is not there."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from seg3d_core.cli import main
from seg3d_core.download import released
from seg3d_core.download.released import RELEASED


def test_a_file_that_was_copied_there_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = hashlib.sha256(b"weights").hexdigest()
    monkeypatch.setitem(released.RELEASED, "point-sam", replace(RELEASED["point-sam"], size=7, sha256=digest))
    path = tmp_path / "point_sam_large.safetensors"
    path.write_bytes(b"weights")
    assert main(["download", "point-sam", "--to", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{path}: was there already, 7 bytes",
        f"sha256 {digest}: the released file",
        f"use it: seg3d prompt CLOUD --click X Y Z -o mask.ply --model {path}",
    ]
    path.write_bytes(b"wheight")
    assert main(["download", "point-sam", "--to", str(tmp_path)]) == 2
    assert "is another file than the released one" in capsys.readouterr().err


def test_what_cannot_be_verified_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "segment3d.ckpt").write_bytes(b"PK\x03\x04")
    assert main(["download", "segment3d", "--to", str(tmp_path)]) == 0
    assert ": UNVERIFIED, no checksum was published to compare it with" in capsys.readouterr().out
    (tmp_path / "segment3d.ckpt").write_bytes(b"<html>")
    assert main(["download", "segment3d", "--to", str(tmp_path)]) == 2


def test_without_a_network_the_way_around_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["download", "segment3d", "--to", str(tmp_path), "--url", "http://127.0.0.1:9/f"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("seg3d: cannot reach http://127.0.0.1:9/f: Connection refused\nWithout a network: ")
    assert "(size and checksum were never published)" in said
    assert f"copy it to {tmp_path}/segment3d.ckpt" in said
