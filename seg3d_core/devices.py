"""Where networks run."""

from __future__ import annotations

import torch

from seg3d_core.errors import ConfigError, DeviceError

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
"""Number types by the names that settings use."""


def choose_device(name: str) -> torch.device:
    """The device of that name; ``auto`` is the first CUDA device where there is one, the CPU otherwise.

    Raises:
        ConfigError: the name is none of auto, cpu, cuda and cuda:N.
        DeviceError: CUDA is asked for by name and is not there, or not that many devices.
    """
    if name == "auto":
        return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device {name!r} is none of auto, cpu, cuda, cuda:N") from error
    if device.type == "cuda":
        _check_cuda(device)
    return device


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """The number type of that name.

    Raises:
        ConfigError: the name is unknown, or the type is one of 16 bits and ``device`` is the CPU, where it is slower.
    """
    if name not in DTYPES:
        raise ConfigError(f"precision {name!r} is none of {', '.join(DTYPES)}")
    if name != "float32" and device.type == "cpu":
        raise ConfigError(f"precision {name} needs a CUDA device, the network runs on the CPU: use float32")
    return DTYPES[name]


def own_device(name: str, processes: int, local_rank: int) -> str:
    """The device that ``name`` means for one of ``processes``: a GPU of its own, where no particular one is asked for.

    Args:
        name: cpu, cuda, cuda:N or auto.
        processes: that share the machine's GPUs, or those of several machines.
        local_rank: of this one among those of its machine.
    """
    if processes == 1 or name not in ("auto", "cuda") or not torch.cuda.is_available():
        return name
    return f"cuda:{local_rank % torch.cuda.device_count()}"


def device_text(device: torch.device) -> str:
    """The device with its name, for people."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def _check_cuda(device: torch.device) -> None:
    if not torch.cuda.is_available():
        raise DeviceError(f"device {device} was asked for, PyTorch {torch.__version__} finds no CUDA device")
    count = torch.cuda.device_count()
    if device.index is not None and device.index >= count:
        raise DeviceError(f"device {device} was asked for, there are {count} CUDA devices: cuda:0 to cuda:{count - 1}")
