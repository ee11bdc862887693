"""Nodes as child processes: started with this interpreter, watched, stopped in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


class NodeProcess:
    """One node in its own process, its output in a log file.

    Args:
        module: module to run, for example ``seg3d_ros.scene_node``.
        log: file that receives stdout and stderr.
        parameters: ROS parameters by dotted name.
        remappings: relative topic name to new name.
    """

    def __init__(
        self,
        module: str,
        log: Path,
        parameters: Mapping[str, object] | None = None,
        remappings: Mapping[str, str] | None = None,
    ) -> None:
        self.name = module.rpartition(".")[2]
        self.log = log
        self._arguments = [sys.executable, "-m", module, "--ros-args"]
        for name, value in (parameters or {}).items():
            self._arguments += ["-p", f"{name}:={_yaml_scalar(value)}"]
        for name, target in (remappings or {}).items():
            self._arguments += ["-r", f"{name}:={target}"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process; it outlives neither ``stop`` nor a Ctrl-C of the terminal."""
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._arguments,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                # A group of its own: Ctrl-C reaches the demo, which then stops its nodes in order.
                start_new_session=True,
            )

    @property
    def exit_code(self) -> int | None:
        """Exit code, None while the process runs or before it was started."""
        return None if self._process is None else self._process.poll()

    def stop(self, timeout_s: float = 15.0) -> int | None:
        """Ask to stop (SIGINT), insist after ``timeout_s`` (SIGKILL); the exit code."""
        if self._process is None:
            return None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
        return self._process.wait()

    def last_lines(self, count: int = 20) -> str:
        """The end of the log, for people."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])


def _yaml_scalar(value: object) -> str:
    """A parameter value in the command line's YAML; text is passed as typed, so that ``2.5`` is a number."""
    return str(value).lower() if isinstance(value, bool) else str(value)
