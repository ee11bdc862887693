from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="the sparse engine needs PyTorch")

from seg3d_core.errors import ConfigError, DeviceError  # noqa: E402
from seg3d_core.sparse.engines import choice  # noqa: E402
from seg3d_core.sparse.engines.choice import choose_engine  # noqa: E402
from seg3d_core.sparse.engines.interface import Engine, PreparesMaps  # noqa: E402
from seg3d_core.sparse.engines.torch_engine import TorchEngine  # noqa: E402

CPU = torch.device("cpu")


def test_the_choice_on_a_cpu_is_torch_and_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        engine = choose_engine("auto", CPU)
    assert engine.name == "torch"
    assert isinstance(engine, Engine)
    assert isinstance(engine, PreparesMaps)
    assert "sparse convolutions on cpu by the engine torch" in caplog.text


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="engine 'cudnn' is unknown; known are auto, torch, triton, minkowski, spconv"
    ):
        choose_engine("cudnn", CPU)


def test_a_missing_library_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, package, remedy in (
        ("triton", "triton", "pip install triton"),
        ("minkowski", "MinkowskiEngine", "python setup.py install"),
    ):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(ConfigError, match=rf"(?s){name}.*{remedy}"):
            choose_engine(name, CPU)


class Named(TorchEngine):
    """An engine that tells by its name which one was asked for."""

    @classmethod
    def maker(cls, name: str) -> Callable[[torch.device], Named]:
        def make(device: torch.device) -> Named:
            engine = cls(device)
            engine.name = name
            return engine

        return make


@pytest.mark.parametrize(("capability", "chosen"), [((7, 5), "torch"), ((8, 7), "triton"), ((12, 0), "triton")])
def test_the_choice_on_cuda_goes_by_what_the_device_can(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], chosen: str
) -> None:
    asked: list[str] = []

    def import_module(name: str) -> object:
        asked.append(name)
        return SimpleNamespace(TritonEngine=Named.maker("triton"), TorchEngine=Named.maker("torch"))

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(choice.importlib, "import_module", import_module)
    assert choose_engine("auto", torch.device("cuda")).name == chosen
    assert asked[-1] == f"seg3d_core.sparse.engines.{chosen}_engine"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("name", ["auto", "torch", "triton"])
def test_cuda_asked_for_and_absent(name: str) -> None:
    with pytest.raises(DeviceError, match=r"cuda:1 was asked for, PyTorch .* finds no CUDA device"):
        choose_engine(name, torch.device("cuda:1"))
