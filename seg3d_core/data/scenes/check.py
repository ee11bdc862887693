"""Whether a scene folder is what it was when it was made, and can be read."""

from __future__ import annotations

from collections.abc import Iterator

from seg3d_core.data.scenes.description import sha256_of
from seg3d_core.data.scenes.folder import SceneFolder
from seg3d_core.errors import InputError


def check_scene(scene: SceneFolder) -> Iterator[str]:
    """Faults in words: missing and changed files, and files that cannot be read; nothing for a sound scene."""
    for name, expected in scene.description.manifest.items():
        path = scene.path / name
        if not path.is_file():
            yield f"{path} is missing"
        elif sha256_of(path) != expected:
            yield f"{path} has changed since the scene was made: its SHA-256 is not that of the manifest"
    try:
        cloud = scene.cloud()
        if len(cloud) == 0:
            yield f"{scene.path}: the cloud is empty"
        for index in range(scene.frame_count):
            yield from _check_frame(scene, index)
    except InputError as error:
        yield str(error)


def _check_frame(scene: SceneFolder, index: int) -> Iterator[str]:
    """Images that cannot be read, have another size than the frame, or no depth; masks of all sources too."""
    try:
        frame = scene.frame(index)
        if not (frame.depth_m > 0).any():
            yield f"{scene.path}: frame {index} has no depth"
        sources = sorted(folder.name for folder in (scene.path / "masks").glob("*") if folder.is_dir())
        images = {"instance": scene.true_ids(index, "instance"), "part": scene.true_ids(index, "part")}
        images |= {f"masks/{source}": scene.mask_ids(source, index) for source in sources}
        for name, ids in images.items():
            if ids is not None and ids.shape != frame.depth_m.shape:
                yield f"{scene.path}: {name} of frame {index} is {ids.shape}, expected {frame.depth_m.shape}"
    except InputError as error:
        yield str(error)
