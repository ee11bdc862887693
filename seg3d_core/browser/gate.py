"""A door before the server: pages of other sites do not pass, nor do browsers of other machines without the token."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import logging
import threading
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from seg3d_core.errors import ConfigError, InputError

_LOGGER = logging.getLogger(__name__)

_COOKIE = "seg3d_token"
_TEXT = "Content-Type: text/plain\r\n"
_SHORTEST = 16
_MOST_HEAD = 16_384
_HEAD_S = 10.0
_CHUNK = 1 << 16


def is_loopback(host: str) -> bool:
    """Whether only this machine itself can reach a server there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Gate:
    """Listens at one address and hands connections on to another one.

    A page of another site cannot use a browser that may pass. A browser of another machine needs a token; it shows it
    once, as ``http://HOST:PORT/?token=TOKEN``, and gets a cookie for later. Every connection is
    looked at when it begins; it then stays with the browser that opened it. There is no encryption: in networks that
    others can listen to, use a tunnel (ssh -L) to the loopback address instead.

    Args:
        host: to listen at.
        port: to listen at; 0: any that is free.
        token: at least 16 characters, letters and digits; not asked for at addresses of this machine alone.

    Raises:
        ConfigError: a token is needed, and too short or with other characters.
    """

    def __init__(self, host: str, port: int, token: str) -> None:
        self._is_open = is_loopback(host)
        if not self._is_open and (len(token) < _SHORTEST or not token.isascii() or not token.isalnum()):
            raise ConfigError(
                f"browsers of other machines ({host}) need a token of at least {_SHORTEST} letters and digits, the one "
                f"given has {len(token)} characters"
            )
        self._host, self.port, self._token = host, port, token
        self._target = 0
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gate", daemon=True)

    @property
    def address(self) -> str:
        """For a browser; with the token, where one is needed. The port is known after ``start``."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}/" + ("" if self._is_open else f"?token={self._token}")

    def start(self, target: int) -> None:
        """Listen, and hand on to the port ``target`` of this machine.

        Raises:
            InputError: the address cannot be listened at.
        """
        self._target = target
        self._thread.start()
        starting = asyncio.start_server(self._serve, self._host, self.port, limit=_MOST_HEAD)
        try:
            self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result()
        except OSError as error:
            self.stop()
            raise InputError(f"cannot listen at {self._host}:{self.port}: {error.strerror or error}") from error
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """End all connections."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        if self._server is not None:
            self._server.close()
        connections = asyncio.all_tasks() - {asyncio.current_task()}
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _HEAD_S)
            answer = self._answer(head.decode("latin-1"))
            if answer:
                writer.write(answer.encode())
                await writer.drain()
                return
            await self._hand_on(head, reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.TimeoutError, ValueError):
            # Whoever went away, or said too much or too little, is not told.
            _LOGGER.debug("a connection ended early")
        except asyncio.CancelledError:
            # By ``stop``; asyncio would report a connection that ends so as failed.
            _LOGGER.debug("a connection was ended")
        finally:
            writer.close()

    def _answer(self, head: str) -> str:
        """What a connection without the cookie is told; empty for one that may pass."""
        request, *lines = head.split("\r\n")
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        host = fields.get("host", "")
        if urlsplit(fields.get("origin", f"//{host}")).netloc != host:
            return _response("403 Forbidden", "Pages of other sites may not use this server.", _TEXT)
        # A name of another site that leads here is no way around that.
        is_here = self._is_open and is_loopback(urlsplit(f"//{host}").hostname or "")
        if is_here or (not self._is_open and self._is_token(_cookie(fields.get("cookie", "")))):
            return ""
        target = request.split(" ")[1] if request.count(" ") == 2 else ""
        shown = parse_qs(urlsplit(target).query).get("token", [""])[0]
        if not self._is_open and self._is_token(shown):
            cookie = f"{_COOKIE}={self._token}; HttpOnly; SameSite=Strict; Path=/"
            return _response("303 See Other", "", f"Location: /\r\nSet-Cookie: {cookie}\r\n")
        words = "This page needs a token: open the address that was printed for it."
        return _response("403 Forbidden", words, _TEXT)

    def _is_token(self, shown: str) -> bool:
        return hmac.compare_digest(shown.encode(), self._token.encode())

    async def _hand_on(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._target)
        inner_writer.write(head)
        try:
            await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
        finally:
            inner_writer.close()


def _response(status: str, words: str, fields: str) -> str:
    return f"HTTP/1.1 {status}\r\n{fields}Content-Length: {len(words)}\r\nConnection: close\r\n\r\n{words}"


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    writer.close()


def _cookie(text: str) -> str:
    """The token in a Cookie field; empty where there is none."""
    try:
        morsel = SimpleCookie(text).get(_COOKIE)
    except CookieError:
        return ""
    return "" if morsel is None else morsel.value
