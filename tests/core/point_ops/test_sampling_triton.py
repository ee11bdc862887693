"""The Triton kernels without a GPU: run by the interpreter, and compiled for every architecture that we name.

In processes of their own, because Triton decides at its import whether it interprets.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed")
if importlib.util.find_spec("triton") is None:
    pytest.skip("Triton is not installed", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[3]

INTERPRET = """
import numpy as np, torch
from seg3d_core.point_ops import sampling_triton_kernels as kernels
from seg3d_core.point_ops.sampling_device import sample_with_torch
random = np.random.default_rng(1)
SIZES = ((1, 1, 3), (2, 3, 5), (1, 64, 20), (2, 70, 40), (1, 8192, 4), (2, 8193, 4))
for clouds, available, count in SIZES:
    for points in (random.normal(size=(clouds, 3, available)), random.integers(-4, 4, (clouds, 3, available))):
        columns = torch.from_numpy(points.astype(np.float32))
        for share in (1.0, 0.5):
            squared = torch.full((clouds, available), torch.inf)
            squared[torch.from_numpy(random.random((clouds, available)) >= share)] = -torch.inf
            first = torch.tensor([available // 3])
            expected = sample_with_torch(columns, squared.clone(), first, count)
            found = kernels.sample_with_triton(columns, squared.clone(), first, count)
            assert torch.equal(found, expected), (clouds, available, count, share, found, expected)
print("equal")
"""

COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from seg3d_core.point_ops import sampling_triton_kernels as kernels
types = {"columns": "*fp32", "squared": "*fp32", "first": "*i64", "chosen": "*i64", "available": "i32", "count": "i32"}
for capability in (80, 87, 90, 120):
    for kernel, block in ((kernels.sample_resident, 64), (kernels.sample_resident, 8192), (kernels.sample_tiled, 4096)):
        source = ASTSource(fn=kernel, signature=types | {"BLOCK": "constexpr"}, constexprs={"BLOCK": block})
        options = {"num_warps": min(32, max(1, block // 128)), **kernels.COMPILE_OPTIONS}
        built = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
        text = built.asm["ptx"]
        assert "fma." not in text and ".ftz" not in text
        print(capability, kernel.__name__, block, len(built.asm["cubin"]), built.metadata.shared)
"""


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_interpreted_kernels_give_the_rows_of_the_tensor_operations() -> None:
    assert run(INTERPRET, TRITON_INTERPRET="1") == "equal\n"


def test_kernels_compile_for_every_architecture_and_fuse_no_rounding(tmp_path: Path) -> None:
    built = run(COMPILE, TRITON_INTERPRET="0", TRITON_CACHE_DIR=str(tmp_path))
    assert len(built.splitlines()) == 12
