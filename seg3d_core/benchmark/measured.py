"""What every measurement of a model has, whichever model it is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class Measured:
    """One size.

    Attributes:
        stage_ms: what each stage took, in their order; medians.
        total_ms: all together.
        peak_bytes: memory at the worst moment beyond model and cloud; None where the system cannot tell.
        gflop: floating-point operations (billions) of the part whose speed is reported.
        peak_gflops: of one large matrix product on this device, in the type of that part.
        device: where.
        threads: of PyTorch.
    """

    stage_ms: dict[str, float]
    total_ms: float
    peak_bytes: int | None
    gflop: float
    peak_gflops: float
    device: str
    threads: int

    family: ClassVar[str]
    """Name of the models."""

    unit: ClassVar[str]
    """What sizes are counted in."""

    counted: ClassVar[tuple[str, ...]]
    """Stages that ``gflop`` are the operations of."""

    counted_name: ClassVar[str]
    """What they are together."""

    @property
    def size(self) -> int:
        """Of the cloud, in ``unit``."""
        raise NotImplementedError

    @property
    def how(self) -> str:
        """By what it was computed, for a heading."""
        return f"{self.threads} threads"

    @property
    def ratios(self) -> dict[str, str]:
        """Further columns of the table."""
        return {}

    @property
    def gflops(self) -> float:
        """Billions of floating-point operations per second of the stages that are counted."""
        return self.gflop / sum(self.stage_ms[name] for name in self.counted) * 1e3

    @property
    def peak_share(self) -> float:
        """What part of ``peak_gflops`` that is."""
        return self.gflops / self.peak_gflops

    def figures(self) -> dict[str, Any]:
        """All figures by name."""
        return {**asdict(self), "gflops": self.gflops, "peak_share": self.peak_share}
