"""Running with hooks and caches, as notebooks written for HookedTransformer do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from transformer_lens.ActivationCache import ActivationCache

from lt_interp.errors import InputError
from lt_interp.model.hook_table import hook_table
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import STAGES

Build = Callable[..., StageModel]


def n_hooks(model: StageModel) -> int:
    return sum(len(point.fwd_hooks) + len(point.bwd_hooks) for point in model.hook_dict.values())


def test_text_and_its_tokens_give_the_same_cache(small_model: Build) -> None:
    model = small_model("09_multi_head")
    from_text = model.run_with_cache("a dog ran.")
    from_tokens = model.run_with_cache(model.to_tokens("a dog ran."))
    assert isinstance(from_text[1], ActivationCache)
    assert torch.equal(from_text[0], from_tokens[0])
    assert torch.equal(from_text[0], model("a dog ran."))
    for name, activation in from_tokens[1].items():
        assert torch.equal(from_text[1][name], activation)
    assert n_hooks(model) == 0


@pytest.mark.parametrize(
    "names_filter",
    [
        "blocks.0.attn.hook_pattern",
        ["blocks.0.attn.hook_pattern"],
        lambda name: name.startswith("blocks.0.") and name.endswith("pattern"),
    ],
    ids=["name", "list", "predicate"],
)
def test_names_filter(names_filter: object, small_model: Build, tokens: Tensor) -> None:
    model = small_model("09_multi_head")
    whole = model.run_with_cache(tokens)[1]
    cache = model.run_with_cache(tokens, names_filter=names_filter)[1]
    assert list(cache) == ["blocks.0.attn.hook_pattern"]
    assert torch.equal(cache["pattern", 0], whole["pattern", 0])


def test_short_names(small_model: Build, tokens: Tensor) -> None:
    cache = small_model("09_multi_head").run_with_cache(tokens)[1]
    pattern = cache["pattern", 0]
    torch.testing.assert_close(pattern.sum(dim=-1), torch.ones(3, 2, 10))
    assert not pattern.triu(diagonal=1).any()
    assert cache["resid_post", 1] is cache["blocks.1.hook_resid_post"]
    assert cache["scale"] is cache["ln_final.hook_scale"]
    torch.testing.assert_close(
        cache["resid_post", 0],
        cache["resid_pre", 0] + cache["attn_out", 0] + cache["mlp_out", 0],
    )


def test_remove_batch_dim(small_model: Build, tokens: Tensor) -> None:
    model = small_model("10_moe")
    batched = model.run_with_cache(tokens[:1])[1]
    logits, cache = model.run_with_cache(tokens[0], remove_batch_dim=True)
    assert logits.shape == (1, 10, model.cfg.d_vocab)
    assert not cache.has_batch_dim
    for name, activation in cache.items():
        assert torch.equal(activation, batched[name][0])


def test_pos_slice(small_model: Build, tokens: Tensor) -> None:
    model = small_model("10_moe")
    model.set_use_attn_result(True)
    whole = model.run_with_cache(tokens)[1]
    last = model.run_with_cache(tokens, pos_slice=-1)[1]
    some = model.run_with_cache(tokens, pos_slice=(2, 5))[1]
    for name, activation in whole.items():
        by_position = activation.transpose(1, 2) if "pattern" in name or "scores" in name else None
        activation = activation if by_position is None else by_position
        cut, one = some[name], last[name]
        if by_position is not None:
            cut = cut.transpose(1, 2)
            one = one.unsqueeze(1) if one.ndim < activation.ndim else one.transpose(1, 2)
        assert torch.equal(cut, activation[:, 2:5]), name
        assert torch.equal(one.reshape(activation[:, -1].shape), activation[:, -1]), name


def test_pos_slice_of_inputs_that_heads_have_apart(small_model: Build, tokens: Tensor) -> None:
    model = small_model("09_multi_head")
    model.set_use_split_qkv_input(True)
    whole = model.run_with_cache(tokens)[1]
    for pos_slice in (-1, (2, 5), [1, 4]):
        cut = model.run_with_cache(tokens, pos_slice=pos_slice)[1]
        places = [-1] if pos_slice == -1 else range(*pos_slice)
        places = pos_slice if isinstance(pos_slice, list) else list(places)
        shapes = {hook.name: hook.shape.split() for hook in hook_table(model.config)}
        for name, activation in whole.items():
            axis = shapes[name].index("query" if "query" in shapes[name] else "pos")
            index = torch.arange(activation.shape[axis])[places]
            assert torch.equal(cut[name], activation.index_select(axis, index)), name
    one = model.run_with_cache(tokens[0], remove_batch_dim=True, pos_slice=-1)[1]
    assert torch.equal(one["blocks.0.hook_q_input"], whole["blocks.0.hook_q_input"][0, -1:])


def test_return_types(small_model: Build, tokens: Tensor) -> None:
    model = small_model("05_attn_position")
    logits = model(tokens)
    each = model(tokens, return_type="loss", loss_per_token=True)
    assert each.shape == (3, 9)
    expected = -logits.log_softmax(dim=-1)[0, 4, tokens[0, 5]]
    torch.testing.assert_close(each[0, 4], expected)
    loss = model(tokens, return_type="loss")
    torch.testing.assert_close(
        loss, F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
    )
    torch.testing.assert_close(loss, each.mean())
    assert torch.equal(model(tokens, "loss", True), each)  # as HookedTransformer takes them
    both = model(tokens, return_type="both")
    assert torch.equal(both[0], logits)
    assert torch.equal(both[1], loss)
    assert model(tokens, return_type=None) is None
    assert torch.equal(model.run_with_cache(tokens, return_type="loss")[0], loss)


@pytest.mark.usefixtures("without_type_checks")
def test_an_unknown_return_type(small_model: Build, tokens: Tensor) -> None:
    with pytest.raises(InputError, match="allowed: logits, loss, both, None"):
        small_model("03_bigram")(tokens, return_type="probs")


def test_gradients_are_cached_on_request(small_model: Build, tokens: Tensor) -> None:
    model = small_model("07_block")
    _, cache = model.run_with_cache(
        tokens, return_type="loss", incl_bwd=True, return_cache_object=False
    )
    # the mean loss sees a logit by (probability - 1 where true) / number of predicted tokens
    expected = model(tokens).softmax(dim=-1)
    expected[:, :-1] -= F.one_hot(tokens[:, 1:], model.cfg.d_vocab)
    torch.testing.assert_close(cache["unembed.hook_out_grad"][:, :-1], expected[:, :-1] / 27)
    assert not cache["unembed.hook_out_grad"][:, -1].any()


def test_run_with_hooks_changes_one_run_only(small_model: Build, tokens: Tensor) -> None:
    model = small_model("08_two_blocks")
    before = model(tokens)
    name = "blocks.1.hook_mlp_out"
    without = model.run_with_hooks(tokens, fwd_hooks=[(name, lambda act, hook: 0 * act)])
    resid = model.run_with_cache(tokens)[1]["resid_mid", 1]
    torch.testing.assert_close(without, model.unembed(model.ln_final(resid)))
    assert torch.equal(model(tokens), before)


def test_hooks_are_gone_even_when_one_raises(small_model: Build, tokens: Tensor) -> None:
    model = small_model("08_two_blocks")

    def fail(act: Tensor, hook: object) -> Tensor:
        raise RuntimeError("a hook failed")

    def fail_in_context() -> None:
        with model.hooks([("hook_embed", fail)]) as hooked:
            assert hooked is model
            assert n_hooks(model) == 1
            model(tokens)

    for run in (
        fail_in_context,
        lambda: model.run_with_hooks(tokens, fwd_hooks=[("hook_embed", fail)]),
    ):
        with pytest.raises(RuntimeError, match="a hook failed"):
            run()
        assert n_hooks(model) == 0
        assert model.context_level == 0


def test_added_hooks_stay_until_reset(small_model: Build, tokens: Tensor) -> None:
    model = small_model("03_bigram")
    seen = []
    model.add_hook("hook_embed", lambda act, hook: seen.append(hook.name))
    model.add_hook(lambda name: name.startswith("unembed"), lambda act, hook: seen.append("u"))
    model(tokens)
    model(tokens)
    assert seen == ["hook_embed", "u", "u"] * 2
    model.reset_hooks()
    model(tokens)
    assert len(seen) == 6


@pytest.mark.parametrize("stage_id", STAGES)
def test_the_loss_is_lower_where_the_unembedding_names_the_next_token(
    stage_id: str, small_model: Build, tokens: Tensor
) -> None:
    """Loss compares the logits at a position with the token after it, for every stage."""
    model = small_model(stage_id)
    right = 20.0 * F.one_hot(tokens.roll(-1, dims=1), model.cfg.d_vocab)
    answer = [("unembed.hook_out", lambda act, hook: right)]
    assert model.run_with_hooks(tokens, return_type="loss", fwd_hooks=answer) < 1e-6


@pytest.mark.parametrize("stage_id", ["04_attention", "09_multi_head", "10_moe"])
def test_head_results_add_up_to_attention(
    stage_id: str, small_model: Build, tokens: Tensor
) -> None:
    model = small_model(stage_id)
    plain = model.run_with_cache(tokens)[0]
    model.set_use_attn_result(True)
    logits, cache = model.run_with_cache(tokens)
    torch.testing.assert_close(logits, plain)
    torch.testing.assert_close(cache["result", 0].sum(dim=2), cache["attn_out", 0])
    head = cache["z", 0][:, :, 0] @ model.W_O[0, 0]
    torch.testing.assert_close(cache["result", 0][:, :, 0], head)


@pytest.mark.parametrize("stage_id", ["04_attention", "06_ffn", "08_two_blocks", "10_moe_gated"])
def test_forked_inputs_compute_the_same(stage_id: str, small_model: Build, tokens: Tensor) -> None:
    model = small_model(stage_id)
    plain = model(tokens)
    flags = ["use_split_qkv_input", "use_attn_in"] + ["use_hook_mlp_in"] * bool(model.cfg.d_mlp)
    for flag in flags:
        getattr(model, f"set_{flag}")(True)
        torch.testing.assert_close(model(tokens), plain)
        getattr(model, f"set_{flag}")(False)


def test_a_forked_input_reaches_one_head_alone(small_model: Build, tokens: Tensor) -> None:
    model = small_model("09_multi_head")
    model.set_use_split_qkv_input(True)
    plain = model.run_with_cache(tokens)[1]

    def drop_head_1(act: Tensor, hook: object) -> Tensor:
        act[:, :, 1] = 0
        return act

    with model.hooks([("blocks.0.hook_q_input", drop_head_1)]):
        changed = model.run_with_cache(tokens)[1]
    assert torch.equal(changed["q", 0][:, :, 0], plain["q", 0][:, :, 0])
    assert not torch.equal(changed["q", 0][:, :, 1], plain["q", 0][:, :, 1])
    assert torch.equal(changed["k", 0], plain["k", 0])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (torch.zeros(1, 25, dtype=torch.long), "25 tokens and the context 24"),
        (torch.zeros(1, 0, dtype=torch.long), "no tokens"),
        (torch.tensor([[3, 30]]), "token id 30"),
        (torch.tensor([[3, -1]]), "token id -1"),
        ("", "no tokens"),
    ],
)
def test_input_that_does_not_fit(bad: object, message: str, small_model: Build) -> None:
    model = small_model("02_bow_position")
    for run in (model, model.run_with_cache):
        with pytest.raises(InputError, match=message):
            run(bad)
