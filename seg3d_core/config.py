"""Every default of the core, written once, with the sentence that explains it.

The same classes are the schema of YAML files, of the command line and of the ROS parameters: a field's description,
range and unit are all that documentation and parameter descriptors are made from.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

# Also for those who build groups of their own.
from seg3d_core.config_base import Config as Config
from seg3d_core.config_base import field_names as field_names
from seg3d_core.point_sam_config import PointSamProposalsConfig
from seg3d_core.segment3d_config import SEGMENT3D_PRESETS, Segment3DSettings


class GraphConfig(Config):
    """Graph segmentation of a cloud (Felzenszwalb & Huttenlocher 2004): surface patches first, then whole objects.

    Bends are 1 - cos of the angle between neighbouring normals: 0.03 is 14 degrees, 1 is a right angle.
    """

    voxel_size_m: float = Field(
        0.0, ge=0, le=0.5, description="Working resolution, m; 0 = twice the point spacing, within 6 mm to 2 cm."
    )
    neighbours: int = Field(6, ge=4, le=32, description="Edges per sample; normals are fitted to twice as many.")
    max_edge_voxels: float = Field(
        3.5, ge=1, le=10, description="Samples farther apart than this many voxels are not joined."
    )
    convex_weight: float = Field(
        0.03, ge=0, le=1, description="Weight of an outward bend (edge of a box) against an inward one (box on table)."
    )
    k: float = Field(
        0.03, gt=0, le=1000, description="Scale of observation: the bend that a lone sample accepts; larger = coarser."
    )
    min_samples: int = Field(30, ge=1, le=10_000, description="Smaller patches join a neighbour before objects form.")
    max_border_bend: float = Field(
        0.04, ge=0, le=2, description="Patches join while the mean bend along their common border is below this."
    )
    flat_item_contrast: float = Field(
        0.12, ge=0, le=1, description="Colour difference that sets a flat item apart from its surface; 0 = off."
    )
    min_area_m2: float = Field(0.008, ge=0, le=10, description="Objects with less visible surface (m2) are dropped.")
    max_instances: int = Field(256, ge=1, le=65_535, description="At most this many instances, largest first.")


SUPERPOINTS = GraphConfig.build({"k": 0.01, "min_samples": 20})
"""Surface patches that networks make masks of: smaller than those that ``graph`` joins to objects."""


class FusionConfig(Config):
    """Truncated signed distance fusion of posed RGB-D frames (Curless & Levoy 1996) in a sparse voxel grid."""

    voxel_size_m: float = Field(0.02, ge=0.002, le=0.5, description="Edge length of a voxel, m.")
    truncation_voxels: float = Field(4.0, ge=1, le=16, description="Truncation distance in voxels.")
    min_depth_m: float = Field(0.3, ge=0, le=10, description="Nearer returns are ignored, m.")
    max_depth_m: float = Field(4.0, gt=0, le=100, description="Farther returns are ignored, m.")
    min_weight: float = Field(2.0, ge=0, le=255, description="Surface needs at least this many observations.")
    max_blocks: int = Field(
        20_000, ge=100, le=4_000_000, description="Blocks of 8x8x8 voxels kept; 10 kB each, allocated at the start."
    )
    device: str = Field(
        "cpu", pattern=r"^(cpu|cuda(:\d+)?)$", description="Where the voxels live: cpu, cuda or cuda:N."
    )


class TrackingConfig(Config):
    """Association of instances between two results on the same, growing scene."""

    voxel_size_m: float = Field(0.05, ge=0.005, le=1, description="Overlap is counted in voxels of this edge, m.")
    min_iou: float = Field(0.25, ge=0.01, le=1, description="Overlap (intersection over union) that keeps an id.")
    patience: int = Field(10, ge=1, le=10_000, description="Results without an id, its place in view, that retire it.")


class RoomConfig(Config):
    """Size and fullness of synthetic rooms."""

    min_length_m: float = Field(4.0, ge=3, le=12, description="Shortest inner length (x) of a room, m.")
    max_length_m: float = Field(5.6, ge=3, le=12, description="Longest inner length (x) of a room, m.")
    min_width_m: float = Field(3.6, ge=3, le=12, description="Smallest inner width (y) of a room, m.")
    max_width_m: float = Field(4.6, ge=3, le=12, description="Greatest inner width (y) of a room, m.")
    height_m: float = Field(2.6, ge=2.4, le=5, description="Floor to ceiling, m.")
    things_per_m2: float = Field(4.0, ge=0, le=40, description="Small things per square metre of table or cabinet.")
    min_objects: int = Field(12, ge=1, le=200, description="A room has at least this many objects.")
    max_objects: int = Field(60, ge=5, le=400, description="A room has at most this many objects.")


class DepthNoiseConfig(Config):
    """Errors of a structured-light depth camera (Kinect, RealSense), added to exact depth."""

    seed: int = Field(0, ge=0, description="Draws the noise; the same seed and stamp give the same noise.")
    axial_base_m: float = Field(0.0012, ge=0, le=0.1, description="Deviation along the axis at the best distance, m.")
    axial_growth_per_m: float = Field(
        0.0019, ge=0, le=0.1, description="Growth of it with the square of the distance beyond that, 1/m."
    )
    best_distance_m: float = Field(0.4, ge=0, le=2, description="Distance with the least axial noise, m.")
    lateral_px: float = Field(0.6, ge=0, le=5, description="Deviation of the pixel a return is booked at, px.")
    quantisation_px: float = Field(0.125, ge=0, le=2, description="Disparity step, px; depth comes in steps of it.")
    baseline_m: float = Field(0.075, ge=0, le=0.5, description="Projector to the right of the camera, m: shadows.")
    min_depth_m: float = Field(0.4, ge=0, le=5, description="Nearer surfaces return nothing, m.")
    max_depth_m: float = Field(5.0, gt=0, le=100, description="Farther surfaces return nothing, m.")
    grazing_deg: float = Field(
        80.0, ge=10, le=90, description="Surfaces hit at this angle from the normal return nothing half of the time."
    )
    edge_dropout: float = Field(0.4, ge=0, le=1, description="Share of returns lost beside depth edges.")
    dropout: float = Field(0.002, ge=0, le=1, description="Share of returns lost anywhere.")


PROPOSALS_MODEL = "point_sam_proposals"

DEFAULT_MODEL = "nano"
"""What segments scenes unless something else is asked for: its weights come with the package."""

MODELS = ("graph", PROPOSALS_MODEL, *SEGMENT3D_PRESETS)
"""Names of the scene segmenters; any other model is the file of a Segment3D checkpoint."""

Model = Annotated[
    str,
    Field(
        min_length=1,
        description="nano (a small Segment3D that comes with the package), graph (geometric: no weights, no PyTorch), "
        "the file of a Segment3D checkpoint, point_sam_proposals (Point-SAM, clicked everywhere), or small, base "
        "(random weights, for trying out speed).",
    ),
]
"""Which scene segmenter."""


class SegmentConfig(Config):
    """Segmentation of one cloud: the settings of ``seg3d segment``."""

    model: Model = DEFAULT_MODEL
    graph: GraphConfig = Field(GraphConfig.build({}), description="Settings of the model graph.")
    segment3d: Segment3DSettings = Field(
        Segment3DSettings.build({}), description="Settings of Segment3D networks, presets and checkpoints alike."
    )
    point_sam_proposals: PointSamProposalsConfig = Field(
        PointSamProposalsConfig.build({}), description="Settings of the model point_sam_proposals."
    )
