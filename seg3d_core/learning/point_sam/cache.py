"""Views of rooms, computed once: a file for each room."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
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
    """Compute the views of those rooms that have no file in ``folder`` yet.

    Args:
        folder: is made where it is not there.
        seeds: of the rooms.
        workers: processes to do it in; 0: in this one.
        done: is told how many of the missing rooms are finished, of how many.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [seed for seed in seeds if not _file(folder, seed).exists()]
    for number, _ in enumerate(_made(folder, missing, min(workers, len(missing))), start=1):
        done(number, len(missing))


def _made(folder: Path, seeds: Sequence[int], workers: int) -> Iterator[None]:
    if not workers:
        for seed in seeds:
            _make(folder, seed)
            yield
        return
    # A fork would inherit the threads of PyTorch and numba, but not what they wait for.
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        for future in as_completed([pool.submit(_make, folder, seed) for seed in seeds]):
            future.result()
            yield


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
