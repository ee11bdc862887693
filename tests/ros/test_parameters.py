from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the ROS wheels (Python 3.11, 3.12) or a sourced ROS 2")

import rclpy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter

from seg3d_core.errors import ConfigError
from seg3d_ros.parameters import Parameters, parameter_specs
from seg3d_ros.settings import FusionNodeConfig, SceneNodeConfig

pytestmark = pytest.mark.ros
Make = Callable[..., tuple[Node, Parameters[Any], list[Any]]]


@pytest.fixture
def make(domain_id: int) -> Iterator[Make]:
    """``make(fixed=..., arguments...)``: a node with the given command line, its parameters, and what changed."""
    context = Context()
    rclpy.init(context=context, domain_id=domain_id)
    nodes: list[Node] = []

    def build(*assignments: str, fixed: bool = True, config: type = SceneNodeConfig) -> Any:
        arguments = ["--ros-args", *(word for text in assignments for word in ("-p", text))]
        node = Node("node", context=context, cli_args=arguments)
        nodes.append(node)
        changes: list[Any] = []
        return node, Parameters(node, config, lambda: fixed, changes.append), changes

    yield build
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown(context=context)


@pytest.mark.parametrize("config", [SceneNodeConfig, FusionNodeConfig])
def test_every_setting_is_a_described_parameter(make: Make, config: type) -> None:
    node, parameters, _ = make(config=config)
    specs = list(parameter_specs(config))
    assert parameters.config == config()
    assert {"process_all", "camera.sync_slop_s"} <= {spec.name for spec in specs}
    for spec in specs:
        descriptor = node.describe_parameter(spec.name)
        assert descriptor.description == spec.description != ""
        assert node.get_parameter(spec.name).value == spec.default
        if spec.type in (int, float):
            (span,) = descriptor.floating_point_range or descriptor.integer_range
            assert (span.from_value, span.to_value) == (spec.low, spec.high)


def test_command_line_values_arrive_with_the_declared_type(make: Make) -> None:
    node, parameters, _ = make("graph.k:=3", "input:=rgbd", "process_all:=true", "tracking.min_iou:=0.5")
    config = parameters.config
    assert (config.graph.k, config.input, config.process_all, config.tracking.min_iou) == (3.0, "rgbd", True, 0.5)
    assert node.get_parameter("graph.k").type_ is Parameter.Type.DOUBLE


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("graf.k:=3.0", "unknown parameter graf.k, did you mean graph.k?"),
        ("nonsense_zzz:=3.0", "unknown parameter nonsense_zzz$"),
        ("graph.k:=-1.0", r"graph.k = -1.0: Input should be greater than 0"),
        ("input:=video", r"input = 'video': Input should be 'cloud' or 'rgbd'"),
        ("pose_source:=tf", "pose_source tf needs global_frame"),
        ("min_depth_m:=5.0", "min_depth_m 5 m is not below max_depth_m 4 m"),
        ("process_all:=maybe", "process_all = 'maybe'"),
    ],
)
def test_what_is_refused_at_start(make: Make, assignment: str, message: str) -> None:
    _, parameters, _ = make(assignment)
    with pytest.raises(ConfigError, match=message):
        _ = parameters.config


def test_rclpys_own_parameters_are_not_unknown(make: Make) -> None:
    _, parameters, _ = make("use_sim_time:=true", "qos_overrides./cloud.subscription.reliability:=reliable")
    assert parameters.config == SceneNodeConfig()


def test_a_dynamic_parameter_changes_the_config_as_a_whole(make: Make) -> None:
    node, parameters, changes = make()
    results = node.set_parameters_atomically([Parameter("min_depth_m", value=4.5), Parameter("max_depth_m", value=5.0)])
    assert results.successful
    assert parameters.config is not changes[0]
    assert parameters.config == changes[0] == SceneNodeConfig(min_depth_m=4.5, max_depth_m=5.0)


@pytest.mark.parametrize(
    ("parameter", "reason"),
    [
        (Parameter("graph.k", value=-1.0), "range"),
        (Parameter("graph.k", value="three"), "type"),
        (Parameter("min_depth_m", value=4.5), "min_depth_m 4.5 m is not below max_depth_m 4 m"),
        (Parameter("input", value="rgbd"), "input is read when the node is configured"),
        (Parameter("tracking.min_iou", value=0.5), "clean up, set it, configure again"),
    ],
)
def test_what_is_refused_while_configured(make: Make, parameter: Parameter, reason: str) -> None:
    node, parameters, changes = make()
    (result,) = node.set_parameters([parameter])
    assert not result.successful
    assert reason in result.reason
    assert parameters.config == SceneNodeConfig()
    assert changes == []


def test_while_unconfigured_everything_may_be_set(make: Make) -> None:
    node, parameters, _ = make(fixed=False)
    assert node.set_parameters([Parameter("input", value="rgbd")])[0].successful
    assert parameters.config.input == "rgbd"
