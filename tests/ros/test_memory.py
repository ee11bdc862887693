"""Freed memory is kept: a process that makes one large array after the other touches no new page."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the ROS wheels (Python 3.11, 3.12) or a sourced ROS 2")

from seg3d_ros.memory import LARGEST, keep_freed_memory

SCRIPT = """
import resource
from array import array
from seg3d_ros.memory import keep_freed_memory
def pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        held = [array("B", [1]) * (8 << 20) for _ in range(3)]
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
keep_freed_memory()
pages(), pages()
"""


def test_large_arrays_are_made_of_memory_that_is_there() -> None:
    if not keep_freed_memory():
        pytest.skip("the C library is not glibc")
    output = subprocess.run([sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True).stdout
    again = int(output.split()[-1])
    page = resource.getpagesize()
    assert again * page < LARGEST, f"{again} new pages for arrays as large as those before them"
