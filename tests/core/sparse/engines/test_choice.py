from __future__ import annotations

import logging
import sys

import pytest

torch = pytest.importorskip("torch", reason="the sparse engine needs PyTorch")

from seg3d_core.errors import ConfigError, DeviceError  # noqa: E402
from seg3d_core.sparse.engines.choice import choose_engine  # noqa: E402
from seg3d_core.sparse.engines.interface import Engine, PreparesMaps  # noqa: E402

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
    monkeypatch.setitem(sys.modules, "seg3d_core.sparse.engines.spconv_engine", None)
    with pytest.raises(ConfigError, match=r"engine 'spconv' is not available .*pip install spconv-cu126"):
        choose_engine("spconv", CPU)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("name", ["auto", "torch", "triton"])
def test_cuda_asked_for_and_absent(name: str) -> None:
    with pytest.raises(DeviceError, match=r"cuda:1 was asked for, PyTorch .* finds no CUDA device"):
        choose_engine(name, torch.device("cuda:1"))
