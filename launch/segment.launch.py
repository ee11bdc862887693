"""Instances from an RGB-D camera or from a cloud: fusion_node, scene_node, and, asked for, others and RViz.

    ros2 launch seg3d_ros segment.launch.py camera:=realsense pose_source:=tf global_frame:=map
    ros2 launch seg3d_ros segment.launch.py cloud_topic:=/rtabmap/cloud_map rviz:=true
    ros2 launch seg3d_ros segment.launch.py demo:=true prompt:=true rviz:=true
    ros2 launch seg3d_ros segment.launch.py demo:=true prompt:=true view:=true

Names are relative, so that copies under several namespaces run side by side. Nothing is fetched from the network.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable, Shutdown
from launch_ros.actions import Node

ROOT = Path(__file__).resolve().parent.parent
"""The checkout, or share/seg3d_ros of an installation: launch/ and config/ lie side by side in both."""

CONFIG = ROOT / "config"
CAMERAS = sorted(path.stem for path in (CONFIG / "cameras").glob("*.yaml"))
KEEP = "empty: as the parameter files say"

ARGUMENTS = [
    ("namespace", "", "Namespace of all nodes and of their relative topics.", None),
    ("params_file", "", "YAML parameters on top of config/*.yaml.", None),
    ("use_sim_time", "", f"Take the time from /clock (bags, simulation); {KEEP}.", ["", "true", "false"]),
    ("autostart", "", f"Configure and activate without a lifecycle manager; {KEEP}.", ["", "true", "false"]),
    ("log_level", "info", "debug, info, warn, error or fatal.", ["debug", "info", "warn", "error", "fatal"]),
    ("rviz", "false", "Start RViz.", ["true", "false"]),
    ("rviz_config", str(CONFIG / "seg3d.rviz"), "Configuration of RViz.", None),
    ("camera", "custom", "Whose topic names: a file in config/cameras.", CAMERAS),
    ("rgb_topic", "", "Colour image; empty: the camera's.", None),
    ("depth_topic", "", "Depth image registered to it; empty: the camera's.", None),
    ("camera_info_topic", "", "Calibration; empty: the camera's.", None),
    ("pose_topic", "camera_pose", "Pose of the optical camera frame, for pose_source:=pose_topic.", None),
    ("pose_source", "", f"pose_topic, tf or none; {KEEP}.", ["", "pose_topic", "tf", "none"]),
    ("global_frame", "", f"Frame of the results, for example map; {KEEP}.", None),
    ("cloud_topic", "", "Segment this cloud instead of a camera's images.", None),
    (
        "fuse",
        "auto",
        "Fuse frames and segment the fused cloud; auto: unless cloud_topic is given.",
        ["auto", "true", "false"],
    ),
    ("model", "", f"nano, graph, the file of a Segment3D checkpoint, or small, base (untrained); {KEEP}.", None),
    ("device", "", f"Where the model computes: auto, cpu, cuda or cuda:N; {KEEP}.", None),
    ("engine", "", f"What runs the model's sparse convolutions: auto, torch, triton ...; {KEEP}.", None),
    ("precision", "", f"Of the model: float32, float16 or bfloat16; {KEEP}.", None),
    ("num_queries", "", f"Masks that the model looks for; {KEEP}.", None),
    ("voxel_size_m", "", f"Edge of the model's voxels, m; {KEEP}.", None),
    ("score_threshold", "", f"Instances need a confidence above this; {KEEP}.", None),
    ("prompt", "false", "Start prompt_node too, which selects what is clicked on; needs PyTorch.", ["true", "false"]),
    ("prompt_model", "", f"What answers clicks: nano, or the file of a Point-SAM checkpoint; {KEEP}.", None),
    ("prompt_device", "", f"Where that computes: auto, cpu, cuda or cuda:N; {KEEP}.", None),
    ("instances_file", "", f"Where accepted instances are saved and loaded, .npz; {KEEP}.", None),
    ("fusion_device", "", f"Where fusion computes: cpu, cuda or cuda:N; {KEEP}.", None),
    ("record", "false", "Start recorder_node too, which records what comes in and out.", ["true", "false"]),
    ("record_folder", "", f"Folder of the recordings; {KEEP}.", None),
    ("record_mode", "", f"continuous, snapshot or on_event; {KEEP}.", ["", "continuous", "snapshot", "on_event"]),
    ("view", "false", "Start viewer_node too: a page for browsers; the log says its address.", ["true", "false"]),
    ("view_host", "", f"Address that browsers are served at; {KEEP}.", None),
    ("view_port", "", f"Port there; {KEEP}.", None),
    ("demo", "false", "Play a rendered room instead of a camera.", ["true", "false"]),
    ("demo_sequence", "room:3", "What the demo plays: room:SEED or the folder of an RGB-D sequence.", None),
    ("python", "", "Interpreter that has Open3D and Numba; empty: found as the README says.", None),
]


def generate_launch_description() -> LaunchDescription:
    """Arguments, then whatever they ask for."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description, choices=choices)
        for name, default, description, choices in ARGUMENTS
    ]
    return LaunchDescription([*declared, *shared_memory(), *few_heaps(), OpaqueFunction(function=nodes)])


