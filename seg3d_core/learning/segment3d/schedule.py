"""Learning rate and momentum at every step: what ``torch.optim.lr_scheduler.OneCycleLR`` does, without memory."""

from __future__ import annotations

import math

from seg3d_core.learning.segment3d.settings import ScheduleConfig


def one_cycle(step: int, steps: int, config: ScheduleConfig) -> tuple[float, float]:
    """Learning rate and first momentum of Adam at ``step`` of ``steps``, from 0 on."""
    low, high = config.momentum
    first = config.learning_rate / config.start_factor
    peak = config.warm_up * steps - 1
    if step <= peak:
        share = step / peak if peak > 0 else 1.0
        return _cosine(first, config.learning_rate, share), _cosine(high, low, share)
    share = min(1.0, (step - peak) / max(1e-9, steps - 1 - peak))
    return _cosine(config.learning_rate, first / config.end_factor, share), _cosine(low, high, share)


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))
