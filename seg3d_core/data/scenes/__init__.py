"""Scene folders: the one format that training, labelling and evaluation read, and all that writes it.

docs/scenes.md describes the files.
"""

from seg3d_core.data.scenes.cloud import SceneCloud
from seg3d_core.data.scenes.folder import IdKind, SceneFolder, find_scene_folders
from seg3d_core.data.scenes.writer import SceneWriter

__all__ = ["IdKind", "SceneCloud", "SceneFolder", "SceneWriter", "find_scene_folders"]
