"""Points as tensors: farthest point sampling, nearest neighbours and interpolation, on the CPU and on CUDA alike.

Needs PyTorch. Results do not depend on the device: distances are rounded the same way everywhere, and every tie has a
rule. ``seg3d_core.geometry.neighbours`` holds the versions that are obviously right.
"""
