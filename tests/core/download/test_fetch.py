"""Downloads from a server on this machine, in good and bad days."""

from __future__ import annotations

import hashlib
import importlib.util
import resource
import shutil
import socket
import sys
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from seg3d_core.download.fetch import Fetched, fetch
from seg3d_core.download.released import RELEASED, ReleasedFile
from seg3d_core.download.transfer import PAUSES_S, UnreachableError
from seg3d_core.errors import CheckpointError, ConfigError, InputError

_spec = importlib.util.spec_from_file_location("range_server", Path(__file__).with_name("range_server.py"))
assert _spec is not None
assert _spec.loader is not None
range_server = importlib.util.module_from_spec(_spec)
sys.modules["range_server"] = range_server
_spec.loader.exec_module(range_server)

CONTENT = np.random.default_rng(0).bytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
RELEASE = ReleasedFile("net.bin", "http://unused", "https://page", "file.bin", len(CONTENT), SHA256)
UNVERIFIED = replace(RELEASE, size=None, sha256=None, begins_with=CONTENT[:2])


@pytest.fixture
def served() -> Iterator[range_server.Served]:
    with range_server.serving(range_server.Served(CONTENT)) as served:
        yield served


class Pauses(list[float]):
    """Waits nothing, and knows how long it should have."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def get(served: range_server.Served, folder: Path, release: ReleasedFile = RELEASE) -> Fetched:
    return fetch(release, folder, served.url, pause=Pauses())


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives_and_is_proven(served, tmp_path):
    told: list[tuple[int, int | None]] = []
    folder = tmp_path / "new" / "weights"
    found = fetch(RELEASE, folder, served.url, lambda have, total: told.append((have, total)))
    assert found == Fetched(folder / "net.bin", len(CONTENT), SHA256, True, False)
    assert found.path.read_bytes() == CONTENT
    assert files(folder) == ["net.bin"]
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert sorted(told) == told
    assert served.requests == [None]


def test_what_is_there_is_checked_and_not_fetched(served, tmp_path):
    (tmp_path / "net.bin").write_bytes(CONTENT)
    assert get(served, tmp_path).was_here
    (tmp_path / "net.bin").write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(CheckpointError, match=r"net\.bin is another file than the released one: its sha256 is .*--to"):
        get(served, tmp_path)
    (tmp_path / "net.bin").write_bytes(CONTENT[:-1])
    with pytest.raises(CheckpointError, match="it has 2,999,999 bytes instead of 3,000,000; delete it"):
        get(served, tmp_path)
    assert served.requests == []
    assert files(tmp_path) == ["net.bin"]


def test_a_cut_connection_goes_on_where_it_ended(served, tmp_path):
    served.cuts = [1_000_000, 500_000]
    pauses = Pauses()
    assert fetch(RELEASE, tmp_path, served.url, pause=pauses).is_verified
    assert served.requests == [None, "bytes=1000000-", "bytes=1500000-"]
    assert pauses == [PAUSES_S[0], PAUSES_S[0]]  # each attempt brought something


def test_the_same_command_goes_on_after_giving_up(served, tmp_path):
    served.cuts = [1_000_000] + [0] * 6
    pauses = Pauses()
    with pytest.raises(CheckpointError) as error:
        fetch(RELEASE, tmp_path, served.url, pause=pauses)
    assert "the connection ended after 1,000,000 of 3,000,000 bytes; gave up after 6 attempts" in str(error.value)
    assert f"goes on from the 1,000,000 bytes in {tmp_path / 'net.bin.part'}" in str(error.value)
    assert pauses == list(PAUSES_S)
    assert files(tmp_path) == ["net.bin.part", "net.bin.part.json"]
    served.requests.clear()
    served.cuts.clear()
    assert get(served, tmp_path).is_verified
    assert served.requests == ["bytes=1000000-"]
    assert files(tmp_path) == ["net.bin"]


def test_another_version_on_the_server_begins_anew(served, tmp_path):
    served.cuts = [1_000_000] + [0] * 6
    with pytest.raises(CheckpointError):
        get(served, tmp_path, UNVERIFIED)
    served.cuts.clear()
    served.content, served.etag = CONTENT[:2] + bytes(1_500_000), '"two"'
    found = get(served, tmp_path, UNVERIFIED)
    assert found.path.read_bytes() == served.content
    assert not found.is_verified
    assert found.sha256 == hashlib.sha256(served.content).hexdigest()


def test_without_version_and_checksum_parts_are_not_joined(served, tmp_path):
    served.etag, served.cuts = "", [1_000_000]
    assert get(served, tmp_path, UNVERIFIED).path.read_bytes() == CONTENT
    assert served.requests == [None, None]


def test_a_server_that_cannot_begin_in_the_middle(served, tmp_path):
    served.knows_ranges, served.cuts = False, [2_000_000]
    assert get(served, tmp_path).is_verified
    assert served.requests == [None, "bytes=2000000-"]


def test_a_server_that_does_not_say_how_long_the_file_is(served, tmp_path):
    served.says_length = False
    assert get(served, tmp_path).is_verified


def test_a_part_that_is_too_long_begins_anew(served, tmp_path):
    (tmp_path / "net.bin.part").write_bytes(bytes(len(CONTENT) + 5))
    assert get(served, tmp_path).is_verified
    assert served.requests == ["bytes=3000005-", None]


def test_a_part_that_is_complete_is_only_checked(served, tmp_path):
    (tmp_path / "net.bin.part").write_bytes(CONTENT)
    assert get(served, tmp_path).is_verified
    assert served.requests == []


def test_a_wrong_file_is_deleted_and_both_checksums_are_said(served, tmp_path):
    served.content = bytes(len(CONTENT))
    with pytest.raises(CheckpointError) as error:
        get(served, tmp_path)
    assert str(error.value) == (
        f"what came is not the released file: its sha256 is {hashlib.sha256(served.content).hexdigest()} "
        f"instead of {SHA256}; it was deleted"
    )
    assert files(tmp_path) == []


def test_a_file_of_another_size_is_not_even_fetched(served, tmp_path):
    served.content = bytes(1000)
    with pytest.raises(CheckpointError, match="another file: it has 1,000 bytes, the released one 3,000,000"):
        get(served, tmp_path)
    assert files(tmp_path) == []


def test_a_web_page_is_no_file(served, tmp_path):
    served.content_type = "text/html; charset=utf-8"
    with pytest.raises(
        CheckpointError, match="answered with a web page, not with the file\nBy hand: open https://page"
    ):
        get(served, tmp_path, UNVERIFIED)
    served.content_type, served.content = "application/octet-stream", b"<html>"
    with pytest.raises(CheckpointError, match="it begins with b'<html>' instead of b'"):
        get(served, tmp_path, UNVERIFIED)
    assert files(tmp_path) == []


def test_refusals_are_final_and_hiccups_are_not(served, tmp_path):
    served.statuses = [404]
    with pytest.raises(CheckpointError) as error:
        get(served, tmp_path)
    assert str(error.value) == (
        f"{served.url}: the server answered 404 Not Found\nBy hand: open https://page in a browser, save file.bin "
        f"(3,000,000 bytes, sha256 {SHA256}), and copy it to {tmp_path}/net.bin. The same command then checks it."
    )
    assert len(served.requests) == 1
    served.statuses = [503, 429]
    assert get(served, tmp_path).is_verified


def test_without_a_network_it_is_said_what_to_do(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/file.bin"
    pauses = Pauses()
    with pytest.raises(UnreachableError) as error:
        fetch(RELEASE, tmp_path, url, pause=pauses)
    assert str(error.value).startswith(f"cannot reach {url}: Connection refused\nWithout a network: on a machine")
    assert f"copy it to {tmp_path}/net.bin. The same command then checks it." in str(error.value)
    assert pauses == []
    with pytest.raises(UnreachableError, match=r"cannot reach http://nowhere\.invalid/"):
        fetch(RELEASE, tmp_path, "http://nowhere.invalid/f", pause=pauses)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/f", "net.bin"])
def test_other_addresses_are_refused(url, tmp_path):
    with pytest.raises(ConfigError, match="only http:// and https:// addresses are fetched"):
        fetch(RELEASE, tmp_path, url)


def test_a_full_disk_is_noticed_before(served, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")(10**9, 10**9, 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(InputError, match=r"has 1,000 bytes free, 3,000,000 more are needed"):
        get(served, tmp_path)


def test_a_disk_that_is_full_midway_keeps_what_is_there(served, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_200_000, hard))  # as a disk with room for so much
    try:
        with pytest.raises(InputError, match=r"cannot write .*net\.bin\.part: .*goes on from what is there"):
            get(served, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    kept = (tmp_path / "net.bin.part").stat().st_size
    assert 0 < kept <= 1_200_000
    assert get(served, tmp_path).is_verified
    assert served.requests == [None, f"bytes={kept}-"]


def test_a_folder_that_cannot_be(served, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot make the folder"):
        get(served, tmp_path / "file" / "below")


def test_the_released_files():
    assert RELEASED["point-sam"].size == 1_244_245_632
    assert len(RELEASED["point-sam"].sha256 or "") == 64
    assert RELEASED["segment3d"].sha256 is None
    assert all(file.url.startswith("https://") and file.page.startswith("https://") for file in RELEASED.values())
