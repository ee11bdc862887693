"""Views of rooms, computed once: a file for each room."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from seg3d_core.data.atomic import atomic_path
from seg3d_core.errors import InputError
from seg3d_core.learning.point_sam.views import View, room_views

_ARRAYS = ("points", "rgb", "objects", "parts")


def fill_cache(
    folder: Path, seeds: Sequence[int], workers: int, done: Callable[[int, int], None] = lambda made, of: None
) -> None:
    """Compute the views of those rooms that have no file in ``folder`` yet, in processes of their own.

    ``done`` is told how many rooms are finished, of how many.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [seed for seed in seeds if not _file(folder, seed).exists()]
    if not missing:
        return
    done(0, len(missing))
    # A fork would inherit the threads of PyTorch and numba, but not what they wait for.
    with ProcessPoolExecutor(min(workers, len(missing)), get_context("spawn")) as pool:
        made = [pool.submit(_make, folder, seed) for seed in missing]
        for number, future in enumerate(as_completed(made), start=1):
            future.result()
            done(number, len(missing))


def read_views(folder: Path, seed: int) -> list[View]:
    """The views of one room.

    Raises:
        InputError: its file is missing or damaged.
    """
    path = _file(folder, seed)
    try:
        with np.load(path, allow_pickle=False) as file:
            ends, focus = file["ends"], file["focus"]
            arrays = [np.split(file[name], ends[:-1]) for name in _ARRAYS]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(
            f"cannot read the views of room {seed} from {path}: {error}; delete it to make it anew"
        ) from error
    return [
        View(points, rgb, objects, parts, int(number))
        for points, rgb, objects, parts, number in zip(*arrays, focus, strict=True)
    ]


def _make(folder: Path, seed: int) -> None:
    views = room_views(seed)
    joined = {name: np.concatenate([getattr(view, name) for view in views]) for name in _ARRAYS}
    ends = np.cumsum([len(view.points) for view in views])
    with atomic_path(_file(folder, seed)) as partial:
        np.savez(partial, allow_pickle=False, ends=ends, focus=np.array([view.focus for view in views]), **joined)


def _file(folder: Path, seed: int) -> Path:
    return folder / f"room-{seed:06d}.npz"
