"""Who may pass the door."""

from __future__ import annotations

import http.client
import socket

import pytest

from seg3d_core.browser.gate import Gate, is_loopback
from seg3d_core.errors import ConfigError, InputError

TOKEN = "0123456789abcdef"


@pytest.fixture(params=["0.0.0.0"])
def gate(request):
    """A gate before a server that answers everything with "inside"; its port."""
    inner = socket.create_server(("127.0.0.1", 0))
    gate = Gate(request.param, 0, TOKEN)
    gate.start(inner.getsockname()[1])

    def answer():
        connection, _ = inner.accept()
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\ninside")
        connection.close()

    yield gate.port, answer
    gate.stop()
    inner.close()


def get(port, path, **fields):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path, headers=fields)
    return connection


def test_only_browsers_with_the_token_pass_the_gate(gate):
    port, answer = gate
    for path, fields in [
        ("/", {}),
        ("/?token=no", {}),
        ("/", {"Cookie": "seg3d_token=no"}),
        ("/?token=", {"Cookie": "\x01"}),
    ]:
        refused = get(port, path, **fields).getresponse()
        assert (refused.status, refused.read()[:24]) == (403, b"This page needs a token:")
    shown = get(port, f"/?token={TOKEN}").getresponse()
    assert (shown.status, shown.getheader("Location")) == (303, "/")
    cookie = shown.getheader("Set-Cookie").split(";")[0]
    passing = get(port, "/", Cookie=f"other=1; {cookie}")
    answer()
    assert passing.getresponse().read() == b"inside"
    # Somebody who says nothing, or goes away, keeps nobody else from passing.
    socket.create_connection(("127.0.0.1", port)).close()
    again = get(port, "/", Cookie=cookie)
    answer()
    assert again.getresponse().read() == b"inside"


@pytest.mark.parametrize("gate", ["127.0.0.1"], indirect=True)
def test_browsers_of_this_machine_pass_but_pages_of_other_sites_do_not(gate):
    port, answer = gate
    here = f"127.0.0.1:{port}"
    for fields in [
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Host": f"elsewhere.example:{port}"},
        {"Host": f"elsewhere.example:{port}", "Origin": f"http://elsewhere.example:{port}"},
    ]:
        assert get(port, "/", **fields).getresponse().status == 403
    for fields in [{}, {"Origin": f"http://{here}"}, {"Host": f"localhost:{port}"}]:
        passing = get(port, "/", **fields)
        answer()
        assert passing.getresponse().read() == b"inside"


def test_gates_need_a_good_token_and_a_free_port(gate):
    for token in ("", "short", "0123456789abcde/"):
        with pytest.raises(ConfigError, match=r"need a token of at least 16 letters and digits, the one given has \d+"):
            Gate("0.0.0.0", 0, token)
    with pytest.raises(InputError, match=f"cannot listen at 0.0.0.0:{gate[0]}: "):
        Gate("0.0.0.0", gate[0], TOKEN).start(1)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("192.168.1.5", False), ("x", False)],
)
def test_what_is_reached_by_this_machine_only(host, expected):
    assert is_loopback(host) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "http://127.0.0.1:80/"),
        ("::1", "http://[::1]:80/"),
        ("0.0.0.0", f"http://0.0.0.0:80/?token={TOKEN}"),
    ],
)
def test_the_address_has_the_token_where_it_is_needed(host, expected):
    assert Gate(host, 80, TOKEN).address == expected
