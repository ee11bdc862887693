"""MinkowskiEngine as an engine: what it says where it is absent, and what it computes where it is installed."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the sparse engine needs PyTorch")

from seg3d_core.errors import ConfigError  # noqa: E402
from seg3d_core.segment3d.inference import InferenceNetwork  # noqa: E402
from seg3d_core.segment3d.model import Segment3DNetwork  # noqa: E402
from seg3d_core.segment3d_config import SEGMENT3D_PRESETS  # noqa: E402
from seg3d_core.sparse.engines.choice import choose_engine  # noqa: E402
from seg3d_core.sparse.engines.interface import Engine, FusedConvolution, Step  # noqa: E402
from seg3d_core.sparse.engines.minkowski_engine import MinkowskiEngine  # noqa: E402
from seg3d_core.sparse.tensor import SparseTensor  # noqa: E402

CPU = torch.device("cpu")
SIZES = {"same": (1, 3, 5, 7), "down": (2, 3, 5), "up": (2,)}


@pytest.fixture(scope="session")
def engine() -> MinkowskiEngine:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a CPU build says so at every import
        pytest.importorskip("MinkowskiEngine", reason="MinkowskiEngine is not installed (it has no wheels)")
    return MinkowskiEngine(CPU)


@pytest.fixture
def x() -> SparseTensor:
    generator = torch.Generator().manual_seed(0)
    voxels = torch.unique(torch.randint(-6, 7, (400, 4), generator=generator) % torch.tensor([2, 99, 99, 99]), dim=0)
    return SparseTensor.from_coordinates(voxels.int(), torch.randn(len(voxels), 3, generator=generator))


def test_where_the_package_is_missing_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "MinkowskiEngine", None)
    with pytest.raises(ConfigError, match=r"engine minkowski needs MinkowskiEngine: .* Install it with: git clone"):
        MinkowskiEngine(CPU)


def test_it_is_chosen_by_name(engine: MinkowskiEngine) -> None:
    chosen = choose_engine("minkowski", CPU)
    assert isinstance(chosen, MinkowskiEngine) and isinstance(chosen, Engine)
    assert isinstance(chosen.convolution(torch.zeros(3, 4), None, Step(1)), FusedConvolution)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
def test_random_nets(
    engine: MinkowskiEngine, agreement: Callable[..., None], data: st.DataObject, dtype: torch.dtype, tolerance: float
) -> None:
    agreement(engine, SIZES, dtype, tolerance, data)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_its_own_order_of_rows_is_undone(
    engine: MinkowskiEngine, agreement: Callable[..., None], data: st.DataObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CUDA build orders voxels as its hash table does."""
    manager = engine._package.CoordinateManager
    insert = manager.insert_and_map

    def shuffle(self: object, coordinates: torch.Tensor, *arguments: object) -> object:
        order = torch.randperm(len(coordinates), generator=torch.Generator().manual_seed(len(coordinates)))
        key, (rows, inverse) = insert(self, coordinates[order], *arguments)
        return key, (order[rows].int(), inverse)

    with monkeypatch.context() as patch:
        patch.setattr(manager, "insert_and_map", shuffle)
        agreement(engine, SIZES, torch.float64, 1e-12, data)


@pytest.mark.parametrize("stages", [(1, 1, 1, 1, 1, 1, 1, 1), (2, 3, 4, 6, 2, 2, 2, 2)])
def test_the_whole_network(engine: MinkowskiEngine, stages: tuple[int, ...], x: SparseTensor) -> None:
    torch.manual_seed(0)
    config = SEGMENT3D_PRESETS["nano"].model_copy(update={"stage_blocks": stages})
    network = Segment3DNetwork(config).eval()
    xyz = x.coordinates[:, 1:] * 0.02
    ours, theirs = (
        InferenceNetwork(network, name)(afresh(x), xyz, num_queries=5).prediction for name in ("torch", engine)
    )
    torch.testing.assert_close(ours.class_logits, theirs.class_logits, rtol=1e-4, atol=1e-4)
    for mine, other in zip(ours.mask_logits, theirs.mask_logits, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4 * float(mine.abs().max()))


def afresh(x: SparseTensor) -> SparseTensor:
    """The same input, nothing known of it."""
    return SparseTensor.from_coordinates(x.coordinates, x.features)


def test_what_it_knows_of_an_input_is_made_once(engine: MinkowskiEngine, x: SparseTensor) -> None:
    layer = engine.convolution(torch.ones(27, 3, 3), None, Step(3))
    first = layer(layer(x))
    known = x.maps.cached("minkowski", lambda: pytest.fail("nothing was kept"))
    assert first.features.equal(layer(layer(x)).features)
    assert x.maps.cached("minkowski", lambda: pytest.fail("nothing was kept")) is known


@pytest.mark.parametrize(
    ("kernel", "step", "message"),
    [
        (torch.zeros(8, 3, 3), Step(2), "MinkowskiEngine has no kernel of size 2 in direction same, only 1, 3, 5, 7"),
        (torch.zeros(27, 3, 3), Step(3, "up"), "MinkowskiEngine has no kernel of size 3 in direction up, only 2"),
        (torch.zeros(27, 3, 3), Step(5), "kernel is of size 3, the step of size 5"),
        (torch.zeros(26, 3, 3), Step(3), "kernel has 26 rows, not the cube of its size"),
        (torch.zeros(27, 3, 3).half(), Step(3), r"has torch.float32, torch.float64, not torch.float16"),
        (torch.zeros(27, 3, 3, device="meta"), Step(3), "kernel is on meta, the engine on cpu"),
    ],
)
def test_layers_it_does_not_have(engine: MinkowskiEngine, kernel: torch.Tensor, step: Step, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        engine.convolution(kernel, None, step)


def test_inputs_that_do_not_fit(engine: MinkowskiEngine, x: SparseTensor) -> None:
    with pytest.raises(ConfigError, match="kernel has 4 input channels, the tensor 3"):
        engine.convolution(torch.zeros(27, 4, 3), None, Step(3))(x)
    with pytest.raises(ConfigError, match=r"kernel is torch.float64, the tensor torch.float32"):
        engine.convolution(torch.zeros(27, 3, 3, dtype=torch.float64), None, Step(3))(x)
    with pytest.raises(ConfigError, match=r"there is no finer level than stride 1; levels are \[1\]"):
        engine.convolution(torch.zeros(8, 3, 3), None, Step(2, "up"))(x)


def test_devices_that_it_was_not_built_for(engine: MinkowskiEngine) -> None:
    with pytest.raises(ConfigError, match="runs on cpu and cuda, not on meta"):
        MinkowskiEngine(torch.device("meta"))
    if not engine._package.is_cuda_available():
        with pytest.raises(ConfigError, match="was built for the CPU only, cuda:0 was asked for"):
            MinkowskiEngine(torch.device("cuda:0"))
