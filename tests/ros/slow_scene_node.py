"""scene_node with a segmenter that takes half a second: what an overloaded robot looks like."""

from __future__ import annotations

import time

from seg3d_core.config import SegmentConfig
from seg3d_core.segmenter import Segmenter
from seg3d_core.types import Cloud, Instances
from seg3d_ros.running import run
from seg3d_ros.scene_node import SceneNode


class Slow:
    """Takes ``seconds`` more than the segmenter that does the work."""

    def __init__(self, segmenter: Segmenter, seconds: float) -> None:
        self._segmenter = segmenter
        self._seconds = seconds

    def segment(self, cloud: Cloud) -> Instances:
        time.sleep(self._seconds)
        return self._segmenter.segment(cloud)


class SlowSceneNode(SceneNode):
    """Real but for the time it takes."""

    def make_segmenter(self, config: SegmentConfig) -> Segmenter:
        return Slow(super().make_segmenter(config), 0.5)


if __name__ == "__main__":
    run(SlowSceneNode)
