"""Segment3D (arXiv 2312.17232): class-agnostic instances of a scene from a sparse U-Net and a mask transformer."""
