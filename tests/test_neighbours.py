"""docs/neighbours.md is run section by section, and what its tools find is checked."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformer_lens import patching
from transformer_lens.tools.analysis import (
    attribution_patch,
    direct_logit_attribution,
    logit_lens,
)
from typer.testing import CliRunner

import lt_interp as lt
from lt_interp.cli.app import app
from lt_interp.errors import InputError
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import LADDER

OTHER = "The boy was happy because"
PAGE = Path(__file__).parents[1] / "docs" / "neighbours.md"
HEADING = re.compile(r"^## (.+)$", flags=re.MULTILINE)
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
Names = dict[str, Any]
Run = Callable[[str], Names]


def sections() -> dict[str, str]:
    _, *parts = HEADING.split(PAGE.read_text(encoding="utf-8"))
    return dict(zip(parts[::2], parts[1::2]))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Names]:
    """Runs the blocks of a section in order in an empty folder; returns what they define."""
    monkeypatch.chdir(tmp_path)

    def run(section: str) -> Names:
        names: Names = {"__name__": "neighbours"}
        for place, (language, block) in enumerate(FENCE.findall(sections()[section])):
            if language == "bash":
                _command(block)
                continue
            file = tmp_path / f"block_{place}.py"  # nnsight reads the source of what it traces
            file.write_text(block, encoding="utf-8")
            exec(compile(block, str(file), "exec", dont_inherit=True), names)
        return names

    return run


def _command(block: str) -> None:
    for line in block.splitlines():
        done = CliRunner().invoke(app, shlex.split(line)[1:])
        assert done.exit_code == 0, done.output


@pytest.fixture(scope="module")
def prompt() -> str:
    return "The girl was happy because"


def test_every_section_is_tested_here_and_named_in_the_table() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    begin = PAGE.read_text(encoding="utf-8").split("\n## ")[0]
    for name in sections():
        assert f'run("{name}")' in text
        assert f"(#{name.lower().replace(' ', '-')})" in begin


def test_the_table_says_which_stages_a_tool_takes(prompt: str) -> None:
    """Those above the first that it names are refused; that one and those below it are not."""
    said = re.findall(
        r"^\| .*`(\w+)`.* \| from `(\w+)` on \|$", PAGE.read_text(), flags=re.MULTILINE
    )
    uses: dict[str, Callable[[StageModel], object]] = {
        "attention_heads": lambda model: model.run_with_cache(prompt)[1]["pattern", 0],
        "direct_logit_attribution": lambda model: direct_logit_attribution(model, prompt, " she"),
        "logit_lens": lambda model: logit_lens(model, prompt),
        "attribution_patch": lambda model: attribution_patch(
            model, *model.to_tokens([prompt, OTHER])[:, None], lambda logits: logits[0, -1, 0]
        ),
    }
    ladder = [stage for stage in LADDER if not stage.startswith(("01", "02", "03"))]
    tokenizer = lt.load("03_bigram").tokenizer
    for tool, use in uses.items():
        first = ladder.index(dict(said)[tool])
        for place, stage in enumerate(ladder):
            model = StageModel(LADDER[stage].config, tokenizer=tokenizer)
            if place >= first:
                assert use(model) is not None
            else:
                with pytest.raises((InputError, KeyError, ValueError)):
                    use(model)


def test_circuitsvis_draws_the_pattern_and_the_losses(run: Run) -> None:
    names = run("CircuitsVis")
    drawn = names["heads"].show_code()
    assert "AttentionHeads" in drawn
    pattern, tokens = names["cache"]["pattern", 1][0], names["model"].to_str_tokens(names["text"])
    # every weight of the pattern stands in what the browser is given, in order
    given = re.search(r'"attention": (\[\[\[.*?\]\]\])', drawn)
    assert given is not None
    torch.testing.assert_close(torch.tensor(eval(given[1])), pattern.detach())
    colours = names["colours"].show_code()
    assert "ColoredTokensMulti" in colours
    given = re.search(r'"values": (\[\[.*?\]\])', colours)
    assert given is not None
    by_stage = torch.tensor(eval(given[1])).mean(dim=0)
    assert by_stage.shape == (3,)
    for value, stage in zip(by_stage, names["stages"]):
        torch.testing.assert_close(
            value, lt.load(stage)(names["text"], return_type="loss").detach()
        )
    assert len(tokens) - 1 == len(eval(given[1]))


def test_nnsight_reads_and_sets_what_hooks_read_and_set(run: Run) -> None:
    names = run("nnsight")
    model, tokens = names["model"], names["tokens"]
    logits, cache = model.run_with_cache(tokens)
    assert torch.equal(names["stream"], cache["resid_mid", 0])
    assert torch.equal(names["logits"], logits)

    def silence(z: torch.Tensor, hook: object) -> torch.Tensor:
        z[:, :, 0] = 0
        return z

    by_hook = model.run_with_hooks(tokens, fwd_hooks=[("blocks.1.attn.hook_z", silence)])
    assert torch.equal(names["silenced"], by_hook)
    assert not torch.equal(names["silenced"], logits)
    assert torch.equal(model(tokens), logits)  # nothing stays behind


def test_detect_head_is_the_mean_of_a_diagonal(run: Run) -> None:
    names = run("Head detector")
    model = names["model"]
    _, cache = model.run_with_cache("Tom saw a big dog. The dog ran to Tom.")
    for layer in range(2):
        pattern = cache["pattern", layer][0]
        share = pattern.diagonal(offset=-1, dim1=1, dim2=2).sum(dim=-1) / pattern.shape[-1]
        torch.testing.assert_close(names["previous"][layer], share.detach())


def test_direct_logit_attribution_adds_up(run: Run) -> None:
    names = run("Direct logit attribution")
    wanted = names["difference"] - names["of_no_part"]
    for found in (names["parts"], names["heads"]):
        torch.testing.assert_close(found.attribution.sum(), wanted, atol=1e-4, rtol=1e-4)
    assert names["heads"].labels[:-1] == names["model"].all_head_labels()


def test_logit_lens_ends_in_the_prediction(run: Run, prompt: str) -> None:
    names = run("Logit lens")
    model, lens = names["model"], names["lens"]
    she = model.to_single_token(" she")
    logits = model(prompt)[0, -1]
    torch.testing.assert_close(lens.values[-1, 0, 0], logits[she])
    assert names["ranks"]["final_post"] == [int((logits > logits[she]).sum())]
    with pytest.raises(InputError, match="no residual stream"):
        lt.load("06_ffn").run_with_cache(prompt)[1].accumulated_resid()


def test_attribution_patching_estimates_what_patching_does(run: Run) -> None:
    names = run("Attribution patching")
    model, metric = names["model"], names["she_over_he"]
    _, clean = model.run_with_cache(names["clean"])
    patched = patching.get_act_patch_attn_head_out_all_pos(model, names["corrupt"], clean, metric)
    estimate = torch.zeros(2, 2)
    for node, score in names["estimate"].node_scores.items():
        if node.kind == "attn_head_out":
            estimate[node.layer, node.head] += score
    done = (patched - metric(model(names["corrupt"]))).detach()
    assert torch.corrcoef(torch.stack([estimate.flatten(), done.flatten()]))[0, 1] > 0.8
    assert estimate.argmax() in done.flatten().topk(2).indices


def test_one_direction_is_enough_and_a_random_one_is_not(run: Run) -> None:
    names = run("Interchange")
    assert names["he_or_she"](names["boys"]).argmax(dim=1).tolist() == [0] * 6
    assert names["swapped"].argmax(dim=1).tolist() == [1] * 3
    assert names["moved"].argmax(dim=1).tolist() == [0] * 3
    basis = names["direction"]
    torch.testing.assert_close(basis.T @ basis, torch.eye(1))


def test_the_pipeline_writes_what_the_stage_writes(run: Run) -> None:
    names = run("Transformers")
    ours = lt.load("09_multi_head").generate("Once upon a time", 20, temperature=0)
    assert names["story"] == ours
