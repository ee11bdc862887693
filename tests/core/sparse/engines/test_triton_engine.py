"""The Triton engine without a GPU: what it refuses, and its kernels in Triton's interpreter."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="the sparse engine needs PyTorch")

from seg3d_core.errors import ConfigError  # noqa: E402
from seg3d_core.sparse.engines.choice import choose_engine  # noqa: E402
from seg3d_core.sparse.engines.interface import Step  # noqa: E402
from seg3d_core.sparse.engines.triton_engine import TritonEngine  # noqa: E402
from seg3d_core.sparse.engines.triton_layers import Launcher, Layer, Weights  # noqa: E402
from seg3d_core.sparse.tensor import SparseTensor  # noqa: E402

ROOT = Path(__file__).parents[4]
CPU, CUDA = torch.device("cpu"), torch.device("cuda:0")

needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="Triton is not installed (pip install triton==3.7.1, Linux)"
)


@needs_triton
def test_the_kernels_through_the_interpreter() -> None:
    """In a process of its own: Triton decides when it is imported whether kernels are compiled or interpreted."""
    file = Path(__file__).with_name("triton_interpreted.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)]
    environment = os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["triton", "seg3d_core.sparse.engines.triton_kernels"])
def test_where_triton_is_missing_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    if name != "triton":
        pytest.importorskip("triton", reason="Triton is not installed")
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=rf"engine triton needs {name}: .* pip install triton==3.7.1"):
        TritonEngine(CUDA)


def test_the_package_is_imported_without_triton() -> None:
    modules = "choice, triton_engine, triton_layers, triton_maps, triton_tiles"
    code = f"import sys; sys.modules['triton'] = None; from seg3d_core.sparse.engines import {modules}"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)


@needs_triton
def test_the_cpu_is_refused() -> None:
    with pytest.raises(ConfigError, match="engine triton runs on CUDA devices, cpu was asked for"):
        choose_engine("triton", CPU)


@needs_triton
def test_a_gpu_without_tensor_cores_that_triton_uses_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    old = SimpleNamespace(major=7, minor=5, name="T4", multi_processor_count=40)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: old)
    with pytest.raises(ConfigError, match=r"needs compute capability 8.0 or later, T4 has 7.5"):
        TritonEngine(CUDA)


@needs_triton
@pytest.mark.parametrize(
    ("kernel", "step", "message"),
    [
        (torch.zeros(27, 3, 3), Step(2), "the step of size 2"),
        (torch.zeros(8, 3, 3), Step(2), "triton has no kernel of size 2 in direction same, only 1, 3, 5, 7"),
        (torch.zeros(27, 3, 3), Step(3, "up"), "triton has no kernel of size 3 in direction up, only 2"),
        (torch.zeros(27, 3, 3).double(), Step(3), "has torch.float16, torch.bfloat16, torch.float32, not torch.float"),
        (torch.zeros(27, 3, 3), Step(3), "kernel is on cpu, the engine on cuda:0"),
    ],
)
def test_layers_it_does_not_have(
    monkeypatch: pytest.MonkeyPatch, kernel: torch.Tensor, step: Step, message: str
) -> None:
    new = SimpleNamespace(major=9, minor=0, name="H100", multi_processor_count=132)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: new)
    with pytest.raises(ConfigError, match=message):
        TritonEngine(CUDA).convolution(kernel, None, step)


@pytest.mark.parametrize(
    ("features", "residual", "message"),
    [
        (torch.zeros(1, 4), None, "kernel has 3 input channels, the tensor 4"),
        (torch.zeros(1, 3).half(), None, r"kernel is torch.float32, the tensor torch.float16"),
        (torch.zeros(1, 3, device="meta"), None, "kernel is on cpu, the tensor on meta"),
        (torch.zeros(1, 3), torch.zeros(1, 4), r"the residual is \(1, 4\) torch.float32, the result \(1, 5\)"),
        (torch.zeros(1, 3), torch.zeros(1, 5).half(), r"the residual is \(1, 5\) torch.float16, the result"),
    ],
)
def test_inputs_that_do_not_fit(features: torch.Tensor, residual: torch.Tensor | None, message: str) -> None:
    x = SparseTensor.from_coordinates(torch.zeros(1, 4).int(), torch.zeros(1, 3)).replace(features)
    layer = Layer(Weights.of(torch.zeros(3, 5), None), Step(1), 0.0, Launcher(None, CPU, 1, compiles=False))
    with pytest.raises(ConfigError, match=message):
        layer(x, residual)


@pytest.mark.parametrize("step", [Step(3), Step(2, "down")])
def test_an_empty_input_launches_nothing(step: Step) -> None:
    x = SparseTensor.from_coordinates(torch.zeros(0, 4).int(), torch.zeros(0, 3))
    weights = Weights.of(torch.zeros(step.kernel_size**3, 3, 5), None)
    y = Layer(weights, step, 0.0, Launcher(None, CPU, 1, compiles=False))(x)
    assert y.features.shape == (0, 5) and y.stride == {"same": 1, "down": 2}[step.direction]
