from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from seg3d_core.data.scenes.scans import ScanFiles, read_scan, scannet_scan
from seg3d_core.errors import InputError

# A floor of two triangles and a wall of two on its edge, six vertices.
MESH = """ply
format ascii 1.0
element vertex 6
property float x
property float y
property float z
property uchar red
property uchar green
property uchar blue
element face 4
property list uchar int vertex_indices
end_header
0 0 0 255 0 0
1 0 0 255 0 0
0 1 0 255 0 0
1 1 0 255 0 0
0 1 1 0 0 255
1 1 1 0 0 255
3 0 1 2
3 1 3 2
3 2 3 4
3 3 5 4
"""
SEGMENTS = {"segIndices": [700, 700, 700, 700, 9, 9]}
GROUPS = {"segGroups": [{"objectId": 0, "segments": [700], "label": "floor"}, {"segments": [9], "label": "poster"}]}


def files(folder: Path, segments: object = None, groups: object = None) -> ScanFiles:
    found = ScanFiles(folder / "m.ply", folder / "s.json", folder / "g.json")
    found.mesh.write_text(MESH)
    for path, values in ((found.segments, segments), (found.groups, groups)):
        if values is not None:
            path.write_text(json.dumps(values))
    return found


def test_a_scan_with_segments_and_annotation(tmp_path: Path) -> None:
    scene = read_scan(files(tmp_path, SEGMENTS, GROUPS))
    assert scene is not None
    assert scene.superpoints.tolist() == [1, 1, 1, 1, 0, 0]
    assert scene.labelled.instance_id.tolist() == [1, 1, 1, 1, 2, 2]
    assert scene.names == {1: "floor", 2: "poster"}
    np.testing.assert_allclose(scene.cloud.normals[[0, 5]], [[0, 0, 1], [0, -1, 0]], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(scene.cloud.normals, axis=1), 1, atol=1e-6)
    assert scene.cloud.rgb[4].tolist() == [0, 0, 1]


def test_what_is_missing_of_a_scan_is_made_or_left_out(tmp_path: Path) -> None:
    assert scannet_scan(tmp_path, "scene0000_00") is None
    scene = read_scan(files(tmp_path))
    assert scene is not None and not scene.has_truth
    assert scene.superpoints.tolist() == [0] * 6  # fewer than 20 vertices join
    scene = read_scan(files(tmp_path, SEGMENTS))
    assert scene is not None and not scene.has_truth


@pytest.mark.parametrize(
    ("segments", "groups", "message"),
    [
        ({"segIndices": [1, 2]}, GROUPS, "2 segIndices, the mesh has 6 vertices"),
        ({}, GROUPS, "no segIndices"),
        ({"segIndices": ["a"] * 6}, GROUPS, "segIndices are not whole numbers"),
        ([], GROUPS, "expected an object, found a list"),
        (SEGMENTS, {}, "no list segGroups"),
        (SEGMENTS, {"segGroups": [{"label": "x"}]}, r"segGroups\[0\] has no segments and label: 'segments'"),
    ],
)
def test_damaged_annotations_are_refused_in_words(
    segments: object, groups: object, message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        read_scan(files(tmp_path, segments, groups))
