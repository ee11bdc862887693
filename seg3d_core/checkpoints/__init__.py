"""What the checkpoint files of all networks have in common: opening them, and whether they fit. Needs PyTorch."""
