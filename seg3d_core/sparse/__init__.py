"""Sparse tensors and convolutions on voxels in plain PyTorch, with MinkowskiEngine's weights and coordinate rules.

Needs PyTorch, which the rest of the core does not. ``docs/sparse.md`` explains it to a newcomer.
"""
