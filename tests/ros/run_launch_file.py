"""``ros2 launch FILE NAME:=VALUE ...`` for test processes: launch without ros2cli."""

from __future__ import annotations

import sys

from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource


def main() -> int:
    file, *arguments = sys.argv[1:]
    named = [tuple(argument.split(":=", 1)) for argument in arguments]
    service = LaunchService()
    source = PythonLaunchDescriptionSource(file)
    service.include_launch_description(LaunchDescription([IncludeLaunchDescription(source, launch_arguments=named)]))
    return service.run()


if __name__ == "__main__":
    sys.exit(main())
