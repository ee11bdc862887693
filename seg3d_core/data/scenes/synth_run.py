"""Synthetic data sets of any size: rooms or tables in parallel, restartable."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

from seg3d_core.data.scenes.description import SCENE_JSON, SceneDescription
from seg3d_core.data.scenes.synth import make_scene, scene_name
from seg3d_core.data.scenes.synth_settings import SynthConfig
from seg3d_core.data.scenes.synth_tables import make_table_scene, table_name
from seg3d_core.errors import ConfigError, InputError


def missing_rooms(folder: Path, seeds: Iterable[int], config: SynthConfig) -> list[int]:
    """Seeds whose scene is not there yet.

    Raises:
        InputError: a scene is there, but of other settings or damaged.
    """
    missing = []
    for seed in seeds:
        path = _scene_path(folder, seed, config)
        if not (path / SCENE_JSON).is_file():
            missing.append(seed)
        elif SceneDescription.read(path).settings != config.recorded():
            raise InputError(f"{path} was made with other settings; make it anew elsewhere, or delete it")
    return missing


def make_rooms(
    folder: Path, seeds: list[int], config: SynthConfig, workers: int
) -> Iterator[tuple[int, ConfigError | None]]:
    """Make scenes, ``workers`` at a time; yields each seed when its scene is finished, in any order.

    A seed of which no room can be made comes with its error, and the others go on. Closing the iterator stops early:
    scenes in work are gone on with by the next call.

    Raises:
        InputError: a scene cannot be written; scenes not begun yet are not made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make {folder}: {error.strerror or error}") from error
    if workers <= 1 or len(seeds) <= 1:
        for seed in seeds:
            yield seed, _make(folder, seed, config)
        return
    # Forked processes would inherit the locks of ray casting threads.
    context = multiprocessing.get_context("spawn")
    with _one_thread_each(), ProcessPoolExecutor(min(workers, len(seeds)), context) as pool:
        jobs = {pool.submit(_make, folder, seed, config): seed for seed in seeds}
        try:
            for job in as_completed(jobs):
                yield jobs[job], job.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _scene_path(folder: Path, seed: int, config: SynthConfig) -> Path:
    return folder / (table_name(seed) if config.content == "tables" else scene_name(seed))


def _make(folder: Path, seed: int, config: SynthConfig) -> ConfigError | None:
    make = make_table_scene if config.content == "tables" else make_scene
    try:
        make(_scene_path(folder, seed, config), seed, config)
    except ConfigError as error:
        return error
    return None


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started here use one thread each: they are as many as there are cores."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before
