"""How Segment3D learns: data, losses, training."""
