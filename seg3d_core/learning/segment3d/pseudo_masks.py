"""Training targets of the second stage: what a network of the first is confident of, on whole scenes.

Section 6 of the method; the rules are ``segment3d_config.POSTPROCESS_RULES["pseudo_masks"]``. Where asked for, the
images of the scene have the last word on which masks these are (``mask_agreement``).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from seg3d_core.data.scenes import SceneFolder
from seg3d_core.data.scenes.description import sha256_of
from seg3d_core.errors import ConfigError, InputError
from seg3d_core.evaluation.progress import Stream
from seg3d_core.evaluation.views import FolderViews
from seg3d_core.geometry.upright import upright
from seg3d_core.learning.progress import StepProgress
from seg3d_core.learning.segment3d.mask_agreement import judged
from seg3d_core.learning.segment3d.pseudo_files import PseudoMasks, made_by, write_pseudo_masks
from seg3d_core.learning.segment3d.sources import TRUTH
from seg3d_core.segment3d.predictor import Segment3D
from seg3d_core.segment3d.proposals import Proposals
from seg3d_core.segment3d_config import Segment3DSettings
from seg3d_core.types import Cloud

_LOGGER = logging.getLogger(__name__)

QUERIES = 150
"""That look for masks of a whole scene."""

CANDIDATE_SCORE = 0.15
"""Confidence from which on masks are shown to the images, where these judge."""


@dataclass(frozen=True)
class LabelReport:
    """What became of the scenes.

    Attributes:
        labelled: now.
        kept: had been labelled before.
        failed: name of each scene that could not be labelled, and why.
        masks: that were found now.
    """

    labelled: int
    kept: int
    failed: tuple[tuple[str, str], ...]
    masks: int


def labelling_settings(settings: Segment3DSettings, views: str = "") -> Segment3DSettings:
    """``settings`` with the rules of pseudo masks, and what the method has where they say nothing.

    Args:
        settings: of the network.
        views: which 2-D masks judge, if any do: then less confident masks are candidates, too.
    """
    changes: dict[str, object] = {"postprocess": "pseudo_masks", "num_queries": settings.num_queries or QUERIES}
    if views:
        changes["score_threshold"] = settings.score_threshold or CANDIDATE_SCORE
    return settings.model_copy(update=changes)


def teacher(checkpoint: Path, settings: Segment3DSettings, views: str = "") -> str:
    """Which masks these are: the contents of the weights' file and all settings that change what is found.

    Raises:
        InputError: the file cannot be read.
    """
    rest = settings.model_dump(exclude={"device", "engine", "max_voxels"})
    words = [f"{name}={value}" for name, value in rest.items()] + [f"views={views}"] * bool(views)
    return f"{checkpoint.name} sha256:{sha256_of(checkpoint)[:16]} {' '.join(words)}"


def confident_masks(model: Segment3D, cloud: Cloud) -> Proposals:
    """Masks on the points of ``cloud`` (z up), best score first; they may overlap.

    Args:
        model: with ``labelling_settings``.
        cloud: of a whole scene.

    Raises:
        InputError: see ``Segment3D.segment``.
    """
    found = model.segment(cloud)
    return Proposals.from_masks(found.masks, found.scores)


def label_scenes(
    scenes: Sequence[SceneFolder],
    model: Segment3D,
    name: str,
    source: str,
    stream: Stream | None = None,
    views: str = "",
) -> LabelReport:
    """Write pseudo/``name``.npz of every scene that has none; one that cannot be read is said, counted, left out.

    Can be stopped at any time and called again. Several processes may share the scenes among them.

    Args:
        scenes: to label.
        model: with ``labelling_settings``.
        name: of the masks.
        source: says which weights and settings the model has, see ``teacher``; written to each file.
        stream: for progress; standard error unless given.
        views: which 2-D masks of the frames judge, see ``mask_agreement.judged``; none: confidence alone.

    Raises:
        ConfigError: ``name`` is no name for a file, or one of known targets.
        InputError: a scene has masks of that name from another source, or the disk is full.
    """
    if name in TRUTH or not name.strip(".") or Path(name).name != name:
        raise ConfigError(f"masks cannot be called {name!r}: expected the name of a file, and not {' or '.join(TRUTH)}")
    missing = _missing(scenes, name, source)
    progress = StepProgress(stream or sys.stderr, "scenes")
    masks, failed = 0, []
    for number, scene in enumerate(missing, start=1):
        try:
            found = _masks_of(scene, model, views)
        except InputError as error:
            failed.append((scene.name, str(error)))
            _LOGGER.warning("%s is left out: %s", scene.name, error)
        else:
            cloud, proposals = found
            write_pseudo_masks(scene.pseudo_path(name), PseudoMasks(proposals, source), cloud)
            masks += len(proposals)
        progress.tell(number, len(missing), f"{masks} masks, {len(failed)} scenes failed")
    return LabelReport(len(missing) - len(failed), len(scenes) - len(missing), tuple(failed), masks)


def _masks_of(scene: SceneFolder, model: Segment3D, views: str) -> tuple[Cloud, Proposals]:
    cloud, images = scene.cloud().cloud, FolderViews(scene)
    if views:
        images.masked(views)  # says at once that there are none
    turned = upright(cloud.points, scene.up)
    found = confident_masks(model, replace(cloud, points=turned, normals=None, viewpoint=None))
    if views:
        found = judged(found, cloud, lambda: images.masked(views))
    return cloud, found


def _missing(scenes: Sequence[SceneFolder], name: str, source: str) -> list[SceneFolder]:
    """Scenes without masks of that name.

    Raises:
        InputError: some were found by something else: two teachers must not be mixed.
    """
    missing = []
    for scene in scenes:
        path = scene.pseudo_path(name)
        if not path.is_file():
            missing.append(scene)
        elif (before := made_by(path)) != source:
            raise InputError(f"{path} was made by {before}, not by {source}: take another name, or delete it")
    return missing
