from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import seg3d_core

ROOT = Path(seg3d_core.__file__).parent.parent


def test_every_promised_name_is_there() -> None:
    for name in seg3d_core.__all__:
        assert getattr(seg3d_core, name) is not None
    assert set(dir(seg3d_core)) == set(seg3d_core.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Clowd'"):
        seg3d_core.Clowd  # noqa: B018


def test_the_package_itself_imports_nothing_heavy() -> None:
    code = "import seg3d_core, sys; print([m for m in ('numpy', 'numba', 'open3d', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_cloud_comes_from_a_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", points=np.ones((2, 3), np.float32))
    assert len(seg3d_core.Cloud.from_file(tmp_path / "a.npz")) == 2
    with pytest.raises(seg3d_core.InputError, match=r"b\.npz: No such file"):
        seg3d_core.Cloud.from_file(tmp_path / "b.npz")
