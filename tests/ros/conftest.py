"""Tests on real ROS 2: real processes, real DDS on this machine, a domain of their own each."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from seg3d_ros.dds_profile import profile_variable, shipped_profile

if TYPE_CHECKING:
    from ros_graph import Graph

# Before the first participant of this process; children inherit it.
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ[profile_variable()] = str(shipped_profile())

LAST_DOMAIN = 100
"""Higher ones collide with the ports that Linux hands out itself."""


def _in_use(domain: int) -> bool:
    """Some participant listens on the domain's first unicast port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("", 7400 + 250 * domain + 10))
        except OSError:
            return True
    return False


@contextlib.contextmanager
def free_domain() -> Iterator[int]:
    """A ROS_DOMAIN_ID that nobody uses, held until the end (other test runs on this machine look here too)."""
    with contextlib.ExitStack() as stack:
        for domain in range(1, LAST_DOMAIN + 1):
            path = Path(tempfile.gettempdir()) / f"seg3d_test_domain_{domain}.lock"
            lock = stack.enter_context(path.open("w"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            if not _in_use(domain):
                yield domain
                return
    pytest.fail(f"all domains from 1 to {LAST_DOMAIN} are in use")


@contextlib.contextmanager
def a_graph(folder: Path) -> Iterator[Graph]:
    """A ROS graph in a domain of its own; what its processes said is shown when a test fails."""
    from ros_graph import Graph  # not where rclpy is missing: those tests skip

    with free_domain() as domain:
        graph = Graph(domain, folder)
        try:
            yield graph
        finally:
            graph.close()


@pytest.fixture
def domain_id() -> Iterator[int]:
    """A domain of this test alone."""
    with free_domain() as domain:
        yield domain


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Graph]:
    """A ROS graph of this test alone."""
    with a_graph(tmp_path) as graph:
        yield graph


@pytest.fixture(scope="module")
def shared_graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    """A ROS graph of the tests of one file, for nodes that take long to start."""
    with a_graph(tmp_path_factory.mktemp("graph")) as graph:
        yield graph
