"""Every parameter of the nodes, written once: default, range, unit and the sentence that explains it.

Fields marked ``dynamic`` may be changed while the node runs; the others are read when it is configured.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from seg3d_core.config import DEFAULT_MODEL, Config, FusionConfig, GraphConfig, Model, SegmentConfig, TrackingConfig
from seg3d_core.interaction_config import InteractionConfig
from seg3d_core.point_sam_config import (
    PointSamProposalsConfig,
    PointSamSettings,
    PromptModelConfig,
    PromptModelName,
    SceneCropConfig,
)
from seg3d_core.segment3d_config import Segment3DSettings

DYNAMIC: dict[str, Any] = {"dynamic": True}


class CameraInputConfig(Config):
    """How the colour and depth images reach the node and what is used of them."""

    image_transport: Literal["raw", "compressed"] = Field(
        "raw", description="Colour transport; compressed subscribes <topic>/compressed (JPEG or PNG)."
    )
    depth_image_transport: Literal["raw", "compressedDepth"] = Field(
        "raw", description="Depth transport; compressedDepth subscribes <topic>/compressedDepth (PNG or RVL)."
    )
    rectified: bool = Field(
        True, description="The images are rectified: project with P of camera_info; false: with K and the distortion."
    )
    sync_slop_s: float = Field(
        0.0167, ge=0, le=1, description="Colour and depth stamps may differ by this much, s; half a frame period."
    )


class ManagedConfig(Config):
    """What every lifecycle node of the package has in common."""

    autostart: bool = Field(True, description="Configure and activate at start, without a lifecycle manager.")


class NodeConfig(ManagedConfig):
    """What the nodes that look at the world have in common."""

    process_all: bool = Field(
        False,
        description="Use every input in order, deterministically (bags): inputs wait in memory for the node, for their "
        "poses, and up to 300 images for camera_info or their partner; false: newest wins, the rest is dropped.",
    )
    global_frame: str = Field(
        "", description="Frame of the results; empty: the frame that the cloud or the pose message names."
    )
    pose_source: Literal["pose_topic", "tf", "none"] = Field(
        "pose_topic",
        description="Where the camera stands: the camera_pose topic, tf (needs tf2_ros and global_frame), or none: "
        "results stay in the camera's frame.",
    )
    pose_type: Literal["PoseStamped", "Odometry", "TransformStamped"] = Field(
        "PoseStamped", description="Message type of the camera_pose topic: pose of the optical camera frame."
    )
    pose_tolerance_s: float = Field(
        0.05,
        ge=0,
        le=10,
        description="A pose may be this much (s) older or newer than the image it is used for; poses up to ten times "
        "as far apart are interpolated.",
    )
    transform_timeout_s: float = Field(
        0.2,
        ge=0,
        le=60,
        description="How long to wait for the pose or transform of an input, s.",
        json_schema_extra=DYNAMIC,
    )
    recorded_timeout_s: float = Field(
        10.0,
        ge=0,
        le=3600,
        description="With process_all instead: an input may wait for its pose until this long (s) after it arrived.",
        json_schema_extra=DYNAMIC,
    )
    max_input_age_s: float = Field(
        0.0,
        ge=0,
        le=3600,
        description="Live, inputs older than this (s, node clock) are dropped and counted; 0: no limit.",
        json_schema_extra=DYNAMIC,
    )
    time_jump_s: float = Field(
        1.0, gt=0, le=3600, description="Stamps that step back by this much (s) start afresh: a bag that loops."
    )
    camera: CameraInputConfig = CameraInputConfig()

    @model_validator(mode="after")
    def _tf_needs_a_target(self) -> NodeConfig:
        if self.pose_source == "tf" and not self.global_frame:
            raise ValueError("pose_source tf needs global_frame: the fixed frame to look the camera up in")
        return self


class CloudInputConfig(NodeConfig):
    """Of nodes that work on a cloud: which one, and what is used of a camera's."""

    input: Literal["cloud", "rgbd"] = Field(
        "cloud", description="What to work on: the cloud topic, or colour and depth images."
    )
    min_depth_m: float = Field(
        0.3, ge=0, le=10, description="rgbd: nearer returns are ignored, m.", json_schema_extra=DYNAMIC
    )
    max_depth_m: float = Field(
        4.0, gt=0, le=100, description="rgbd: farther returns are ignored, m.", json_schema_extra=DYNAMIC
    )
    pixel_stride: int = Field(
        2, ge=1, le=16, description="rgbd: every n-th pixel in both directions is used.", json_schema_extra=DYNAMIC
    )

    @model_validator(mode="after")
    def _depth_range(self) -> CloudInputConfig:
        if self.min_depth_m >= self.max_depth_m:
            raise ValueError(f"min_depth_m {self.min_depth_m:g} m is not below max_depth_m {self.max_depth_m:g} m")
        return self