def shared_memory() -> list[SetEnvironmentVariable]:
    """The Fast DDS profile without which large best-effort messages are lost, unless the user has one."""
    names = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
    if any(name in os.environ for name in names):
        return []
    # Fast DDS 2 knows only the old name; Fast DDS 3 warns about it.
    name = names[os.environ.get("ROS_DISTRO") in ("humble", "iron", "jazzy")]
    return [SetEnvironmentVariable(name, str(CONFIG / "fastdds.xml"))]


def few_heaps() -> list[SetEnvironmentVariable]:
    """Two heaps a process, unless the user chose: glibc's eight a core keep what a node's earlier threads freed."""
    return [] if "MALLOC_ARENA_MAX" in os.environ else [SetEnvironmentVariable("MALLOC_ARENA_MAX", "2")]


def nodes(context: LaunchContext) -> list[Node]:
    """The nodes that the arguments ask for."""
    given = {name: context.launch_configurations[name] for name, *_ in ARGUMENTS}
    python = interpreter(given["python"])
    fuse = given["fuse"] == "true" or (given["fuse"] == "auto" and not given["cloud_topic"])
    if given["fuse"] == "true" and given["cloud_topic"]:
        raise RuntimeError("fuse:=true makes the cloud from images, cloud_topic:= brings one: give one of the two")
    if given["fusion_device"] and not fuse:
        raise RuntimeError(
            f"fusion_device:={given['fusion_device']} is for fusing, and nothing is fused: leave it out or fuse:=true"
        )
    started = [fusion(given, python)] if fuse else []
    started.append(scene(given, python, fuse))
    started += prompt(given, python, fuse)
    started += recorder(given, python, fuse)
    started += viewer(given, python, fuse)
    if given["demo"] == "true":
        started.append(source(given, python))
    if given["rviz"] == "true":
        started.append(rviz(given))
    return started


def fusion(given: dict[str, str], python: str) -> Node:
    """Images and poses to one growing cloud."""
    parameters = settings(given, "pose_source", "global_frame")
    if given["fusion_device"]:
        parameters["fusion.device"] = given["fusion_device"]
    return perception(given, python, "fusion", parameters, camera_topics(given))


def scene(given: dict[str, str], python: str, fuse: bool) -> Node:
    """The fused cloud, another cloud, or single images to instances."""
    chosen, topics = looked_at(given, fuse)
    accepted = ("accepted", "prompt_node/accepted")
    return perception(given, python, "scene", {**model(given), **chosen}, [*topics, accepted])


