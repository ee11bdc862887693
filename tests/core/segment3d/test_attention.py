"""Attention steps against torch.nn.MultiheadAttention."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from seg3d_core.segment3d.attention import CrossAttention, FeedForward, SelfAttention  # noqa: E402

B, Q, K, C = 2, 5, 9, 16


def _reference(attention):
    reference = torch.nn.MultiheadAttention(C, 4, batch_first=True).double()
    reference.load_state_dict(attention.state_dict())
    return reference


def _draw(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def test_cross_attention_is_that_of_torch():
    torch.manual_seed(0)
    step = CrossAttention(C, 4).double()
    queries, places, memory, positions = _draw(B, Q, C), _draw(B, Q, C), _draw(B, K, C), _draw(B, K, C)
    allowed = torch.rand(B, Q, K) < 0.5
    allowed[:, :, 0] = True
    blocked = (~allowed).repeat_interleave(4, dim=0)
    seen, _ = _reference(step.multihead_attn)(queries + places, memory + positions, memory, attn_mask=blocked)
    updated = step(queries, places, *step.keys_and_values(memory, positions), allowed)
    torch.testing.assert_close(updated, step.norm(queries + seen))


def test_self_attention_is_that_of_torch():
    torch.manual_seed(0)
    step = SelfAttention(C, 4).double()
    queries, places = _draw(B, Q, C), _draw(B, Q, C)
    seen, _ = _reference(step.self_attn)(queries + places, queries + places, queries)
    torch.testing.assert_close(step(queries, places), step.norm(queries + seen))


def test_parameters_are_named_as_released():
    assert set(CrossAttention(C, 4).state_dict()) == {
        *(f"multihead_attn.{name}" for name in ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")),
        "norm.weight",
        "norm.bias",
    }
    assert "self_attn.in_proj_weight" in SelfAttention(C, 4).state_dict()
    assert FeedForward(C, 32).state_dict()["linear1.weight"].shape == (32, C)
