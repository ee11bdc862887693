"""A file server on this machine that can be told how to misbehave."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """What the server does; the lists are used up request by request.

    Attributes:
        content: of the file.
        etag: names this version; empty: none is sent.
        cuts: after how many bytes of an answer the connection is closed; None: not at all.
        statuses: answers other than the file; None: the file.
        knows_ranges: whether it can begin in the middle.
        content_type: of the answer.
        requests: Range headers as they came.
    """

    content: bytes
    etag: str = '"one"'
    cuts: list[int | None] = field(default_factory=list)
    statuses: list[int | None] = field(default_factory=list)
    knows_ranges: bool = True
    says_length: bool = True
    content_type: str = "application/octet-stream"
    requests: list[str | None] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving(served: Served) -> Iterator[Served]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self, served)

        def log_message(self, *unused: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_port}/file.bin"
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answer(handler: BaseHTTPRequestHandler, served: Served) -> None:
    asked = handler.headers["Range"]
    served.requests.append(asked)
    status = served.statuses.pop(0) if served.statuses else None
    if status is not None:
        handler.send_error(status)
        return
    start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and served.knows_ranges else 0
    if asked and handler.headers["If-Range"] not in (None, served.etag):
        start = 0
    if start >= len(served.content):
        handler.send_error(416)
        return
    send(handler, served, start)


def send(handler: BaseHTTPRequestHandler, served: Served, start: int) -> None:
    body = served.content[start:]
    handler.send_response(206 if start else 200)
    handler.send_header("Content-Type", served.content_type)
    if served.says_length:
        handler.send_header("Content-Length", str(len(body)))
    if start:
        handler.send_header("Content-Range", f"bytes {start}-{len(served.content) - 1}/{len(served.content)}")
    if served.etag:
        handler.send_header("ETag", served.etag)
    handler.end_headers()
    cut = served.cuts.pop(0) if served.cuts else None
    handler.wfile.write(body[:cut])
