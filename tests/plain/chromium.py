"""A headless Chromium that is driven through its DevTools port; nothing but websockets is needed for it."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(PROGRAM is None, reason="there is no chromium: apt-get install chromium")

_OPTIONS = (
    "--headless=new", "--no-sandbox", "--remote-debugging-port=0", "--use-angle=swiftshader", "--no-first-run",
    "--enable-unsafe-swiftshader", "--window-size=800,600", "--disable-background-networking", "--disable-sync",
    "--remote-allow-origins=*", "--disable-dev-shm-usage", "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows", "--disable-background-timer-throttling",
)  # fmt: skip
BUTTONS = {"left": 1, "right": 2}
MODIFIERS = {"": 0, "ctrl": 2, "shift": 8, "ctrl+shift": 10}


class Browser:
    """One browser; each page is a window of its own."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [PROGRAM, *_OPTIONS, f"--user-data-dir={folder}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        port = wait_for(lambda: self._port(folder))
        self._address = f"http://127.0.0.1:{port}"

    def open(self, url: str) -> Page:
        request = urllib.request.Request(f"{self._address}/json/new?{url}", method="PUT")
        with urllib.request.urlopen(request) as answer:
            return Page(json.load(answer)["webSocketDebuggerUrl"])

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()

    @staticmethod
    def _port(folder: Path) -> str:
        file = folder / "DevToolsActivePort"
        return file.read_text().split()[0] if file.exists() and file.read_text() else ""


class Page:
    def __init__(self, address: str) -> None:
        from websockets.sync.client import connect

        self._socket = connect(address, max_size=1 << 26, compression=None)
        self._numbers = itertools.count(1)

    def call(self, method: str, **parameters: object) -> dict:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def evaluate(self, script: str) -> object:
        return self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def text(self) -> str:
        return str(self.evaluate("document.body.innerText"))

    def mouse(self, kind: str, x: float, y: float, modifiers: str = "", button: str = "left") -> None:
        self.call(
            "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="none" if kind == "mouseMoved" else button,
            buttons=BUTTONS[button], clickCount=1, modifiers=MODIFIERS[modifiers],
        )  # fmt: skip

    def click(self, x: float, y: float, modifiers: str = "", button: str = "left") -> None:
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.mouse(kind, x, y, modifiers, button)

    def canvas(self) -> list[float]:
        """Left, top, width and height of the 3-D view, px."""
        return self.evaluate(
            "(() => {const r = document.querySelector('canvas').getBoundingClientRect();"
            "return [r.x, r.y, r.width, r.height]})()"
        )

    def press(self, key: str) -> None:
        code = f"Key{key}" if key.isalpha() and len(key) == 1 else f"Digit{key}" if key.isdigit() else key
        value = {"Enter": 13, "Escape": 27}.get(key) or ord(key)
        name = key.lower() if len(key) == 1 else key
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=code, windowsVirtualKeyCode=value)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
        print(f"screenshot: {path}")

    def close(self) -> None:
        self.call("Page.close")
        self._socket.close()


def wait_for(condition, seconds: float = 60):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"nothing came of it in {seconds} s"
        time.sleep(0.05)
    return found
