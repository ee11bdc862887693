"""spconv as an engine: refused on the CPU, where its layouts are checked all the same, on the one thread that works."""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the sparse engine needs PyTorch")

from seg3d_core.errors import ConfigError  # noqa: E402
from seg3d_core.sparse import functional  # noqa: E402
from seg3d_core.sparse.engines.interface import Engine, FusedConvolution, Step  # noqa: E402
from seg3d_core.sparse.engines.spconv_engine import SpconvEngine  # noqa: E402
from seg3d_core.sparse.tensor import SparseTensor  # noqa: E402

SIZES = {"same": (1, 3, 5, 7), "down": (2,), "up": (2,)}


class OnCpu(SpconvEngine):
    """The engine without its refusals, for a single thread."""

    def _refuse_cpu(self, device: torch.device) -> None:
        pass

    def _refuse_cpu_build(self) -> None:
        pass


@pytest.fixture(scope="session")
def engine() -> SpconvEngine:
    if os.environ.get("OMP_NUM_THREADS") != "1":
        pytest.skip("spconv is wrong on the CPU with more than one thread: set OMP_NUM_THREADS=1")
    pytest.importorskip("spconv.pytorch", reason="spconv is not installed")
    return OnCpu(torch.device("cpu"))


@pytest.fixture
def x() -> SparseTensor:
    generator = torch.Generator().manual_seed(0)
    voxels = torch.unique(torch.randint(-6, 7, (400, 4), generator=generator) % torch.tensor([2, 99, 99, 99]), dim=0)
    return SparseTensor.from_coordinates(voxels.int(), torch.randn(len(voxels), 3, generator=generator))


def test_the_cpu_is_refused_and_the_message_says_why() -> None:
    with pytest.raises(ConfigError, match=r"runs on cuda alone, cpu was asked for: .* wrong results .* without saying"):
        SpconvEngine(torch.device("cpu"))


def test_where_the_package_is_missing_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spconv.pytorch", None)
    with pytest.raises(
        ConfigError, match=r"engine spconv needs spconv.pytorch: .* Install it with: pip install spconv-"
    ):
        SpconvEngine(torch.device("cuda:0"))


def test_a_build_for_the_cpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("spconv", "spconv.pytorch", "spconv.cppconstants"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["spconv.cppconstants"].CPU_ONLY_BUILD = True
    with pytest.raises(ConfigError, match=r"spconv was built for the CPU only. Install it with: pip install spconv-cu"):
        SpconvEngine(torch.device("cuda:0"))


def test_it_is_an_engine(engine: SpconvEngine) -> None:
    assert isinstance(engine, Engine)
    assert isinstance(engine.convolution(torch.zeros(27, 3, 4), None, Step(3)), FusedConvolution)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_random_nets(engine: SpconvEngine, agreement: Callable[..., None], data: st.DataObject) -> None:
    agreement(engine, SIZES, torch.float32, 2e-5, data)


def test_up_to_a_level_that_no_layer_of_it_came_from(engine: SpconvEngine, x: SparseTensor) -> None:
    coarse = functional.average_pool(x)
    kernel = torch.randn(8, 3, 4, generator=torch.Generator().manual_seed(1))
    ours = functional.convolve_up(coarse, kernel, 1).features
    theirs = engine.convolution(kernel, None, Step(2, "up"))(coarse)
    torch.testing.assert_close(ours, theirs.features, rtol=1e-5, atol=1e-5)


def test_several_layers_down_from_one_level(engine: SpconvEngine, x: SparseTensor) -> None:
    kernels = torch.randn(2, 8, 3, 4, generator=torch.Generator().manual_seed(1))
    for kernel in kernels:
        ours = functional.convolve_down(x, kernel).features
        theirs = engine.convolution(kernel, None, Step(2, "down"))(x).features
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_making_a_layer_draws_no_random_numbers(engine: SpconvEngine) -> None:
    state = torch.get_rng_state()
    engine.convolution(torch.zeros(27, 3, 4), None, Step(3))
    assert torch.get_rng_state().equal(state)


@pytest.mark.parametrize(
    ("kernel", "step", "message"),
    [
        (torch.zeros(27, 3, 3), Step(3, "down"), "spconv has no kernel of size 3 in direction down, only 2"),
        (torch.zeros(8, 3, 3), Step(2), "spconv has no kernel of size 2 in direction same, only 1, 3, 5, 7"),
        (torch.zeros(27, 3, 3).double(), Step(3), r"has torch.float32, torch.float16, not torch.float64"),
    ],
)
def test_layers_it_does_not_have(engine: SpconvEngine, kernel: torch.Tensor, step: Step, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        engine.convolution(kernel, None, step)
