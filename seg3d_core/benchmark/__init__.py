"""How fast the models are on this machine, stage by stage: ``seg3d bench``. Needs PyTorch."""
