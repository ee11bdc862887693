"""Shared by all tests: run-time shape checks for every function of the core."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"

# A busy machine, or the first call of a compiled function, is no failure.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


OPTIONAL = {
    "seg3d_core.benchmark": "torch",
    "seg3d_core.checkpoints": "torch",
    "seg3d_core.devices": "torch",
    "seg3d_core.labelling.sam2": "torch",
    "seg3d_core.labelling.segment_anything": "torch",
    "seg3d_core.labelling.torchvision_ops": "torch",
    "seg3d_core.learning.point_sam": "torch",
    "seg3d_core.learning.run_folder": "torch",
    "seg3d_core.learning.segment3d": "torch",
    "seg3d_core.learning.segment3d.processes": "lightning_fabric",
    "seg3d_core.learning.segment3d.recipe": "lightning_fabric",
    "seg3d_core.learning.segment3d.trainer": "lightning_fabric",
    "seg3d_core.point_ops": "torch",
    "seg3d_core.point_sam": "torch",
    "seg3d_core.segment3d": "torch",
    "seg3d_core.sparse": "torch",
}
"""Subpackages that need a library which not every installation has; without it they are not imported."""


def _is_importable(module: str) -> bool:
    return all(
        importlib.util.find_spec(library) is not None
        for package, library in OPTIONAL.items()
        if f"{module}.".startswith(f"{package}.")
    )


def _hooked_modules(package: str) -> list[str]:
    """Every importable module of a package except numba kernels: a compiled function cannot call a wrapped one."""
    files = sorted((ROOT / package).rglob("*.py"))
    modules = [
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for file in files
        if file.name != "__init__.py" and not file.stem.endswith("_kernels")
    ]
    return [module for module in modules if _is_importable(module)]


# Benchmarks time the code as it is shipped.
_checker = None if "--bench" in sys.argv else "beartype.beartype"
with install_import_hook(_hooked_modules("seg3d_core"), _checker):
    for _module in _hooked_modules("seg3d_core"):
        importlib.import_module(_module)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real sensor data that licences keep out of the repository; tests that use it skip where it is absent."""
    data = SHARED / "data"
    if not data.is_dir():
        pytest.skip("real sensor data is not beside the checkout (../shared/data)")
    return data


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bench", action="store_true", help="time the benchmarks and check their ratios")
