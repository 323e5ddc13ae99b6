"""The comparison itself, where the second environment is built, and what it rests on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from lt_interp.corpus.sources import open_corpus

from .cases import COMPOSED, RANDOM, SHIPPED, all_cases, first_stories, random_model
from .compare import Finding, compare, difference, in_their_layout, reason_of_gap, run
from .compare_transformers import EXPORTED, compare_transformers

ROOT = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("LT_INTERP_ORACLE", ROOT / ".venv-oracle" / "bin" / "python"))
NEEDS_ORACLE = pytest.mark.skipif(
    not PYTHON.is_file(), reason="no second environment with HookedTransformer: make oracle"
)


def test_the_stages_that_are_compared() -> None:
    assert SHIPPED == ["03_bigram", "07_block", "08_two_blocks", "09_multi_head"]
    assert EXPORTED == SHIPPED
    assert COMPOSED == ["10_moe", "10_moe_gated"]


@NEEDS_ORACLE
def test_hooked_transformer_agrees_by_name() -> None:
    findings = compare(all_cases(), PYTHON, first_stories(open_corpus("embedded"), 2))
    assert [f.case.name for f in findings if not f.agrees] == []
    assert {f.version for f in findings} == {"3.9.0"}
    shipped = {f.case.name: f for f in findings if f.case.kind != "random"}
    assert all(f.gaps == {} for f in shipped.values())
    assert len(shipped["03_bigram"].hooks) == 3
    assert len(shipped["09_multi_head"].hooks) == 52
    assert "blocks.1.mlp.hook_expert_indices" in shipped["10_moe"].hooks


@pytest.mark.slow
@NEEDS_ORACLE
def test_transformers_agrees_without_this_package() -> None:
    stories = first_stories(open_corpus("embedded"), 2)
    opened = compare_transformers(PYTHON, stories)
    assert [o for o in opened if not o.agrees] == []
    assert [o.architecture for o in opened] == ["OPTForCausalLM"] + 3 * ["GPT2LMHeadModel"]


def test_minus_infinity_agrees_with_itself_and_with_nothing_else() -> None:
    masked = torch.tensor([1.0, -torch.inf])
    assert difference(masked, torch.tensor([1.5, -torch.inf])) == 0.5
    assert difference(masked, torch.tensor([1.0, 0.0])) == torch.inf
    assert difference(masked, torch.tensor([torch.nan, -torch.inf])) == torch.inf
    nothing = torch.zeros(0, 4)
    assert difference(nothing, nothing) == 0


def test_a_difference_or_an_unexplained_gap_is_no_agreement() -> None:
    found = Finding(case=all_cases()[0], n_stories=1, n_tokens=1, version="", differences={"x": 0})
    found.sizes = {"x": 1.0, "logits": 60.0}
    assert found.agrees
    found.differences["x"] = 2e-4
    assert not found.agrees
    found.sizes["x"] = 20.0  # as near as float32 is to such values
    assert found.agrees
    found.differences["logits"] = 2e-4  # what a model predicts is held to the one bound
    assert not found.agrees
    del found.differences["logits"]
    found.differences["x"] = 0
    found.gaps["blocks.0.hook_attn_out"] = None
    assert not found.agrees


def test_only_known_gaps_have_a_reason() -> None:
    whole, attention = RANDOM["3 layers of 3 heads"], RANDOM["attention only"]
    assert reason_of_gap("blocks.2.hook_mlp_out", attention)
    assert reason_of_gap("blocks.2.hook_mlp_out", whole) is None
    assert reason_of_gap("hook_pos_embed", RANDOM["without positions"])
    assert reason_of_gap("hook_pos_embed", whole) is None
    assert reason_of_gap("blocks.0.attn.hook_q", attention) is None


def test_their_layout_gives_each_expert_its_own_tokens() -> None:
    indices = torch.tensor([[[0], [1]], [[1], [1]]])
    pre = torch.arange(4.0).reshape(2, 2, 1)
    name = "blocks.0.mlp"
    theirs = in_their_layout(
        {
            f"{name}.hook_expert_indices": indices,
            f"{name}.experts.0.hook_pre": pre,
            f"{name}.experts.1.hook_pre": pre,
            f"{name}.hook_pre": pre,
        }
    )
    assert theirs[f"{name}.hook_expert_indices"].tolist() == [[0], [1], [1], [1]]
    assert theirs[f"{name}.experts.0.hook_pre"].tolist() == [[0.0]]
    assert theirs[f"{name}.experts.1.hook_pre"].tolist() == [[1.0], [2.0], [3.0]]
    assert theirs[f"{name}.hook_pre"] is pre


def test_every_value_of_a_run_has_its_name() -> None:
    model = random_model(RANDOM["attention only"])
    tokens = torch.arange(10)[None]
    found = run(model, tokens)
    assert found["logits"].equal(found["unembed.hook_out"])
    assert found["loss"].equal(model(tokens, return_type="loss"))


def test_both_environments_have_the_same_versions_but_of_what_differs() -> None:
    ours, theirs = (
        dict(line.split("==") for line in (ROOT / name).read_text().splitlines() if "==" in line)
        for name in ("constraints.txt", "constraints-oracle.txt")
    )
    assert theirs["transformer-lens"] == "3.9.0"
    shared = ours.keys() & theirs.keys() - {"transformer-lens"}
    assert {"torch", "transformers", "safetensors"} <= shared
    assert {name: theirs[name] for name in shared} == {name: ours[name] for name in shared}
