"""Parameters of recorder_node."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from seg3d_core.recording.settings import RecordingConfig
from seg3d_ros.settings import ManagedConfig

TOPICS = (
    "rgb/image_rect_color depth_registered/image_rect rgb/camera_info camera_pose /tf /tf_static cloud "
    "fusion_node/cloud scene_node/instance_cloud scene_node/instances prompt_node/mask prompt_node/accepted "
    "prompt_node/rejected prompt_node/actions "
    "clicked_point clicked_point_negative prompt_goal prompt_box prompt_instance /diagnostics /parameter_events"
)


class RecorderNodeConfig(ManagedConfig):
    """recorder_node: what the robot saw and what people clicked, as rosbag2 recordings."""

    mode: Literal["continuous", "snapshot", "on_event"] = Field(
        "continuous",
        description="continuous: record while active; snapshot: keep the last seconds in memory and write them when "
        "~/snapshot is called; on_event: write them also whenever a message comes on one of event_topics.",
    )
    folder: str = Field("recordings", description="Each recording is a folder in this one, named by date and time.")
    topics: str = Field(TOPICS, description="Topics to record, with blanks between; relative ones can be remapped.")
    more_topics: str = Field("", description="Topics to record beside those.")
    image_transport: Literal["raw", "compressed"] = Field(
        "raw", description="Of rgb/image_rect_color; compressed records <topic>/compressed as the camera sends it."
    )
    depth_image_transport: Literal["raw", "compressedDepth"] = Field(
        "raw", description="Of depth_registered/image_rect; compressedDepth records <topic>/compressedDepth."
    )
    colour: Literal["as_received", "jpeg"] = Field(
        "as_received", description="jpeg: raw colour images are recorded as <topic>/compressed."
    )
    jpeg_quality: int = Field(90, ge=1, le=95, description="Of these JPEGs.")
    depth: Literal["as_received", "png", "rvl"] = Field(
        "as_received",
        description="png, rvl: raw 16UC1 depth is recorded as <topic>/compressedDepth, without loss; rvl is faster.",
    )
    cloud_topics: str = Field(
        "cloud fusion_node/cloud", description="Topics of which one message in cloud_period_s is recorded."
    )
    cloud_period_s: float = Field(1.0, ge=0, le=3600, description="See cloud_topics, s; 0: all are recorded.")
    event_topics: str = Field(
        "prompt_node/accepted prompt_node/rejected", description="on_event: topics that cause a snapshot."
    )
    event_tail_s: float = Field(
        1.0, ge=0, le=60, description="on_event: a snapshot is written so long after the event, s; it covers both."
    )
    parameters_of: str = Field(
        "scene_node fusion_node prompt_node",
        description="Nodes whose parameters, and the SHA-256 of whose model, are in each recording: ~/parameters.",
    )
    recording: RecordingConfig = RecordingConfig.build({})

    @model_validator(mode="after")
    def _tail_within_the_ring(self) -> RecorderNodeConfig:
        if self.mode == "on_event" and self.event_tail_s >= self.recording.ring.seconds:
            raise ValueError(
                f"event_tail_s {self.event_tail_s:g} s is not below recording.ring.seconds "
                f"{self.recording.ring.seconds:g} s: the event would have fallen out"
            )
        return self
