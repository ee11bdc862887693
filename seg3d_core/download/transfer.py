"""One file over HTTP, going on where an earlier attempt stopped."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from seg3d_core.errors import CheckpointError, ConfigError, InputError

Report = Callable[[int, "int | None"], None]
"""Takes how many bytes are here, and how many there will be; None: the server has not said."""

TIMEOUT_S = 30.0
"""Without a byte a connection counts as lost."""

PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Before each further attempt; a byte received begins them anew."""

_CHUNK = 1 << 20
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that may be others a moment later."""


class UnreachableError(CheckpointError):
    """No server answered: there is no network, or no such host."""


class _CutError(Exception):
    """The connection ended early; another attempt may go on."""


@dataclass(frozen=True)
class _Answer:
    """Attributes: start: of what follows in the file; total: bytes of the file; validator: names this version of it."""

    start: int
    total: int | None
    validator: str


class Transfer:
    """A download into ``part``, a file that grows; beside it stands which version of the original it is of.

    Args:
        url: http or https.
        part: where to.
        size: bytes that the file must have; None: whatever the server says.
        is_checked_later: the caller knows a checksum, so parts of unknown version may be joined.
        report: told after every piece.
        pause: waits so many seconds.
    """

    def __init__(
        self,
        url: str,
        part: Path,
        size: int | None,
        is_checked_later: bool,
        report: Report,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        if not re.match(r"https?://", url):
            raise ConfigError(f"{url!r}: only http:// and https:// addresses are fetched")
        self._url, self._part, self._size, self._is_checked_later = url, part, size, is_checked_later
        self._report, self._pause = report, pause
        self._note = part.with_name(part.name + ".json")
        self._was_connected = False

    def run(self) -> None:
        """Fetch what is missing; ``part`` is complete afterwards, if nobody has checked what it holds.

        Raises:
            UnreachableError: no server answered.
            CheckpointError: the server refused, or has a file of another size, or the connection broke again and again.
            InputError: the disk is full, or the folder cannot be written.
        """
        failures = 0
        while self._size is None or self._here() != self._size:
            before = self._here()
            try:
                self._attempt()
            except _CutError as cut:
                failures = 0 if self._here() > before else failures
                if failures == len(PAUSES_S):
                    raise CheckpointError(
                        f"{self._url}: {cut}; gave up after {failures + 1} attempts without a further byte. "
                        f"The same command goes on from the {self._here():,} bytes in {self._part}"
                    ) from None
                self._pause(PAUSES_S[failures])
                failures += 1
            else:
                break
        self._note.unlink(missing_ok=True)

    def _here(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _attempt(self) -> None:
        with self._opened() as response:
            self._was_connected = True
            answer = self._understood(response)
            self._check_room(answer)
            have = self._written(response, answer)
        if answer.total is not None and have != answer.total:
            raise _CutError(f"the connection ended after {have:,} of {answer.total:,} bytes")

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Any]:
        """The server's answer; what goes wrong while it is read becomes a reason to try again."""
        try:
            with urllib.request.urlopen(self._request(), timeout=TIMEOUT_S) as response:
                yield response
        except urllib.error.HTTPError as error:
            self._refused(error)
        except urllib.error.URLError as error:
            if not self._was_connected:
                raise UnreachableError(f"cannot reach {self._url}: {_reason(error)}") from None
            raise _CutError(_reason(error)) from None
        except (http.client.HTTPException, OSError) as error:
            raise _CutError(f"the connection broke: {error or type(error).__name__}") from None

    def _request(self) -> urllib.request.Request:
        headers = {"User-Agent": "seg3d", "Accept-Encoding": "identity"}
        have, validator = self._here(), self._noted()
        if have and (validator or self._is_checked_later):
            headers["Range"] = f"bytes={have}-"
            # A server that has another version by now answers with all of it.
            headers |= {"If-Range": validator} if validator else {}
        return urllib.request.Request(self._url, headers=headers)

    def _noted(self) -> str:
        try:
            return str(json.loads(self._note.read_text(encoding="utf-8"))["validator"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def _refused(self, error: urllib.error.HTTPError) -> NoReturn:
        self._was_connected = True
        if error.code == 416:  # nothing of the file lies behind what is here
            self._part.unlink(missing_ok=True)
            raise _CutError("what was here is as long as the file or longer, begun anew") from None
        if error.code in _RETRIED:
            raise _CutError(f"the server answered {error.code} {error.reason}") from None
        raise CheckpointError(f"{self._url}: the server answered {error.code} {error.reason}") from None

    def _understood(self, response: Any) -> _Answer:
        headers = response.headers
        if headers.get_content_type() == "text/html":
            raise CheckpointError(f"{self._url}: the server answered with a web page, not with the file")
        etag = headers.get("ETag", "")
        validator = etag if etag and not etag.startswith("W/") else headers.get("Last-Modified", "")
        if response.status != 206:
            length = headers.get("Content-Length", "")
            answer = _Answer(0, int(length) if length.isdigit() else None, validator)
        else:
            answer = self._continued(headers.get("Content-Range", ""), validator)
        if None not in (self._size, answer.total) and answer.total != self._size:
            raise CheckpointError(
                f"{self._url}: this is another file: it has {answer.total:,} bytes, the released one {self._size:,}"
            )
        return answer

    def _continued(self, content_range: str, validator: str) -> _Answer:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", content_range.strip())
        if found is None or int(found[1]) != self._here():
            self._part.unlink(missing_ok=True)
            raise _CutError(f"the server went on at another place ({content_range!r}), begun anew")
        return _Answer(int(found[1]), None if found[2] == "*" else int(found[2]), validator)

    def _check_room(self, answer: _Answer) -> None:
        if answer.total is None:
            return
        needed = answer.total - answer.start
        # A part that is begun anew gives its own room back.
        free = shutil.disk_usage(self._part.parent).free + (self._here() if answer.start == 0 else 0)
        if needed > free:
            raise InputError(f"{self._part.parent} has {free:,} bytes free, {needed:,} more are needed")

    def _written(self, response: Any, answer: _Answer) -> int:
        have = answer.start
        with self._file(answer) as file:
            while piece := response.read1(_CHUNK):
                with self._writing():
                    file.write(piece)
                    file.flush()
                have += len(piece)
                self._report(have, answer.total)
        return have

    def _file(self, answer: _Answer) -> BinaryIO:
        with self._writing():
            if answer.start == 0:
                self._note.write_text(json.dumps({"validator": answer.validator}), encoding="utf-8")
            return self._part.open("ab" if answer.start else "wb")

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(
                f"cannot write {self._part}: {error.strerror or error}; the same command goes on from what is there"
            ) from error


def _reason(error: urllib.error.URLError) -> str:
    reason = error.reason
    return (reason.strerror or str(reason)) if isinstance(reason, OSError) else str(reason)
