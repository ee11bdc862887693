"""Shared by all tests: run-time shape checks for every function of the core."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"

# A busy machine, or the first call of a compiled function, is no failure.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def _hooked_modules(package: str) -> list[str]:
    """Every module of a package except numba kernels: a compiled function cannot call a wrapped one."""
    files = sorted((ROOT / package).rglob("*.py"))
    return [
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for file in files
        if file.name != "__init__.py" and not file.stem.endswith("_kernels")
    ]


with install_import_hook(_hooked_modules("seg3d_core"), "beartype.beartype"):
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