class ModelNodeConfig(CloudInputConfig):
    """Of nodes with a model that another one can take the place of while they run."""

    model: str
    watch_model_s: float = Field(
        0.0,
        ge=0,
        le=3600,
        description="Look so often (s) whether the parameter model or its file have changed, and load it then, as "
        "~/reload_model does; 0: only when that is called.",
        json_schema_extra=DYNAMIC,
    )


class SceneNodeConfig(ModelNodeConfig):
    """scene_node: finds the instances of every cloud or RGB-D frame it is given."""

    model: Model = Field(DEFAULT_MODEL, json_schema_extra=DYNAMIC)
    graph: GraphConfig = Field(GraphConfig(), json_schema_extra=DYNAMIC)
    segment3d: Segment3DSettings = Segment3DSettings.build({})
    point_sam_proposals: PointSamProposalsConfig = PointSamProposalsConfig.build({})
    tracking: TrackingConfig = TrackingConfig()
    accepted_reach_m: float = Field(
        0.05,
        gt=0,
        le=1,
        description="Points at most this far (m) from an accepted object, and no nearer to what is beside it, are its.",
        json_schema_extra=DYNAMIC,
    )

    @property
    def segment(self) -> SegmentConfig:
        """The settings of the segmenter."""
        groups = ("model", "graph", "segment3d", "point_sam_proposals")
        return SegmentConfig.build({name: getattr(self, name) for name in groups})


class PromptNodeConfig(ModelNodeConfig):
    """prompt_node: the object that is clicked on, in the newest cloud or RGB-D frame."""

    model: PromptModelName = Field("nano", json_schema_extra=DYNAMIC)
    click_tolerance_s: float = Field(
        1.0,
        ge=0,
        le=3600,
        description="A click in another frame, of whose own time no transform is known, may use the newest transform "
        "if that is at most this much (s) older or newer.",
        json_schema_extra=DYNAMIC,
    )
    instances_file: str = Field(
        "",
        description="Where save_instances writes the accepted instances and load_instances reads them: an .npz file.",
        json_schema_extra=DYNAMIC,
    )
    interaction: InteractionConfig = InteractionConfig.build({})
    point_sam: PointSamSettings = PointSamSettings.build({})
    scene: SceneCropConfig = SceneCropConfig.build({})

    @property
    def prompt_model(self) -> PromptModelConfig:
        """The settings of what answers clicks."""
        return PromptModelConfig.build({"model": self.model, "point_sam": self.point_sam, "scene": self.scene})


class FusionNodeConfig(NodeConfig):
    """fusion_node: fuses posed RGB-D frames into one coloured cloud."""

    publish_period_s: float = Field(
        1.0,
        ge=0.02,
        le=3600,
        description="The fused cloud is published when the images' stamps have advanced by this, s.",
        json_schema_extra=DYNAMIC,
    )
    fusion: FusionConfig = FusionConfig()

    @model_validator(mode="after")
    def _needs_poses(self) -> FusionNodeConfig:
        if self.pose_source == "none":
            raise ValueError("pose_source none: fusion needs to know where the camera stands, use pose_topic or tf")
        return self
