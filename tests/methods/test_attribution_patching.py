"""Attribution is the slope of patching, and patching itself where the rest is linear."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor
from transformer_lens.tools.analysis.attribution_patching import attribution_patch

from lt_interp.errors import InputError
from lt_interp.methods.activation_patching import attribution
from lt_interp.methods.activation_patching.attribution import attribute
from lt_interp.methods.activation_patching.cells import HOOKS
from lt_interp.methods.activation_patching.grids import patch_grid
from lt_interp.methods.activation_patching.metrics import logit_difference
from lt_interp.model.config import ModelConfig, Wiring
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import STAGES

N_PAIRS, N_POS = 3, 6


def config_of(stage: str, **change: object) -> ModelConfig:
    config = STAGES[stage].config
    size = {"d_model": 16, "d_vocab": 256, "n_ctx": 16, "eos_id": 0}
    return dataclasses.replace(config, **size, d_mlp=24 if config.d_mlp else 0, **change)


def prompts() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    clean = torch.randint(1, 256, (N_PAIRS, N_POS), generator=generator)
    corrupt = clean.clone()
    corrupt[:, 2] = 255 - corrupt[:, 2]
    return clean, corrupt, torch.tensor([[3, 4], [5, 6], [7, 8]])


@pytest.mark.parametrize("stage", ["07_block", "09_multi_head", "10_moe", "10_moe_gated"])
def test_the_mean_over_pairs_is_transformer_lenss(stage: str) -> None:
    model = StageModel(config_of(stage), name=stage, seed=1)
    clean, corrupt, _ = prompts()
    answers = torch.tensor([[3, 4]] * N_PAIRS)  # its metric does not know which pair it is asked of
    metric = lambda logits: logits[0, -1, 3] - logits[0, -1, 4]  # noqa: E731
    found = attribute(model, clean, corrupt, answers=answers, parts=["embed", "z", "mlp_out"])
    nodes = attribution_patch(model, clean, corrupt, metric).node_scores
    names = {"embed": "embed", "attn_head_out": "z", "mlp_out": "mlp_out"}
    assert len(nodes) == sum(values[..., 0].numel() for values in found.values())
    for node, score in nodes.items():
        head = () if node.head is None else (node.head,)
        own = found[names[node.kind]][(node.layer or 0, node.position, *head)]
        assert float(own.mean()) == pytest.approx(score, abs=1e-6)


@pytest.mark.parametrize(
    "stage", ["03_bigram", "04_attention", "06_ffn", "09_multi_head", "10_moe"]
)
def test_it_is_the_slope_of_a_small_patch(stage: str) -> None:
    """In double precision, a patch of a millionth of the way, put in through the hooks alone."""
    model = StageModel(config_of(stage), name=stage, seed=2).to(torch.float64)
    clean, corrupt, answers = prompts()
    step = 1e-6
    for part in attribution._parts(model.config):
        effects = attribute(model, clean, corrupt, answers=answers, parts=[part])[part]
        for layer in range(len(effects)):
            name = HOOKS[part].format(layer=layer)
            _, cache = model.run_with_cache(clean)
            for position in (2, N_POS - 1):

                def nudge(x: Tensor, hook: object, name: str = name, p: int = position) -> Tensor:
                    x = x.clone()
                    x[:, p] += step * (cache[name][:, p] - x[:, p])  # noqa: B023
                    return x

                with torch.no_grad():
                    plain = logit_difference(model(corrupt)[:, -1], answers)
                    moved = model.run_with_hooks(corrupt, fwd_hooks=[(name, nudge)])[:, -1]
                slope = (logit_difference(moved, answers) - plain) / step
                own = effects[layer, position]
                assert_allclose(own.sum(dim=0) if own.ndim == 2 else own, slope, atol=1e-6)


def test_where_the_rest_is_linear_it_is_the_patch() -> None:
    """Without norms the last block's parts are added to what is unembedded."""
    config = config_of("09_multi_head", wiring=Wiring(residual=True))
    model = StageModel(config, name="linear", seed=3)
    clean, corrupt, answers = prompts()
    effects = attribute(model, clean, corrupt, answers=answers, parts=["mlp_out"])["mlp_out"]
    patched = patch_grid(model, clean, corrupt, component="mlp_out", answers=answers)
    with torch.no_grad():
        corrupt_nats = logit_difference(model(corrupt)[:, -1], answers)
    assert effects[-1].abs().max() > 1e-3
    assert_allclose(effects[-1], patched[-1] - corrupt_nats, atol=1e-5)
    assert (effects[-1, :-1] == 0).all()  # nothing after the last block's attention reads these


def test_batches_frozen_weights_and_other_hooks_change_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = StageModel(config_of("09_multi_head"), name="nine", seed=4)
    clean, corrupt, answers = prompts()

    def found() -> dict[str, Tensor]:
        return attribute(model, clean, corrupt, answers=answers, parts=["embed", "z", "resid_mid"])

    once = found()
    assert once["embed"].shape == (1, N_POS, N_PAIRS)
    assert once["z"].shape == (2, N_POS, 2, N_PAIRS)
    seen: list[int] = []
    model.blocks[1].hook_mlp_out.add_hook(lambda x, hook: seen.append(x.shape[1]))
    whole = found()
    assert seen == [N_POS, N_POS]
    model.reset_hooks()
    monkeypatch.setattr(attribution, "BATCH_TOKENS", 1)
    alone = found()
    frozen = [p.requires_grad_(False) for p in model.parameters()]
    assert frozen
    for other in (whole, alone, found()):
        for part, values in once.items():
            assert_allclose(other[part], values, atol=1e-6)
    assert all(p.grad is None for p in model.parameters())


def test_a_part_that_is_not_there_is_refused() -> None:
    model = StageModel(config_of("06_ffn"), name="06_ffn")
    clean, corrupt, answers = prompts()
    with pytest.raises(InputError, match="06_ffn has no 'resid_pre'; it has"):
        attribute(model, clean, corrupt, answers=answers, parts=["resid_pre"])
