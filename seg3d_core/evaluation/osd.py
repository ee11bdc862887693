"""The Object Segmentation Database: things on a table, one Kinect view each.

Richtsfeld et al. recorded it, Alexandrov's mOSD sharpened the labels; both are in the camera's optical frame. Read are
mOSD's own files (``learn/*.pcd``, ``test/*.pcd`` with a field ``label``) and NumPy archives of them with the merged
numbers under ``instance``, in which 1 is the table.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seg3d_core.data.cloud_files import read_cloud, read_labelled
from seg3d_core.data.pcd import parse_pcd
from seg3d_core.errors import ConfigError, InputError
from seg3d_core.types import IGNORE, LabelledCloud

OSD_PREFIX = "osd:"
TABLE_ID = 1
TABLE_NAME = "supporting table"
_SUFFIXES = (".npz", ".pcd")


def osd_files(path: Path) -> list[Path]:
    """The scenes under ``path`` (a file, or a folder with or without learn/ and test/), in order.

    Raises:
        ConfigError: nothing is there.
    """
    if path.is_file():
        return [path]
    files = sorted(file for suffix in _SUFFIXES for file in path.rglob(f"*{suffix}"))
    if not files:
        raise ConfigError(f"{OSD_PREFIX}{path}: no {' or '.join(_SUFFIXES)} files of the database there")
    return files


def read_osd(path: Path) -> LabelledCloud:
    """One scene; id 1 is the table, objects follow, parts of one object are one instance. The camera is the origin.

    Raises:
        InputError: damaged, not a file of the database, or without labels.
    """
    labelled = _read_pcd(path) if path.suffix.lower() == ".pcd" else read_labelled(path)
    cloud = replace(labelled.cloud, viewpoint=np.zeros(3))
    return LabelledCloud(cloud, labelled.instance_id, {**labelled.names, TABLE_ID: TABLE_NAME})


def _read_pcd(path: Path) -> LabelledCloud:
    cloud = read_cloud(path)
    rows = parse_pcd(path.read_bytes()).rows
    names = rows.dtype.names or ()
    if "label" not in names or rows.dtype["label"].kind not in "iu":
        raise InputError(f"{path}: no field label with whole numbers, as in mOSD's files, among {', '.join(names)}")
    parts = rows["label"] if cloud.source_index is None else rows["label"][cloud.source_index]
    return LabelledCloud(cloud, _merged(parts), {})


def _merged(parts: NDArray[Any]) -> NDArray[np.int32]:
    """mOSD's numbers of parts (1..9: of the table, 20..29: of the first object, ...) to numbers of whole things."""
    whole = np.where(parts >= 20, parts // 10, np.where(parts > 0, TABLE_ID, IGNORE))
    return whole.astype(np.int32)
