"""Which weights were released, and where they lie."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReleasedFile:
    """A file of weights that somebody published.

    Attributes:
        file_name: that it gets here.
        url: what it is fetched from.
        page: where a person finds it with a browser.
        file_there: what it is called on that page.
        size: in bytes; None where nobody has published it.
        sha256: of its content, hexadecimal; None where nobody has published it.
        begins_with: first bytes of every file of its kind.
    """

    file_name: str
    url: str
    page: str
    file_there: str
    size: int | None
    sha256: str | None
    begins_with: bytes = b""


RELEASED = {
    "point-sam": ReleasedFile(
        "point_sam_large.safetensors",
        # A fixed revision: what "main" holds may change, and would then be refused for its checksum.
        "https://huggingface.co/yuchen0187/Point-SAM/resolve/fb2cd5cd8047e3681491d82fc41b880a9a914fc8/model.safetensors",
        "https://huggingface.co/yuchen0187/Point-SAM/tree/main",
        "model.safetensors",
        1_244_245_632,
        "bfe0aa4fee2d3c08251271e597954e6a2d26209d003c724d0ff049f578410ab2",
    ),
    "segment3d": ReleasedFile(
        "segment3d.ckpt",
        "https://drive.usercontent.google.com/download?id=1Swq9d7rjV2Q1lTuXiKh1z0OZPt9V4sgO&export=download&confirm=t",
        "https://drive.google.com/file/d/1Swq9d7rjV2Q1lTuXiKh1z0OZPt9V4sgO/view",
        "segment3d.ckpt",
        None,
        None,
        b"PK",  # torch.save writes zip archives
    ),
}
"""Point-SAM: the ViT-L network of arXiv 2406.17741. Segment3D: the checkpoint that its demo asks for."""
