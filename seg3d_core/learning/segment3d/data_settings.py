"""Settings of the data of a Segment3D training, each default written once; the defaults are those of the paper."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from seg3d_core.config import Config

_Probability = Annotated[float, Field(ge=0, le=1)]
_Grain = Annotated[float, Field(ge=0.01, le=10)]
_Size = Annotated[float, Field(ge=0, le=10)]
_Factor = Annotated[float, Field(ge=0.05, le=20)]
_Metres = Annotated[float, Field(gt=0, le=100)]


class AugmentationConfig(Config):
    """How a cloud is changed before it is learned from: geometry first, then colours.

    What the paper does not have is off: zoom, jitter, losses of points, grey and missing colours, hues, colour noise.
    They make clouds of one sensor, or of none, look like those of others.
    """

    shift: bool = Field(
        True, description="Whether clouds are moved to their mean, then by up to half of the way to their borders."
    )
    flip: _Probability = Field(0.5, description="Probability that x is mirrored; the same for y.")
    distort: _Probability = Field(0.95, description="Probability of elastic distortion.")
    distortions: tuple[tuple[_Grain, _Size], ...] = Field(
        ((0.2, 0.4), (0.8, 1.6)), description="Elastic distortions, one after the other: grain, m, and strength, m."
    )
    scale: float = Field(0.1, ge=0, lt=1, description="Each axis is stretched by a factor within 1 -+ this.")
    turn_deg: float = Field(180.0, ge=0, le=180, description="Turn about z within -+ this, degrees.")
    lean_deg: float = Field(7.5, ge=0, le=180, description="Turns about y and x within -+ this, degrees.")
    zoom: tuple[_Factor, _Factor] = Field(
        (1.0, 1.0), description="Clouds become larger by a factor from .. to: things seen with finer voxels."
    )
    jitter_m: float = Field(0.0, ge=0, le=1, description="Points are moved by noise of a deviation of up to this, m.")
    lose: float = Field(0.0, ge=0, lt=1, description="Up to this share of the points is lost, here and there.")
    holes: int = Field(0, ge=0, le=100, description="Up to so many holes are cut.")
    hole_m: tuple[_Metres, _Metres] = Field((0.03, 0.3), description="Radius of holes, from .. to, m.")
    brightness: float = Field(0.2, ge=0, le=1, description="Added to all colours (0..1): within -+ this.")
    contrast: float = Field(0.2, ge=0, lt=1, description="Colours are multiplied by a factor within 1 -+ this.")
    colour_shift: float = Field(
        20 / 255, ge=0, le=1, description="Added to red, green and blue (0..1), to each its own: within -+ this."
    )
    hue_deg: float = Field(0.0, ge=0, le=180, description="Hues are turned within -+ this, degrees.")
    colour_noise: float = Field(0.0, ge=0, le=1, description="Noise on each colour, of a deviation of up to this.")
    grey: _Probability = Field(0.0, description="Probability that colours become shades of grey.")
    no_colour: _Probability = Field(0.0, description="Probability that all colours are missing: the mean instead.")

    @model_validator(mode="after")
    def _ordered(self) -> AugmentationConfig:
        for name in ("zoom", "hole_m"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} = {low}, {high}: the first must not be greater")
        return self


class RehearsalConfig(Config):
    """Other scenes that are learned beside the main ones, so that they are not forgotten."""

    scenes: tuple[str, ...] = Field((), description="Scene folders, or folders of them; none: nothing is rehearsed.")
    targets: str = Field("instance", min_length=1, description="Which of their masks are learned, as data.targets.")
    share: float = Field(0.5, gt=0, lt=1, description="Of all clouds that are learned from.")


class DataConfig(Config):
    """What a training sees, and how it is made ahead."""

    kind: Literal["frames", "scenes"] = Field(
        "frames", description="frames: single RGB-D images (stage 1); scenes: fused clouds (stage 2)."
    )
    targets: str = Field(
        "truth",
        min_length=1,
        description="Which masks are learned. Of frames: a folder of masks/ (truth, graph, segment-anything ..). Of "
        "scenes: a file of pseudo/, or instance or part, the known ones of the cloud.",
    )
    superpoints: bool = Field(
        False,
        description="Whether masks consist of superpoints instead of voxels (segment mode of Mask3D). Scenes have "
        "theirs, those of a frame are found when it is read.",
    )
    voxel_size_m: float = Field(0.02, ge=0.001, le=10, description="Edge of a voxel, m.")
    max_voxels: int = Field(
        0, ge=0, le=100_000_000, description="Larger samples are cut to so many voxels around a random place; 0: never."
    )
    fewest_voxels: int = Field(1, ge=1, le=100_000, description="Masks of fewer voxels are not learned.")
    every: int = Field(1, ge=1, le=100_000, description="Each how-manieth frame of a scene is used.")
    fewest_pixels: int = Field(100, ge=1, le=1_000_000, description="Masks of fewer pixels with depth are no masks.")
    max_depth_m: float = Field(66.0, gt=0, le=1000, description="Farther returns of frames are left out, m.")
    structure: bool = Field(
        True,
        description="Whether floor, walls and ceiling are masks, too, where scenes say which they are. "
        "Pseudo masks stay as they are.",
    )
    min_score: float = Field(0.6, ge=0, le=1, description="Pseudo masks need a confidence above this.")
    max_masks: int = Field(150, ge=1, le=65_535, description="At most so many pseudo masks of a scene, best first.")
    batch: int = Field(8, ge=1, le=1024, description="Samples of a step, in each process.")
    workers: int = Field(2, ge=0, le=256, description="Processes that make samples ahead; 0: none, made in line.")
    ahead: int = Field(2, ge=1, le=64, description="Steps that each of them is ahead.")
    cache_mb: int = Field(
        1024, ge=0, le=10_000_000, description="Memory for clouds read before, all workers of a process together, MB."
    )
    augmentation: AugmentationConfig = Field(
        AugmentationConfig.build({}), description="How clouds are changed before they are learned from."
    )

    rehearsal: RehearsalConfig = Field(
        RehearsalConfig.build({}), description="Scenes of other masks that are mixed in by a stated ratio."
    )

    def without_rehearsal(self) -> DataConfig:
        """The same, of the main scenes alone."""
        return self.model_copy(update={"rehearsal": RehearsalConfig.build({})})
