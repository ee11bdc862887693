"""Which nodes the demo starts, and how they are wired."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from seg3d_ros.demo.live_page import page_nodes
from seg3d_ros.demo.options import DemoOptions
from seg3d_ros.demo.processes import NodeProcess


@dataclass(frozen=True)
class Scenario:
    """The processes of one run.

    Attributes:
        source: plays the input and ends by itself.
        nodes: the nodes under demonstration, fusion first where there is one.
        cloud_topic: the cloud that scene_node segments, or prompt_node is asked about.
        use_sim_time: whether the source publishes /clock.
    """

    source: NodeProcess
    nodes: list[NodeProcess]
    cloud_topic: str
    use_sim_time: bool

    @property
    def processes(self) -> list[NodeProcess]:
        """All processes in the order in which they are started."""
        return [*self.nodes, self.source]


def make_scenario(options: DemoOptions, logs: Path) -> Scenario:
    """A sequence through fusion_node, or a recording through what it needs.

    Raises:
        InputError: the recording holds neither a cloud nor RGB-D images with poses.
    """
    if options.bag is not None:
        from seg3d_ros.demo.bag_scenario import make_bag_scenario

        return make_bag_scenario(options, logs)
    cloud_topic = "fusion_node/cloud"
    source = NodeProcess(
        "seg3d_ros.source_node",
        logs / "source_node.log",
        {
            "sequence": options.sequence,
            "frames": options.frames,
            "rate_hz": float(options.rate_hz),
            "rounds": options.rounds,
            "restamp": not options.lossless,
            "lossless": options.lossless,
        },
    )
    common = {"process_all": options.lossless}
    fusion = NodeProcess("seg3d_ros.fusion_node", logs / "fusion_node.log", {**common, **options.fusion})
    name, given = ("prompt_node", options.prompt) if options.clicks else ("scene_node", options.scene)
    user = NodeProcess(f"seg3d_ros.{name}", logs / f"{name}.log", {**common, **given}, {"cloud": cloud_topic})
    nodes = [fusion, user, *page_nodes(options, logs, common, cloud_topic)]
    return Scenario(source, nodes, cloud_topic, use_sim_time=False)
