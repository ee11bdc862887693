"""Where Fast DDS is told to make room for images and clouds. Needs no ROS."""

from __future__ import annotations

import os
import sys
from pathlib import Path

NEW, OLD = "FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"


def present_profile() -> str:
    """The Fast DDS profile of this process, empty where it has none."""
    profile = next((os.environ[name] for name in (NEW, OLD) if os.environ.get(name)), "")
    return f"{profile} (no such file)" if profile and not Path(profile).is_file() else profile


def profile_variable() -> str:
    """The environment variable to set with this distribution.

    Fast DDS 2 knows only the old name; Fast DDS 3 reads it too but then warns in every process. ``run`` and the launch
    file follow the same rule without this module: they start where it cannot be imported yet.
    """
    return OLD if os.environ.get("ROS_DISTRO") in ("humble", "iron", "jazzy") else NEW


def shipped_profile() -> Path:
    """Our profile: in a checkout, beside the package's other files in a colcon workspace, or under the prefix."""
    checkout = Path(__file__).resolve().parents[1] / "config" / "fastdds.xml"
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    installed = [Path(prefix) / "share" / "seg3d_ros" / "config" / "fastdds.xml" for prefix in prefixes if prefix]
    return next((path for path in [checkout, *installed] if path.is_file()), checkout)
