"""Every error that seg3d raises on purpose.

A message carries the offending value, the limit and the unit, so that it can be acted on without a debugger.
"""


class Seg3dError(Exception):
    """Base class: catching it catches everything that seg3d raises on purpose, and nothing else."""


class ConfigError(Seg3dError):
    """A setting is unknown, out of range, or contradicts another one. Raised at set-up."""


class CheckpointError(Seg3dError):
    """A model file is missing, truncated, or belongs to another architecture. Raised at set-up."""


class DeviceError(Seg3dError):
    """A device asked for by name is not there. Raised at set-up."""


class InputError(Seg3dError):
    """This frame, cloud or file cannot be used. Nodes drop it, count it, say it once, and go on."""


class PromptError(InputError):
    """A click or goal does not refer to anything in the cloud."""


class DisagreementError(Seg3dError):
    """Two ways to compute the same have other results than rounding explains: one of them is wrong."""
