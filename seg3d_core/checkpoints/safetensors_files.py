"""Safetensors files, opened with errors that say what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from seg3d_core.errors import CheckpointError


@contextmanager
def opened(path: str | Path) -> Iterator[Any]:
    """The file as safetensors' reader: names by ``keys()``, tensors by ``get_tensor``, texts by ``metadata()``.

    Raises:
        CheckpointError: the file is missing, or damaged; also while it is read.
    """
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist") from None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged, or no safetensors file: {error}") from error
