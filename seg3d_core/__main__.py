"""``python -m seg3d_core``: the same as the command ``seg3d``."""

from __future__ import annotations

import sys

from seg3d_core.cli import main

if __name__ == "__main__":
    sys.exit(main())
