"""Every kind of part against its definition or PyTorch's own."""

from __future__ import annotations

import dataclasses
import math
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn

from lt_interp.errors import InputError
from lt_interp.model.config import PRE_NORM_RESIDUAL, ModelConfig, Wiring
from lt_interp.model.hook_table import hook_table
from lt_interp.model.initialisation import initialise_fan_in, initialise_normal
from lt_interp.model.parts.distance import alibi_bias, alibi_slopes, rotate
from lt_interp.model.parts.norm import RMSNorm
from lt_interp.model.parts.unseen import fused
from lt_interp.model.stage_model import StageModel

from .hook_shapes import shape_of

SMALL = ModelConfig(
    d_vocab=50, n_ctx=16, d_model=24, n_layers=2, n_heads=3, d_mlp=40, wiring=PRE_NORM_RESIDUAL
)
VARIANTS = {
    "RMSNorm": {"wiring": Wiring(residual=True, norm="RMS")},
    "post-norm": {"wiring": Wiring(residual=True, norm="LN", norm_after=True)},
    "post-norm RMS": {"wiring": Wiring(residual=True, norm="RMS", norm_after=True)},
    "norm without residual": {"wiring": Wiring(norm="LN")},
    "GELU": {"activation": "gelu"},
    "SwiGLU without biases": {"activation": "swiglu", "mlp_bias": False},
    "ALiBi": {"positions": "alibi"},
    "RoPE": {"positions": "rotary"},
    "tied": {"tied": True},
    "no bias at the end": {"unembed_bias": False},
    "no attention": {"n_heads": 0},
}


def build(**change: object) -> StageModel:
    """A small model all of whose weights and biases matter."""
    model = StageModel(dataclasses.replace(SMALL, **change))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for param in model.parameters():
            param.add_(0.3 * torch.randn(param.shape, generator=generator))
    return model