def prompt(given: dict[str, str], python: str, fuse: bool) -> list[Node]:
    """Clicks on what scene_node looks at to objects, if asked for."""
    names = {"prompt_model": "model", "prompt_device": "point_sam.device", "instances_file": "instances_file"}
    parameters = parameters_of(given, "prompt", "prompt_node", names)
    if given["prompt"] != "true":
        return []
    chosen, topics = looked_at(given, fuse)
    # Clicks may be in any frame, also where the cloud is in the global one already.
    chosen = {**settings(given, "pose_source", "global_frame"), **chosen}
    results = ("instance_cloud", "scene_node/instance_cloud")
    return [perception(given, python, "prompt", {**parameters, **chosen}, [*topics, results])]


def recorder(given: dict[str, str], python: str, fuse: bool) -> list[Node]:
    """All of it to the disk, if asked for."""
    parameters = parameters_of(given, "record", "recorder_node", {"record_folder": "folder", "record_mode": "mode"})
    if given["record"] != "true":
        return []
    cloud = "fusion_node/cloud" if fuse else given["cloud_topic"] or "cloud"
    return [perception(given, python, "recorder", parameters, [*camera_topics(given), ("cloud", cloud)])]


def viewer(given: dict[str, str], python: str, fuse: bool) -> list[Node]:
    """A page for browsers, if asked for."""
    parameters = parameters_of(given, "view", "viewer_node", {"view_host": "host", "view_port": "port"}, port=int)
    if given["view"] != "true":
        return []
    # Of single images only those who segment them have a cloud.
    of_images = "prompt_node/prompt_cloud" if given["prompt"] == "true" else "cloud"
    cloud = "fusion_node/cloud" if fuse else given["cloud_topic"] or of_images
    return [perception(given, python, "viewer", parameters, [("cloud", cloud)])]


def parameters_of(
    given: dict[str, str], switch: str, node: str, names: dict[str, str], **kinds: type
) -> dict[str, object]:
    """Parameters of a node that is started by ``switch``, from arguments that make no sense without."""
    asked = [argument for argument in names if given[argument]]
    if asked and given[switch] != "true":
        arguments = ", ".join(f"{argument}:={given[argument]}" for argument in asked)
        raise RuntimeError(f"{arguments} is for {node}, which is not started: leave it out or {switch}:=true")
    return {
        names[argument]: number(given, argument, kinds[names[argument]])
        if names[argument] in kinds
        else given[argument]
        for argument in asked
    }


def looked_at(given: dict[str, str], fuse: bool) -> tuple[dict[str, object], list[tuple[str, str]]]:
    """Parameters and topics of what scene_node segments and prompt_node is asked about."""
    if fuse:
        # The fused cloud is in the global frame already.
        return {"input": "cloud"}, [("cloud", "fusion_node/cloud"), ("camera_pose", given["pose_topic"])]
    chosen = settings(given, "pose_source", "global_frame")
    if given["cloud_topic"]:
        return {**chosen, "input": "cloud"}, [("cloud", given["cloud_topic"]), ("camera_pose", given["pose_topic"])]
    return {**chosen, "input": "rgbd"}, camera_topics(given)


def model(given: dict[str, str]) -> dict[str, object]:
    """The segmenter and how it is run."""
    kinds: dict[str, type] = {"num_queries": int, "voxel_size_m": float, "score_threshold": float}
    parameters = settings(given, "model")
    for name in ("device", "engine", "precision", *kinds):
        if given[name]:
            parameters[f"segment3d.{name}"] = number(given, name, kinds[name]) if name in kinds else given[name]
    return parameters


def number(given: dict[str, str], name: str, kind: type) -> object:
    """A numeric argument as a number: a text would be refused as a parameter of another type."""
    try:
        return kind(given[name])
    except ValueError:
        raise RuntimeError(f"{name}:={given[name]} is no {'whole ' if kind is int else ''}number") from None


