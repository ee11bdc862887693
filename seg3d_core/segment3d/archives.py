"""Tensors out of files written by ``torch.save``, without running anything that the files say.

Such a file is a zip archive of raw numbers and of one pickle that arranges them. Training tools pickle their settings
along, as objects of their own classes; here every class but a tensor or a dict becomes an inert placeholder.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch

from seg3d_core.errors import CheckpointError

_DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}

_DAMAGES = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a damaged or hostile archive can make the unpickler raise."""


def read_archive(path: str | Path) -> Any:
    """What was saved: dicts, lists, numbers, texts and tensors (on the CPU); all else as empty placeholders.

    Raises:
        CheckpointError: the file is missing, truncated, or no zip archive of ``torch.save``.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _unpickle(archive)
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist") from None
    except _DAMAGES as error:
        raise CheckpointError(f"{path} is damaged, or not written by torch.save: {error}") from error


def _unpickle(archive: zipfile.ZipFile) -> Any:
    pickles = [name for name in archive.namelist() if name.endswith("data.pkl")]
    if len(pickles) != 1:
        raise pickle.UnpicklingError(f"it holds {len(pickles)} files named data.pkl instead of 1")
    folder = pickles[0].removesuffix("data.pkl")
    order = f"{folder}byteorder"
    if order in archive.namelist() and archive.read(order) != b"little":
        raise pickle.UnpicklingError("its numbers are big-endian")
    return _Unpickler(io.BytesIO(archive.read(pickles[0])), archive, folder).load()


class _Placeholder:
    """Stands for an object of a class that is not wanted: takes everything, does nothing."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> _Placeholder:
        return super().__new__(cls)

    def __init__(self, *_args: Any, **_kwargs: Any) -> None: ...

    def __call__(self, *_args: Any, **_kwargs: Any) -> _Placeholder:
        return _Placeholder()

    def __setstate__(self, _state: Any) -> None: ...

    def __setitem__(self, _key: Any, _value: Any) -> None: ...

    def append(self, _value: Any) -> None:
        """Ignore an element of a list."""

    def extend(self, _values: Any) -> None:
        """Ignore elements of a list."""

    def add(self, _value: Any) -> None:
        """Ignore an element of a set."""


class _RebuildTensor(_Placeholder):
    """Makes a tensor of its numbers and their arrangement."""

    def __call__(self, storage: Any, offset: int, size: Any, stride: Any, *_rest: Any) -> Any:
        return torch.as_strided(storage, size, stride, offset).clone()


class _RebuildParameter(_Placeholder):
    """Of a parameter, the tensor."""

    def __call__(self, tensor: Any, *_rest: Any) -> Any:
        return tensor


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(file, encoding="utf-8")
        self._archive = archive
        self._folder = folder
        self._storages: dict[str, torch.Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Nothing is imported: what is not known here becomes a placeholder."""
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _RebuildTensor()
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _RebuildParameter()
        return _Placeholder

    def persistent_load(self, pid: Any) -> torch.Tensor:
        """The numbers of one or more tensors, read when first asked for."""
        _, dtype, key, _, count = pid
        if key not in self._storages:
            data = bytearray(self._archive.read(f"{self._folder}data/{key}"))
            self._storages[key] = (
                torch.frombuffer(data, dtype=dtype, count=count) if count else torch.empty(0).to(dtype)
            )
        return self._storages[key]
