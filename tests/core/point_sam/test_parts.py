"""Each part against what the original recorded on the way, and against the plain way to compute it."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch import nn  # noqa: E402

from seg3d_core.point_sam.decoder import MaskDecoder  # noqa: E402
from seg3d_core.point_sam.model import PointSamNetwork  # noqa: E402
from seg3d_core.point_sam.patches import PatchPointNet  # noqa: E402
from seg3d_core.point_sam.prompts import MaskEncoder  # noqa: E402
from seg3d_core.point_sam.two_way import TwoWayTransformer  # noqa: E402

PARTS = {
    "patch_tokens": "pc_encoder.patch_embed",
    "patch_proj": "pc_encoder.patch_proj",
    "pos_embed": "pc_encoder.pos_embed",
    "fc_norm": "pc_encoder.transformer.fc_norm",
    "pc_embeddings": "pc_encoder",
}


@torch.no_grad()
def overheard(network, names, run):
    """What modules first returned while ``run`` was called."""
    heard = {}
    modules = dict(network.named_modules())
    hooks = [
        modules[name].register_forward_hook(lambda *call, name=name: heard.setdefault(name, call[-1])) for name in names
    ]
    run()
    for hook in hooks:
        hook.remove()
    return heard


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_stage_of_the_encoder(recorded, networks, dtype):
    network, expected = networks[dtype], recorded["encoder"]
    blocks = [f"pc_encoder.transformer.blocks.{i}" for i in range(len(expected["block_outputs"]))]
    heard = overheard(
        network, [*PARTS.values(), *blocks], lambda: network.encode(recorded["coords"], recorded["colors"])
    )
    for part, name in PARTS.items():
        assert_near(heard[name], expected[part])
    for name, output in zip(blocks, expected["block_outputs"], strict=True):
        assert_near(heard[name], output)


@torch.no_grad()
def test_groups_places_and_table(recorded, networks):
    encoded, expected = networks["float32"].encode(recorded["coords"], recorded["colors"]), recorded["encoder"]
    groups = encoded.groups
    assert torch.equal(groups.centre_rows, expected["fps_idx"])
    assert torch.equal(groups.centres, expected["centers"])
    assert torch.equal(groups.member_rows.sort(dim=-1).values, expected["knn_idx_sorted_set"])
    assert_near(encoded.places, expected["pc_pe"])
    ours, theirs = encoded.table.rows.sort(dim=-1), expected["interp_index"].sort(dim=-1)
    assert torch.equal(ours.values, theirs.values)
    weights = encoded.table.weights.gather(2, ours.indices), expected["interp_weight"].gather(2, theirs.indices)
    # The original's matrix form of the distance errs by 3e-4 where a point is a centre.
    torch.testing.assert_close(*weights, atol=2e-5, rtol=1e-4)


@torch.no_grad()
def test_features_of_members(recorded, networks):
    """The same offsets and colours, in whatever order a patch has its members."""
    groups = networks["float32"].encode(recorded["coords"], recorded["colors"]).groups
    colours = groups.members(recorded["colors"].mT).movedim(1, -1)
    ours, order = groups.member_rows.sort(dim=-1)
    theirs = recorded["encoder"]["knn_idx"].sort(dim=-1)
    assert torch.equal(ours, theirs.values)
    found = torch.cat([groups.offsets, colours], dim=-1)
    expected = recorded["encoder"]["group_features"]
    assert torch.equal(
        found.gather(2, order[..., None].expand_as(found)),
        expected.gather(2, theirs.indices[..., None].expand_as(found)),
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("round_", [0, 1])
def test_every_stage_of_a_click(recorded, networks, dtype, round_):
    network, step = networks[dtype], recorded["steps"][round_]
    encoded = network.encode(recorded["coords"], recorded["colors"])
    mask = None if step["prompt_mask"] is None else step["prompt_mask"][:, None]
    points, labels = step["prompt_coords"][:, None], step["prompt_labels"][:, None]
    names = ["point_encoder", "mask_decoder.transformer"]
    heard = overheard(network, names, lambda: network.decode(encoded, points, labels, mask, step["multimask_output"]))
    assert_near(heard["point_encoder"][:, 0], step["sparse_embeddings"])
    tokens, cloud = heard["mask_decoder.transformer"]
    assert_near(tokens, step["decoder_tokens"])
    assert_near(cloud, step["decoder_src"])
    with torch.no_grad():
        every_channel = torch.eye(network.config.hidden_dim, dtype=cloud.dtype)[None, None]
        upscaled = network.mask_decoder.weigh_points(every_channel, cloud[:, None], encoded.table)[:, 0].mT
        assert_near(upscaled[:, :8], step["upscaled_first8"], 2e-5)
        dense = network.mask_encoder.without_mask().expand_as(encoded.embeddings)
        if mask is not None:
            dense = network.mask_encoder(encoded.mask_offsets, encoded.groups, mask)[:, 0]
    assert_near(dense, step["dense_embeddings"])


def assert_near(found, expected, atol=1e-5):
    torch.testing.assert_close(found.double(), expected.double(), atol=atol, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("at_once", [1, 7, 21, 512])
def test_the_pointnet_as_the_paper_has_it(monkeypatch, at_once):
    """Maximum and member side by side, then one layer: ours computes the maximum's part once, patches in portions."""
    monkeypatch.setattr("seg3d_core.point_sam.patches._MEMBERS_AT_ONCE", at_once)
    torch.manual_seed(0)
    net = PatchPointNet(6, (128, 512), 20).double()
    members = torch.randn(2, 5, 7, 6, dtype=torch.float64)
    points = net.conv1(members)
    both = torch.cat([points.amax(2, keepdim=True).expand_as(points), points], dim=-1)
    torch.testing.assert_close(net(members), net.conv2(both).amax(2), atol=1e-12, rtol=0)
    torch.testing.assert_close(net(members.flip(2)), net(members), atol=1e-12, rtol=0)