@pytest.fixture
def tokens() -> Tensor:
    return torch.randint(0, 50, (3, 10), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("change", VARIANTS.values(), ids=VARIANTS)
def test_every_listed_hook_fires_in_order_with_its_shape(change: dict, tokens: Tensor) -> None:
    model = build(**change)
    logits, cache = model.run_with_cache(tokens)
    listed = {hook.name: hook for hook in hook_table(model.config) if not hook.opt_in}
    assert list(cache.keys()) == list(listed)
    for name, hook in listed.items():
        assert cache[name].shape == shape_of(hook, model.config, batch=3, pos=10), name
        zeroed = model.run_with_hooks(tokens, fwd_hooks=[(name, lambda act, hook: 0 * act)])
        assert not torch.equal(zeroed, logits), name


@pytest.mark.parametrize("change", [*VARIANTS.values(), {"dropout": 0}, {"dropout": 0.25}])
def test_a_description_survives_json(change: dict) -> None:
    config = dataclasses.replace(SMALL, **change)
    assert ModelConfig.from_dict(config.to_dict()) == config


def test_rms_norm_is_pytorchs() -> None:
    ours, theirs = RMSNorm(24), nn.RMSNorm(24, eps=1e-6)
    x = torch.randn(2, 5, 24, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours.w.copy_(torch.linspace(-1, 2, 24))
        theirs.weight.copy_(ours.w)
    torch.testing.assert_close(ours(x), theirs(x))


def test_swiglu_is_its_definition(tokens: Tensor) -> None:
    model = build(activation="swiglu", mlp_bias=False)
    mlp = model.blocks[0].mlp
    x = torch.randn(2, 5, 24, generator=torch.Generator().manual_seed(0))
    gate = x @ mlp.W_gate
    expected = (gate * torch.sigmoid(gate) * (x @ mlp.W_in)) @ mlp.W_out
    torch.testing.assert_close(mlp(x), expected)
    assert model.W_gate.shape == (2, 24, 40)
    assert (model.b_in == 0).all()
    assert model.b_out.shape == (2, 24)


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_a_block_is_pytorchs_encoder_layer(norm_first: bool, activation: str) -> None:
    wiring = Wiring(residual=True, norm="LN", norm_after=not norm_first)
    block = build(wiring=wiring, activation=activation).blocks[0]
    layer = nn.TransformerEncoderLayer(
        24, 3, 40, dropout=0.0, activation=activation, batch_first=True, norm_first=norm_first
    ).eval()
    attn, mlp = block.attn, block.mlp
    with torch.no_grad():
        stacked = [w.permute(0, 2, 1).flatten(0, 1) for w in (attn.W_Q, attn.W_K, attn.W_V)]
        layer.self_attn.in_proj_weight.copy_(torch.cat(stacked))
        layer.self_attn.in_proj_bias.zero_()
        layer.self_attn.out_proj.weight.copy_(attn.W_O.flatten(0, 1).T)
        layer.self_attn.out_proj.bias.zero_()
        for linear, weight, bias in (
            (layer.linear1, mlp.W_in, mlp.b_in), (layer.linear2, mlp.W_out, mlp.b_out)
        ):  # fmt: skip
            linear.weight.copy_(weight.T)
            linear.bias.copy_(bias)
        for theirs, ours in ((layer.norm1, block.ln1), (layer.norm2, block.ln2)):
            theirs.weight.copy_(ours.w)
            theirs.bias.copy_(ours.b)
    x = torch.randn(2, 7, 24, generator=torch.Generator().manual_seed(0))
    mask = nn.Transformer.generate_square_subsequent_mask(7)
    torch.testing.assert_close(block(x), layer(x, src_mask=mask, is_causal=True))


def test_rotary_scores_depend_on_the_distance_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k = (torch.randn(1, 1, 2, 8, generator=generator) for _ in range(2))
    for distance in (0, 1, 5):
        scores = [
            (rotate(q, first=at) * rotate(k, first=at - distance)).sum(dim=-1)
            for at in (distance, distance + 3, distance + 400)
        ]
        torch.testing.assert_close(scores[0], scores[1], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(scores[0], scores[2], atol=1e-3, rtol=1e-3)
    assert not torch.allclose(rotate(q, first=3), q)
    torch.testing.assert_close(rotate(q, first=0), q)


def test_rotary_turns_as_complex_numbers_do() -> None:
    x = torch.randn(2, 6, 3, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pairs = torch.complex(x[..., :4], x[..., 4:])
    rates = 10_000.0 ** (-2 * torch.arange(4, dtype=torch.float64) / 8)
    angles = torch.arange(6, dtype=torch.float64)[:, None] * rates
    turned = pairs * torch.exp(1j * angles)[None, :, None]
    torch.testing.assert_close(
        rotate(x), torch.cat([turned.real, turned.imag], dim=-1), atol=1e-5, rtol=1e-5
    )


def test_alibi_is_its_table() -> None:
    assert alibi_slopes(8).tolist() == [2.0**-i for i in range(1, 9)]
    bias = alibi_bias(alibi_slopes(4), n_queries=2, n_keys=4)
    assert bias.shape == (4, 2, 4)
    assert bias[0, 1].tolist() == [-0.75, -0.5, -0.25, 0.0]  # slope 2^-2, the key's distance
    assert bias[3, 0, :3].tolist() == [-2 / 256, -1 / 256, 0.0]


@pytest.mark.parametrize("positions", ["alibi", "rotary"])
def test_positions_inside_attention_see_order_and_need_no_table(
    positions: str, tokens: Tensor
) -> None:
    model = build(positions=positions, n_layers=1, wiring=Wiring(), d_mlp=0)
    turned = torch.cat([tokens[:, 1:2], tokens[:, :1], tokens[:, 2:]], dim=1)
    assert not torch.allclose(model(turned)[:, -1], model(tokens)[:, -1], atol=1e-4)
    assert not any("pos" in name for name, _ in model.named_parameters())
    with pytest.raises(InputError, match="no position embeddings"):
        _ = model.W_pos


def test_tied_weights_are_one_and_learn_from_both_ends(tokens: Tensor) -> None:
    tied, untied = build(tied=True), build(unembed_bias=False)
    n = {name: sum(p.numel() for p in m.parameters()) for name, m in (("t", tied), ("u", untied))}
    assert n["u"] - n["t"] == 50 * 24
    assert not any("unembed" in name for name in tied.state_dict())
    torch.testing.assert_close(tied.W_U, tied.W_E.T)
    assert (tied.b_U == 0).all()
    with torch.no_grad():
        own = dict(untied.named_parameters())
        for name, param in tied.named_parameters():
            own[name].copy_(param)
        own["unembed.W_U"].copy_(tied.W_E.T)
    torch.testing.assert_close(tied(tokens), untied(tokens))
    tied(tokens, return_type="loss").backward()
    untied(tokens, return_type="loss").backward()
    both = own["embed.W_E"].grad + own["unembed.W_U"].grad.T
    torch.testing.assert_close(tied.W_E.grad, both)


def test_dropout_is_for_training_alone(tokens: Tensor) -> None:
    model = build(dropout=0.5)
    same = build()
    torch.testing.assert_close(model(tokens), same(tokens), rtol=0, atol=0)
    model.train()
    assert not torch.allclose(model(tokens), model(tokens))


@pytest.mark.parametrize("fast", [False, True], ids=["open", "fused"])
@pytest.mark.parametrize("site", ["", "blocks.1", "blocks.1.attn"])
def test_every_site_of_dropout_drops(site: str, fast: bool, tokens: Tensor) -> None:
    """Embeddings, what parts write and attention's weights: each alone makes two passes differ."""
    model = build(dropout=0.5)
    for name, module in model.named_modules():
        if hasattr(module, "dropout"):
            module.train(name == site)
            module.dropout.train(name == site)
            assert module.training == (name == site)
    with fused() if fast else nullcontext():
        assert not torch.allclose(model(tokens), model(tokens))


def test_post_norm_is_no_sum_and_says_so(tokens: Tensor) -> None:
    model = build(wiring=Wiring(residual=True, norm="LN", norm_after=True))
    _, cache = model.run_with_cache(tokens)
    assert not model.config.has_stream
    with pytest.raises(InputError, match="not a sum"):
        cache.decompose_resid()


@pytest.mark.parametrize("tied", [True, False])
def test_fan_in_initialisation_begins_near_the_loss_of_a_guess(tied: bool, tokens: Tensor) -> None:
    model = StageModel(dataclasses.replace(SMALL, d_vocab=2000, d_model=120, tied=tied))
    initialise_fan_in(model, torch.Generator().manual_seed(0))
    loss = model(tokens, return_type="loss").item()
    assert loss == pytest.approx(math.log(2000), abs=1.5 if tied else 1e-4)


def test_normal_initialisation_has_its_deviation() -> None:
    model = StageModel(dataclasses.replace(SMALL, d_vocab=2000, d_model=48))
    initialise_normal(model, torch.Generator().manual_seed(0))
    for name, param in model.named_parameters():
        if "ln" in name:
            continue
        expected = 0.0 if ".b_" in name else 0.02
        assert param.std().item() == pytest.approx(expected, rel=0.1), name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"positions": "rotary", "n_heads": 8}, "d_head 3 is odd"),
        ({"positions": "alibi", "n_heads": 0}, "act inside attention"),
        ({"tied": True, "window": 2, "n_heads": 0, "d_mlp": 0}, "drop tied or the window"),
        ({"dropout": 1.0}, "below 1"),
        ({"activation": "swiglu"}, "mlp_bias=False"),
        ({"activation": "silu"}, "'relu', 'gelu', 'swiglu'"),
        ({"positions": "sinus"}, "'learned', 'alibi', 'rotary'"),
    ],
)
def test_impossible_combinations_are_refused(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        dataclasses.replace(SMALL, **change)


def test_a_norm_after_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="normalises a sum"):
        Wiring(norm="LN", norm_after=True)


def test_the_numpy_gpt_has_its_parameters() -> None:
    config = ModelConfig(
        d_vocab=256, n_ctx=128, d_model=64, n_layers=4, n_heads=4, d_mlp=172, activation="swiglu",
        mlp_bias=False, tied=True, positions="learned", wiring=Wiring(residual=True, norm="RMS"),
    )  # fmt: skip
    assert sum(param.numel() for param in StageModel(config).parameters()) == 222_784
