"""Point-SAM (arXiv 2406.17741): a cloud is encoded once, then every click costs one pass of a small decoder.

Needs PyTorch.
"""
