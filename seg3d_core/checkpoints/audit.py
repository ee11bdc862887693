"""Whether the tensors of a file are exactly those of a network."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from seg3d_core.errors import CheckpointError

_SHOWN = 8
"""Names of each kind in the report of a misfit."""


@dataclass(frozen=True)
class KeyAudit:
    """How the tensors of a file fit a network.

    Attributes:
        missing: parameters of the network that the file lacks.
        unexpected: tensors of the file that the network has no place for.
        misshaped: ``name: (shape in the file) instead of (shape in the network)``.
    """

    missing: list[str]
    unexpected: list[str]
    misshaped: list[str]

    @property
    def fits(self) -> bool:
        """Whether every tensor has its place and every place its tensor."""
        return not (self.missing or self.unexpected or self.misshaped)

    def report(self) -> str:
        """One line per kind of misfit, long lists cut short."""
        kinds = (("missing", self.missing), ("unexpected", self.unexpected), ("mis-shaped", self.misshaped))
        return "\n".join(f"{len(names)} {kind}: {shortened(names)}" for kind, names in kinds if names)


def audit(network: nn.Module, weights: dict[str, Tensor]) -> KeyAudit:
    """How ``weights`` fit ``network``."""
    own = network.state_dict()
    misshaped = [
        f"{name}: {tuple(weights[name].shape)} instead of {tuple(value.shape)}"
        for name, value in own.items()
        if name in weights and weights[name].shape != value.shape
    ]
    missing = [name for name in own if name not in weights]
    return KeyAudit(missing, [name for name in weights if name not in own], misshaped)


def load_weights(network: nn.Module, weights: dict[str, Tensor], source: str = "the state dict") -> None:
    """Put ``weights`` into ``network``: all of them or none. A network on the meta device takes over the tensors.

    Raises:
        CheckpointError: tensors are missing, unexpected or mis-shaped; the message lists them.
    """
    found = audit(network, weights)
    if not found.fits:
        raise CheckpointError(f"{source} does not fit the network, nothing was loaded:\n{found.report()}")
    network.load_state_dict(weights, assign=any(parameter.is_meta for parameter in network.parameters()))


def shortened(names: list[str]) -> str:
    """The first names, and how many more there are."""
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
