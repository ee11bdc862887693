"""The results of relabelling as a rosbag2 recording, for RViz, Foxglove and everything else that reads ROS topics."""

from __future__ import annotations

import tempfile
from pathlib import Path

from rosbags.typesys import Stores, get_typestore

from seg3d_core.data.bag_clouds import CLOUD, encode_cloud, encode_labelled
from seg3d_core.data.bag_writer import BagWriter
from seg3d_core.errors import InputError
from seg3d_core.recording.bag_run import FUSED_TOPIC, INSTANCES_TOPIC
from seg3d_core.types import LabelledCloud

PROVENANCE_TOPIC = "/seg3d/provenance"
_STRING = "std_msgs/msg/String"


def write_results_bag(path: Path, labelled: LabelledCloud, provenance: str) -> None:
    """Write a recording with one message on each of three latched topics; it is complete or as it was.

    ``FUSED_TOPIC`` has the cloud in its colours, ``INSTANCES_TOPIC`` its instances in the form of scene_node's
    instance_cloud, ``PROVENANCE_TOPIC`` the text ``provenance``. Stamps and times are the cloud's.

    Args:
        path: folder; what is there is replaced.
        labelled: the cloud and its instances.
        provenance: JSON of where they come from.

    Raises:
        InputError: the disk is full or the folder cannot be written.
    """
    try:
        # Its name is in the names of its files, so it is made under it, elsewhere.
        with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as temporary:
            made = Path(temporary) / path.name
            _write(made, labelled, provenance)
            if path.exists():
                path.rename(Path(temporary) / "old")
            made.rename(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error


def _write(path: Path, labelled: LabelledCloud, provenance: str) -> None:
    store = get_typestore(Stores.ROS2_JAZZY)
    text = bytes(store.serialize_cdr(store.types[_STRING](provenance), _STRING))
    stamp_ns = labelled.cloud.stamp_ns
    with BagWriter(path) as writer:
        writer.topic(FUSED_TOPIC, CLOUD, latched=True)(stamp_ns, encode_cloud(labelled.cloud))
        writer.topic(INSTANCES_TOPIC, CLOUD, latched=True)(stamp_ns, encode_labelled(labelled))
        writer.topic(PROVENANCE_TOPIC, _STRING, latched=True)(stamp_ns, text)