def perception(
    given: dict[str, str], python: str, kind: str, parameters: dict[str, object], remappings: list[tuple[str, str]]
) -> Node:
    """One of the managed nodes; when one ends, for example because a setting is wrong, everything does."""
    files = [str(CONFIG / f"{kind}.yaml")] + ([given["params_file"]] if given["params_file"] else [])
    if missing := [file for file in files if not Path(file).is_file()]:
        raise RuntimeError(f"parameter file not found: {', '.join(missing)}")
    arguments = {**settings(given, "use_sim_time", "autostart"), **parameters}
    return module(
        given, python, f"{kind}_node", [*files, arguments], remappings, on_exit=Shutdown(reason=f"{kind}_node ended")
    )


def source(given: dict[str, str], python: str) -> Node:
    """The camera of the demo; it ends with its sequence, the others stay."""
    return module(given, python, "source_node", [{"sequence": given["demo_sequence"]}], camera_topics(given))


def module(
    given: dict[str, str], python: str, name: str, parameters: list, remappings: list, **options: object
) -> Node:
    """A node run as ``python -m``: colcon's scripts start with the Python on PATH, which may not have Open3D."""
    return Node(
        executable=python,
        arguments=["-m", f"seg3d_ros.{name}"],
        ros_arguments=["--log-level", given["log_level"]],
        exec_name=name,
        name=name,
        # Given even if empty: without it a parameter of the launch file loses to one of a file's /** section.
        namespace=given["namespace"],
        parameters=parameters,
        remappings=remappings,
        output="screen",
        **options,
    )


def rviz(given: dict[str, str]) -> Node:
    """RViz in the same namespace, with the camera's names: the topics of its configuration are relative too."""
    return Node(
        package="rviz2",
        executable="rviz2",
        name="rviz",
        namespace=given["namespace"],
        arguments=["-d", given["rviz_config"], *(["-f", given["global_frame"]] if given["global_frame"] else [])],
        remappings=camera_topics(given),
        parameters=[settings(given, "use_sim_time")] if given["use_sim_time"] else [],
        output="screen",
    )


def camera_topics(given: dict[str, str]) -> list[tuple[str, str]]:
    """Our names to the camera's."""
    preset = yaml.safe_load((CONFIG / "cameras" / f"{given['camera']}.yaml").read_text(encoding="utf-8"))
    topics = {name: given[name] or topic for name, topic in preset.items()}
    return [
        ("rgb/image_rect_color", topics["rgb_topic"]),
        ("depth_registered/image_rect", topics["depth_topic"]),
        ("rgb/camera_info", topics["camera_info_topic"]),
        ("camera_pose", given["pose_topic"]),
    ]


def settings(given: dict[str, str], *names: str) -> dict[str, object]:
    """Arguments that are parameters of the same name; those left empty stay with the files."""
    words = {"true": True, "false": False}
    return {name: words.get(given[name], given[name]) for name in names if given[name]}


def interpreter(wanted: str) -> str:
    """The Python that can run the nodes: as told, or of the active venv, of the checkout's .venv, or our own."""
    explicit = wanted or os.environ.get("SEG3D_PYTHON", "")
    venvs = [Path(os.environ["VIRTUAL_ENV"])] if "VIRTUAL_ENV" in os.environ else []
    automatic = [str(venv / "bin" / "python") for venv in [*venvs, ROOT / ".venv"]] + [sys.executable]
    candidates = [explicit] if explicit else automatic
    for python in candidates:
        if can_run_nodes(python):
            return python
    raise RuntimeError(
        f"no Python with seg3d_ros, rclpy, Open3D and Numba: tried {', '.join(candidates)}. Make one with "
        "./run setup in the checkout, then activate its .venv or set SEG3D_PYTHON=<checkout>/.venv/bin/python"
    )


def can_run_nodes(python: str) -> bool:
    """Whether an interpreter finds what the nodes import; nothing is imported, so it takes no time."""
    check = "import sys, importlib.util as u; sys.exit(not all(map(u.find_spec, sys.argv[1:])))"
    command = [python, "-c", check, "seg3d_ros", "rclpy", "open3d", "numba"]
    try:
        return subprocess.run(command, check=False, capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
