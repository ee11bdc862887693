from __future__ import annotations

import importlib.util

if importlib.util.find_spec("torch"):
    import torch

    # These clouds are too small to share among threads.
    torch.set_num_threads(1)