@torch.no_grad()
def test_the_offsets_part_of_the_mask_encoder(recorded, networks):
    encoder = networks["float64"].mask_encoder
    assert isinstance(encoder, MaskEncoder)
    encoded = networks["float64"].encode(recorded["coords"], recorded["colors"])
    mask = torch.randn(1, 2, recorded["coords"].shape[1], dtype=torch.float64)
    logits = encoded.groups.members(mask)[..., None]
    offsets = encoded.groups.offsets[:, None].expand(-1, 2, -1, -1, -1)
    whole = encoder.patch_encoder(torch.cat([offsets, logits], dim=-1))
    torch.testing.assert_close(encoder(encoded.mask_offsets, encoded.groups, mask), whole, atol=1e-10, rtol=0)


@torch.no_grad()
def test_the_first_layer_of_upscaling_before_the_interpolation(recorded, networks):
    decoder = networks["float64"].mask_decoder
    assert isinstance(decoder, MaskDecoder)
    table = networks["float64"].encode(recorded["coords"], recorded["colors"]).table
    patches = recorded["steps"][0]["decoder_src"].double()
    features = (patches[0][table.rows[0]] * table.weights[0][..., None]).sum(1)
    weights = torch.randn(1, 1, 2, patches.shape[2], dtype=torch.float64)
    expected = weights[0, 0] @ decoder.output_upscaling(features).T
    torch.testing.assert_close(
        decoder.weigh_points(weights, patches[:, None], table)[0, 0], expected, atol=1e-10, rtol=0
    )


@torch.no_grad()
def test_the_two_way_transformer_written_out(networks):
    """One layer after the other with PyTorch's own attention."""
    network = networks["float64"]
    assert isinstance(network, PointSamNetwork)
    transformer = network.mask_decoder.transformer
    assert isinstance(transformer, TwoWayTransformer)
    dim, heads = network.config.hidden_dim, network.config.decoder_heads
    generator = torch.Generator().manual_seed(2)
    places, cloud, cloud_places = (
        torch.randn(2, n, dim, generator=generator, dtype=torch.float64) for n in (6, 16, 16)
    )

    def attend(module, queries, keys, values):
        plain = nn.MultiheadAttention(module.q_proj.out_features, heads, batch_first=True).double()
        for linear in (plain.out_proj,):
            linear.weight.copy_(torch.eye(len(linear.weight)))
            linear.bias.zero_()
        plain.in_proj_weight.copy_(torch.eye(len(plain.out_proj.weight)).repeat(3, 1))
        plain.in_proj_bias.zero_()
        return module.out_proj(plain(module.q_proj(queries), module.k_proj(keys), module.v_proj(values))[0])

    tokens, seen = places, cloud
    for i, layer in enumerate(transformer.layers):
        asked = tokens + places if i else tokens
        among = attend(layer.self_attn, asked, asked, tokens)
        tokens = layer.norm1(tokens + among if i else among)
        to_cloud = attend(layer.cross_attn_token_to_image, tokens + places, seen + cloud_places, seen)
        tokens = layer.norm2(tokens + to_cloud)
        tokens = layer.norm3(tokens + layer.mlp.lin2(layer.mlp.lin1(tokens).relu()))
        back = attend(layer.cross_attn_image_to_token, seen + cloud_places, tokens + places, tokens)
        seen = layer.norm4(seen + back)
    last = attend(transformer.final_attn_token_to_image, tokens + places, seen + cloud_places, seen)
    found_tokens, found_cloud = transformer(places, cloud, cloud_places)
    torch.testing.assert_close(found_tokens, transformer.norm_final_attn(tokens + last), atol=1e-10, rtol=0)
    torch.testing.assert_close(found_cloud, seen, atol=1e-10, rtol=0)
