"""torchvision beside a PyTorch that its compiled operators were not made for.

torchvision's wheels from PyPI are made for the CUDA build of PyTorch. Beside the CPU build their compiled operators do
not load, and then torchvision cannot even be imported: it tells the compiler about operators that are not there. Of
all of them segment-anything uses one, nms. So where they do not load, and only there, the two modules of torchvision
that speak about them are left out, and nms is defined here, in Python. Everything else of torchvision is its own.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from seg3d_core.optional import import_optional

logger = logging.getLogger(__name__)

_DESCRIPTIONS = ("torchvision._meta_registrations", "torchvision._autograd_registrations")
"""What its operators answer to shapes alone, and what their gradients are: of no use without them."""

_definitions: list[torch.library.Library] = []
"""Kept: what a library defines goes with it."""


@cache
def import_torchvision() -> Any:
    """torchvision, able to suppress overlapping boxes whatever it was compiled for.

    Raises:
        ConfigError: it is not installed.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None or _loads(Path(str(spec.origin)).parent):
        return import_optional("torchvision", "segment-anything", "torchvision")
    for described in _DESCRIPTIONS:
        sys.modules.setdefault(described, ModuleType(described))
    _define_nms()
    torchvision = importlib.import_module("torchvision")
    # Its functions ask this before they call an operator; the only one that is called is there now.
    torchvision.extension._has_ops = lambda: True
    logger.info("torchvision's operators do not load beside PyTorch %s: nms runs in Python", torch.__version__)
    return torchvision


def _loads(folder: Path) -> bool:
    """Whether the compiled operators in ``folder`` can be loaded; loading them twice does no harm."""
    for library in folder.glob("_C*.so"):
        try:
            torch.ops.load_library(str(library))  # type: ignore[no-untyped-call]
        except OSError:
            return False
    return hasattr(torch.ops.torchvision, "nms")


def _define_nms() -> None:
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    for device in ("CPU", "CUDA"):
        library.impl("nms", suppressed, device)  # type: ignore[no-untyped-call]
    _definitions.append(library)


def suppressed(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Rows of the boxes that stay, best score first: those that no better one that stays overlaps by more.

    Args:
        boxes: (N, 4) left, top, right, bottom.
        scores: (N,).
        iou_threshold: intersection over union above which the worse of two boxes goes.
    """
    order = scores.argsort(descending=True, stable=True)
    boxes = boxes[order]
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    low = torch.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(2)
    overlaps = (shared > iou_threshold * (areas[:, None] + areas[None] - shared)).cpu().numpy()
    stays = torch.ones(len(boxes), dtype=torch.bool)
    kept = stays.numpy()
    for row in range(len(boxes)):
        if kept[row]:
            kept[row + 1 :] &= ~overlaps[row, row + 1 :]
    return order[stays.to(order.device)]
