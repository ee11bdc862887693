"""prompt_node: clicks on the newest cloud in, the object that they mean out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from geometry_msgs.msg import PointStamped, PolygonStamped, PoseStamped
from jaxtyping import Float64
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from seg3d_core.errors import PromptError, Seg3dError
from seg3d_core.interaction.model import PromptModel
from seg3d_core.interaction.pinned import PinnedObjects
from seg3d_core.interaction.session import ObjectSession
from seg3d_core.prompting import make_prompt_model
from seg3d_core.segmenter import free_unused_memory
from seg3d_ros.cloud_input import CloudMessage, cloud_input, practice_cloud, vertical
from seg3d_ros.conversions.pinned import pinned_to_message
from seg3d_ros.conversions.stamps import stamp_ns
from seg3d_ros.perception_node import PerceptionNode
from seg3d_ros.prompt_actions import PromptActions
from seg3d_ros.prompt_frames import Placed, Snapshot, place
from seg3d_ros.prompt_inputs import PromptInputs
from seg3d_ros.prompt_instances import SceneResults
from seg3d_ros.prompt_markers import PromptMarkers
from seg3d_ros.prompt_outputs import PromptOutputs, mask_message, prompt_cloud_message
from seg3d_ros.prompt_services import WorkerServices
from seg3d_ros.prompt_view import PromptView, describe
from seg3d_ros.reloading import ModelReloads
from seg3d_ros.rgbd_input import RgbdMessages
from seg3d_ros.running import run
from seg3d_ros.settings import PromptNodeConfig

PROMPT_DEPTH = 100
"""Prompts that wait in the middleware where their publisher does not let it keep all."""


class PromptNode(PerceptionNode[PromptNodeConfig]):
    """Encodes the newest cloud as soon as it comes, and answers each prompt on it.

    Everything that touches the session runs on the worker thread in the order in which it was asked for, prompts and
    services before clouds. While an object is in progress its cloud stays, and the newest one is kept for afterwards.
    """

    def __init__(self) -> None:
        super().__init__("prompt_node", PromptNodeConfig)
        self._session: ObjectSession | None = None
        self._model: PromptModel | None = None
        self._outputs: PromptOutputs | None = None
        self._results = SceneResults(self, "prompt_instance", "prompt_goal")
        self._inputs = PromptInputs(lambda: self._session, self._place, self._results)
        self._used: object = None
        """The input that the session's cloud was made of."""
        self._sensor_frame = ""
        self._told: list[int] = []
        """Ids of the accepted instances that were published last."""
        self._last_prompt = ""
        actions = PromptActions(lambda: self._session, lambda: self.config.instances_file).by_service()
        WorkerServices(
            self, self.run_soon, self.health.refused, {name: self._shown(name, act) for name, act in actions.items()}
        )
        self._reloads = ModelReloads(self, self._prepare, self._switch)
        self.health.gauge("last_prompt", lambda: self._last_prompt)
        self.health.gauge("accepted", lambda: len(self._told))

    def build(self) -> None:
        """Load the model, and run everything once so that the first click is not slow."""
        self._reloads.begin(self.config)
        self._model = self._prepare(self.config)
        self._session = ObjectSession(self._model, self.config.interaction)
        self._outputs = PromptOutputs(self, vertical(self.config))

    def free(self) -> None:
        """Give back the model, the outputs, and what was accepted: save it before."""
        self._reloads.end()
        if self._outputs is not None:
            self._outputs.destroy()
        self._session = self._model = self._outputs = self._used = None
        self._told = []

    def subscribe(self) -> None:
        """Hear clouds or a camera, where frames are, and prompts."""
        self.poses = self.make_poses()
        if self.config.input == "rgbd":
            self.listen_to_camera()
        else:
            self.listen(PointCloud2, "cloud", self._hear_cloud, 1)
        self._hear_prompts(PointStamped, "clicked_point", self._inputs.include)
        self._hear_prompts(PointStamped, "clicked_point_negative", self._inputs.exclude)
        self._hear_prompts(PointStamped, "prompt_instance", self._inputs.instance)
        self._hear_prompts(PoseStamped, "prompt_goal", self._inputs.goal)
        self._hear_prompts(PolygonStamped, "prompt_box", self._inputs.box)

    def halt(self) -> None:
        """See ``ManagedNode``."""
        super().halt()
        self._results.forget()

    def process(self, item: CloudMessage | RgbdMessages) -> None:
        """Make an input the cloud that clicks mean."""
        if item is self._used:  # a prompt could not wait for its turn
            return
        given = cloud_input(item, self.config, self.poses, self.health)
        with self.health.stage("encode"):
            self._session.set_cloud(given.cloud)
        self._used, self._sensor_frame = item, given.sensor_frame
        self._show()
        self.health.published(item.stamp_ns)

    def wanted(self) -> bool:
        """Somebody looks, and no object is in progress on the cloud before."""
        return self._outputs.wanted and not self._session.busy

    def catch_up(self) -> None:
        """Publish the state to those who came after it."""
        self._outputs.flush()

    def clear_state(self) -> None:
        """No cloud, no object in progress; accepted instances stay."""
        session = self._session
        session.new_object()
        self._show()
        self._session = ObjectSession(self._model, self.config.interaction, session.accepted)
        self._used = None

    def reset(self) -> None:
        """No accepted instances either."""
        self._session.accepted.clear()
        self._show()
        self.clear_state()

    def look_around(self) -> None:
        """See ``PerceptionNode``."""
        self._results.check()
        self._reloads.watch()

    def _hear_cloud(self, message: PointCloud2) -> None:
        self.receive(CloudMessage(stamp_ns(message.header.stamp), message))

    def _hear_prompts(self, kind: type, topic: str, take: Callable[[Any], str]) -> None:
        self.listen(
            kind,
            topic,
            lambda message: self.run_soon(lambda: self._prompt(topic, lambda: take(message))),
            PROMPT_DEPTH,
            keep_all=True,
            past="ignored",
        )

    # On the worker thread.

    def _prompt(self, topic: str, take: Callable[[], str]) -> None:
        """Answer one prompt, or say why not."""
        self.health.count("prompts_in")
        self._bring_cloud()
        try:
            with self.health.stage("prompt"):
                how = take()
        except Seg3dError as error:
            self.health.refused(f"{topic}: {error}")
            return
        with self.health.stage("publish"):
            self._show()
        self.health.count("prompts_used")
        said = describe(self._session.selection, self._session.accepted.next_id)
        self._last_prompt = f"{topic}: {how}; {said}"
        self.get_logger().info(self._last_prompt)

    def _shown(self, name: str, act: Callable[[], str]) -> Callable[[], str]:
        """An action of which the outputs show what it did."""

        def act_and_show() -> str:
            before = self._session.selection
            said = act()
            self._outputs.acted(name, before)
            self._show()
            self.get_logger().info(said)
            return said

        return act_and_show

    def _bring_cloud(self) -> None:
        """A prompt means the newest cloud, also one that nobody wanted to see; but never changes that of an object."""
        if self._session.busy:
            return
        try:
            self.use_skipped()
            if self._session.cloud is None and self.latest is not None:
                self.use(self.latest)
        except Seg3dError as error:
            self.health.failed(error)

    def _place(self, points: Float64[np.ndarray, "P 3"], header: Header) -> Placed:
        cloud, config = self._session.cloud, self.config
        if cloud is None:
            raise PromptError("there is no cloud to click on yet")
        return place(
            points,
            header,
            Snapshot(cloud.frame_id, self._sensor_frame),
            self.poses,
            timeout_s=config.transform_timeout_s,
            tolerance_s=config.click_tolerance_s,
        )

    def _show(self) -> None:
        session = self._session
        if session.cloud is not None:
            self._outputs.show(PromptView(session.cloud, session.selection, session.accepted.next_id))
        ids = [instance.instance_id for instance in session.accepted]
        if ids != self._told:
            self._told = ids
            self._tell()

    def _tell(self) -> None:
        """Publish the accepted instances, with the frame and stamp of the newest snapshot that they were made on."""
        accepted, cloud = self._session.accepted, self._session.cloud
        stamps = [instance.stamp_ns for instance in accepted] or [cloud.stamp_ns if cloud else 0]
        frame_id = accepted.frame_id if accepted.frame_id is not None else cloud.frame_id if cloud else ""
        self._outputs.tell(PinnedObjects.of(accepted, frame_id, max(stamps)))

    def _prepare(self, config: PromptNodeConfig) -> PromptModel:
        """The model that the settings name, warmed up."""
        model = make_prompt_model(config.prompt_model)
        with self.health.stage("warm_up"):
            self._warm_up(model, config)
        return model

    def _switch(self, model: PromptModel) -> None:
        """Ask another model from the next prompt on. What is selected and what is accepted stays."""
        self._session.use_model(model)
        self._model = model
        free_unused_memory()  # of the model before

    def _warm_up(self, model: PromptModel, config: PromptNodeConfig) -> None:
        """Run all that a prompt runs through once: compiled code is loaded or made here, not on the first click."""
        cloud = practice_cloud(config, self.get_logger())
        session = ObjectSession(model, config.interaction)
        session.set_cloud(cloud)
        session.click(cloud.points[0])
        session.select_mask(np.arange(len(cloud)) < len(cloud) // 2)
        view = PromptView(cloud, session.click(cloud.points[0]), 1)
        for make in (mask_message, prompt_cloud_message, PromptMarkers((0.0, 0.0, 1.0)).update):
            make(view)
        session.accept()
        pinned_to_message(PinnedObjects.of(session.accepted, cloud.frame_id, 0))


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the node until it is interrupted; ends the process."""
    run(PromptNode, arguments)


if __name__ == "__main__":
    main()
