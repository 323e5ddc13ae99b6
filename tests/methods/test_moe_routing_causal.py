"""What sending tokens elsewhere does, on experts that are the same and on single classes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from numpy.testing import assert_allclose
from torch import nn
from transformer_lens.hook_points import HookPoint

from lt_interp.corpus.simple_tokenizers import ByteTokenizer
from lt_interp.corpus.windows import Rows
from lt_interp.methods.moe_routing.causal import causal_rows
from lt_interp.methods.routing_names import OTHER_EXPERT

from .moe_stages import by_parity, stage


def test_identical_experts_make_it_all_the_same_where_tokens_go(
    rows: Rows, tokenizer: ByteTokenizer
) -> None:
    model = stage("10_moe", tokenizer)
    classes = ["other"] * 256
    different = pd.DataFrame(causal_rows(model, rows, rows.n_rows, classes, seed=0))
    for block in model.blocks:
        block.mlp.experts[1].load_state_dict(block.mlp.experts[0].state_dict())
    same = pd.DataFrame(causal_rows(model, rows, rows.n_rows, classes, seed=0))
    assert (same[["loss_change_nats", "low", "high"]] == 0).all(axis=None)
    assert (different["loss_change_nats"] != 0).all()
    assert same["n_tokens"].nunique() == 1


def test_of_a_class_only_its_tokens_are_sent_elsewhere(
    rows: Rows, tokenizer: ByteTokenizer
) -> None:
    model = stage("10_moe", tokenizer)
    vowels = [i for i in range(256) if chr(i) in "aeiou"]
    classes = ["verb" if i in vowels else "other" for i in range(256)]
    found = pd.DataFrame(causal_rows(model, rows, rows.n_rows, classes, seed=0, limit=rows.n_rows))
    change = found.set_index(["layer", "intervention", "token_class"])["loss_change_nats"]

    tokens = torch.from_numpy(np.asarray(rows.tokens).astype(np.int64))
    read, targets = tokens[:, :-1], tokens[:, 1:, None]
    is_vowel = torch.isin(read, torch.tensor(vowels))

    def send(act: torch.Tensor, hook: HookPoint) -> torch.Tensor:
        return torch.where(is_vowel[:, :, None], 1 - act, act)

    def losses(hooks: list) -> torch.Tensor:
        logits = model.run_with_hooks(read, fwd_hooks=hooks)
        return -logits.log_softmax(dim=-1).gather(2, targets)[is_vowel].double()

    for layer in ("0", "1"):
        after = losses([(f"blocks.{layer}.mlp.hook_expert_indices", send)])
        expected = (after - losses([])).mean().item()
        assert_allclose(change[(layer, OTHER_EXPERT, "verb")], expected, atol=1e-6)
    assert change[("0", OTHER_EXPERT, "verb")] != change[("0", OTHER_EXPERT, "all")]


def test_one_expert_for_all_changes_nothing_where_it_serves_all(
    rows: Rows, tokenizer: ByteTokenizer
) -> None:
    model = by_parity(stage("10_moe", tokenizer))
    with torch.no_grad():
        model.W_E[:, 0] = 6.0  # every token to expert 1
        for block in model.blocks:
            nn.init.normal_(block.mlp.experts[0].W_out, generator=torch.Generator().manual_seed(1))
    found = pd.DataFrame(causal_rows(model, rows, rows.n_rows, ["other"] * 256, seed=0))
    change = found.set_index(["layer", "intervention", "token_class"])["loss_change_nats"]
    for layer in ("0", "1", "all"):
        assert change[(layer, "all to expert 1", "all")] == 0
        assert change[(layer, "all to expert 0", "all")] != 0
        assert_allclose(change[(layer, "sent to the other expert", "all")],
                        change[(layer, "all to expert 0", "all")])  # fmt: skip
