"""What one command compares."""

from __future__ import annotations

from argparse import Namespace

import pytest

from seg3d_core.cli.settings import settings_of
from seg3d_core.errors import ConfigError
from seg3d_core.evaluation.variants import Sweep, find_sweep, make_variants
from seg3d_core.evaluation_config import EvaluationConfig


def test_models_are_called_by_name_and_files_by_what_tells_them_apart() -> None:
    labels = [variant.label for variant in make_variants(["graph", "sam3d", "a/last.safetensors", "b/best.ckpt"])]
    assert labels == ["graph", "sam3d", "last", "best"]
    labels = [variant.label for variant in make_variants(["a/last.ckpt", "b/last.ckpt"])]
    assert labels == ["a/last.ckpt", "b/last.ckpt"]


def test_post_processing_is_switched_where_a_model_has_it() -> None:
    made = make_variants(["graph", "sam3d", "net.ckpt"], postprocessing="both")
    assert [(one.label, one.settings[1:]) for one in made] == [
        ("graph", ()),
        ("sam3d -post", ("sam3d.smoothing=none",)),
        ("sam3d +post", ("sam3d.smoothing=ensemble",)),
        ("net -post", ("segment3d.postprocess=raw",)),
        ("net +post", ("segment3d.postprocess=ranked",)),
    ]
    assert [one.label for one in make_variants(["nano"], postprocessing="without")] == ["nano -post"]


def test_sweeps_are_combined_and_models_without_the_setting_evaluated_once() -> None:
    sweeps = [find_sweep(["num_queries", "50", "100"]), find_sweep(["segment3d.voxel_size_m", "0.02", "0.04"])]
    made = make_variants(["graph", "nano"], sweeps)
    assert [one.label for one in made] == [
        "graph",
        "nano num_queries=50 voxel_size_m=0.02",
        "nano num_queries=50 voxel_size_m=0.04",
        "nano num_queries=100 voxel_size_m=0.02",
        "nano num_queries=100 voxel_size_m=0.04",
    ]
    assert made[1].swept == (("segment3d.num_queries", "50"), ("segment3d.voxel_size_m", "0.02"))
    assert {one.model for one in made} == {"graph", "nano"}


def test_all_settings_that_variants_make_exist() -> None:
    options = Namespace(config=None, settings=["segment3d.device=cpu"])
    sweeps = [find_sweep(["sam3d.min_overlap", "0.4"]), find_sweep(["num_queries", "7"])]
    configs = [
        settings_of(options, EvaluationConfig, one.settings)
        for one in make_variants(["graph", "sam3d", "nano"], sweeps, "both")
    ]
    assert [config.model for config in configs] == ["graph", "sam3d", "sam3d", "nano", "nano"]
    assert configs[1].sam3d.min_overlap == 0.4
    assert configs[4].segment3d.num_queries == 7


def test_values_given_twice_count_once() -> None:
    assert find_sweep(["graph.k", "1", "2", "1"]) == Sweep("graph.k", ("1", "2"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["queries", "1"], "--sweep queries: is no setting"),
        (["voxel_size_m", "1"], "--sweep voxel_size_m: is one of graph.voxel_size_m, segment3d.voxel_size_m, point"),
        (["num_queries"], "--sweep num_queries: no value"),
    ],
)
def test_sweeps_that_mean_nothing(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        find_sweep(words)


def test_models_that_cannot_be_compared() -> None:
    with pytest.raises(ConfigError, match="graph given more than once"):
        make_variants(["graph", "graph"])
    with pytest.raises(ConfigError, match=r"--sweep segment3d.num_queries: none of graph, sam3d has this setting"):
        make_variants(["graph", "sam3d"], [find_sweep(["num_queries", "5"])])
