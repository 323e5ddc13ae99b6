from __future__ import annotations

import json

import pandas as pd
import pytest
from markdown_it import MarkdownIt

from lt_interp.methods.result import Result
from lt_interp.report import logit_lens_text as text
from lt_interp.report.build import build_pages
from lt_interp.report.logit_lens import LOGIT_LENS

STREAM = [f"blocks.0.hook_resid_{name}" for name in ("pre", "mid", "post")]
CHAIN = ["hook_embed", "hook_embed + hook_pos_embed", "blocks.0.hook_attn_out"]
LOSSES = {"05_attn_position": [9.0, 10.0, 4.4], "07_block": [5.0, 4.5, 3.5],
          "10_moe": [5.2, 4.0, 3.7]}  # fmt: skip
WIDE = "its unembedding reads 2 | tokens"


def corpus(stages) -> pd.DataFrame:
    rows = []
    for stage in stages:
        points = STREAM if stage in ("07_block", "10_moe") else CHAIN
        for order, (point, loss) in enumerate(zip(points, LOSSES[stage])):
            change = loss - LOSSES[stage][order - 1] if order else None
            rows.append({
                "stage": stage, "point": point, "order": order,
                "descriptive": points is CHAIN and order < 2, "loss_nats": loss, "low": loss - 0.1,
                "high": loss + 0.1, "top1_accuracy": 0.2, "top1_low": 0.15, "top1_high": 0.25,
                "probability": 0.1, "probability_low": 0.09, "probability_high": 0.11,
                "geometric_mean_rank": 5.0, "rank_low": 4.5, "rank_high": 5.5,
                "kl_to_final_nats": 0.5, "kl_low": 0.4, "kl_high": 0.6,
                "untrained_loss_nats": 8.5, "untrained_low": 8.4, "untrained_high": 8.6,
                "change_from_previous_nats": change,
                "change_low": change and change - 0.05, "change_high": change and change + 0.05,
                "p": change and 0.001, "q": change and 0.002, "n_tokens": 20_145, "n_stories": 151,
            })  # fmt: skip
    return pd.DataFrame(rows)


def prompts(stages, hostile: str) -> pd.DataFrame:
    rows = []
    for stage in stages:
        for prompt in (hostile, "A dog ran"):
            for order, point in enumerate(STREAM if stage != "05_attn_position" else CHAIN):
                for position in range(3):
                    rows.append({
                        "stage": stage, "prompt": prompt, "position": position, "token": hostile,
                        "next_token": " dog" if position < 2 else None, "point": point,
                        "order": order, "rank_of_next": 3 - order if position < 2 else None,
                        "probability_of_next": 0.1 if position < 2 else None,
                        "kl_to_final_nats": 0.1, "top_token": hostile, "top_probability": 0.5,
                        "top_tokens": json.dumps([[hostile, 0.5]]),
                    })  # fmt: skip
    return pd.DataFrame(rows).astype({"rank_of_next": "Int64"})


def attribution(stages) -> pd.DataFrame:
    rows = [
        {"stage": stage, "component": component, "layer": layer, "head": head,
         "contribution_logits": share, "low": share - 0.1, "high": share + 0.1,
         "shuffled_contribution_logits": chance, "shuffled_low": chance - 0.1,
         "shuffled_high": chance + 0.1, "p": p, "q": p, "n_tokens": 20_145, "n_stories": 151}
        for stage in stages if stage != "05_attn_position"
        for component, layer, head, share, chance, p in (
            ("embed", None, None, 3.0, 2.9, 0.4), ("L0H0", 0, 0, 1.0, -0.5, 0.001),
            ("0_mlp_out", 0, None, 2.0, 1.0, 0.001), ("b_U", None, None, 0.5, 0.5, None),
        )
    ]  # fmt: skip
    columns = ["stage", "component", "layer", "head", "contribution_logits", "low", "high",
               "shuffled_contribution_logits", "shuffled_low", "shuffled_high", "p", "q",
               "n_tokens", "n_stories"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns).astype({"layer": "Int64", "head": "Int64"})


def applies(stages) -> pd.DataFrame:
    return pd.DataFrame([
        {"stage": stage, "attribution_applies": stage != "05_attn_position",
         "residual_error": 2e-7, "logit_error": 3e-7, "tolerance": 1e-4,
         "logit_minus_mean": 6.5, "n_tokens": 20_145,
         "reason": "its parts replace | each other" if stage == "05_attn_position" else None}
        for stage in stages
    ])  # fmt: skip


@pytest.fixture
def lens(evolution, hostile):
    """Makes the result of the logit lens for any of three stages."""

    def make(stages=tuple(LOSSES)) -> Result:
        meta = evolution(["07_block"]).meta
        read = [{"stage": stage, "applies": True, "reason": None} for stage in stages]
        read.append({"stage": "03b_trigram", "applies": False, "reason": WIDE})
        baselines = pd.DataFrame({
            "baseline": ["uniform", "unigram"], "loss_nats": [8.3, 5.7], "low": [None, 5.6],
            "high": [None, 5.8], "top1_accuracy": [0.0002, 0.07], "n_tokens": [20_145] * 2,
        })  # fmt: skip
        shares = attribution(stages)
        on_prompts = pd.DataFrame([
            {"stage": stage, "prompt": prompt, "position": position, "token": hostile,
             "next_token": hostile, "component": component, "contribution_logits": 1.5}
            for stage in shares["stage"].unique() for prompt in (hostile, "A dog ran")
            for component in ("embed", "b_U") for position in (0, 1)
        ], columns=["stage", "prompt", "position", "token", "next_token", "component",
                    "contribution_logits"])  # fmt: skip
        left_out = pd.DataFrame({"prompt": [hostile], "reason": ["too | long"]})
        return Result(name="logit_lens", meta=meta, tables={
            "lens_corpus": corpus(stages), "lens_baselines": baselines,
            "lens_prompts": prompts(stages, hostile), "attribution": shares,
            "attribution_prompts": on_prompts, "attribution_applies": applies(stages),
            "prompts_left_out": left_out, "applies": pd.DataFrame(read),
        })  # fmt: skip

    return make


@pytest.fixture
def page(lens, tmp_path):
    """Builds the page of some stages and returns its folder."""

    def build(stages=tuple(LOSSES)):
        lens(stages).save(tmp_path / "logit_lens")
        build_pages(tmp_path)
        return tmp_path / "logit_lens"

    return build


def test_every_linked_figure_exists_and_no_other(page):
    folder = page()
    parsed = MarkdownIt("gfm-like", {"linkify": False}).parse((folder / "report.md").read_text())
    links = [child.attrGet("src") for token in parsed for child in token.children or ()
             if child.type == "image"]  # fmt: skip
    assert sorted(links) == sorted(path.name for path in folder.glob("*.svg"))
    # the first prompt on three stages, the second on the best; its shares on both
    assert len([link for link in links if link.startswith("lens_")]) == 4
    assert [link for link in links if link.startswith("attribution_")] == [
        "attribution_07_block_1.svg", "attribution_07_block_2.svg",
    ]  # fmt: skip


def test_text_of_others_stays_text(page, hostile):
    content = (page() / "report.md").read_text("utf-8")
    rendered = MarkdownIt("gfm-like", {"linkify": False}).render(content)
    for dangerous in ("<script", "<strong>bold", 'http://e.org"'):
        assert dangerous not in rendered
    assert "reads 2 | tokens" in rendered
    assert "parts replace | each other" in rendered


@pytest.mark.parametrize("stages", [["05_attn_position"], ["07_block"]])
def test_any_part_of_the_ladder_makes_a_page(page, stages):
    folder = page(tuple(stages))
    content = (folder / "report.md").read_text("utf-8")
    assert (folder / "loss_by_point.svg").exists() == (stages == ["07_block"])
    assert (folder / "loss_without_stream.svg").exists() == (stages == ["05_attn_position"])
    assert "## Which part gives what" in content
    assert (folder / "attribution.svg").exists() == (stages == ["07_block"])


def test_a_run_in_which_nothing_can_be_read_makes_a_page(lens, tmp_path):
    """Only n-grams: every table but the one with the reasons is empty."""
    result = lens()
    keep = ("lens_baselines", "applies")
    tables = {name: table if name in keep else table.iloc[:0]
              for name, table in result.tables.items()}  # fmt: skip
    tables["applies"] = tables["applies"].iloc[-1:]
    Result(name="logit_lens", tables=tables, meta=result.meta).save(tmp_path / "logit_lens")
    build_pages(tmp_path)
    content = (tmp_path / "logit_lens" / "report.md").read_text("utf-8")
    assert "None of the stages measured here can be read before its end." in content
    assert "03b" in content.split("Where there is nothing to read:")[1]
    assert list((tmp_path / "logit_lens").glob("*.svg")) == []


def test_the_page_holds_the_numbers_of_the_result(page):
    content = (page() / "report.md").read_text("utf-8")
    (line,) = [one for one in content.splitlines()
               if one.startswith("| 07 + Residual/LN | attention 0 |")]  # fmt: skip
    assert "| 4.50 | 4.40 to 4.60 | 20.0% (15.0% to 25.0%) | 10.0% (9.0% to 11.0%) |" in line
    assert "| 5.0 (4.5 to 5.5) | 0.50 (0.40 to 0.60) | −0.500 (−0.550 to −0.450) |" in line
    assert "| 05 + Position | token embedding \\* |" in content
    assert "| 3 (10.0%) | 2 (10.0%) | 1 (10.0%) |" in content
    assert (
        "| 07 + Residual/LN | L0H0 | +1.00 (+0.90 to +1.10) | −0.50 (−0.60 to −0.40) |" in content
    )


def test_headline_is_the_answer(lens):
    result = lens()
    tables = result.tables
    assert LOGIT_LENS.headline(result) == text.answer_sentence(
        tables["lens_corpus"], tables["lens_baselines"]
    )


def test_answer_names_the_best_stream_and_its_largest_step(lens):
    tables = lens().tables
    table, baselines = tables["lens_corpus"], tables["lens_baselines"]
    answer = text.answer_sentence(table, baselines)
    assert answer == (
        "In **07 + Residual/LN** the loss is 5.00 nats a token when only the embeddings are read, "
        "and 3.50 at the end. The frequencies of the tokens alone reach 5.70; of the way from "
        "there to the end the embeddings make 31.8%. The part that lowers it most is FFN 0: by "
        "1.00 nats [0.95, 1.05]."
    )
    table.loc[table["stage"] == "10_moe", "loss_nats"] -= 1
    assert text.answer_sentence(table, baselines).startswith("In **10 + MoE**")
    table["change_from_previous_nats"] = table["change_from_previous_nats"].abs()
    assert "No part after the embeddings lowers it." in text.answer_sentence(table, baselines)
    table["loss_nats"] += 4
    answer = text.answer_sentence(table, baselines)
    assert "The frequencies of the tokens alone reach 5.70. No part" in answer
    chains = table[table["stage"] == "05_attn_position"]
    assert "No stage measured here has a residual stream" in text.answer_sentence(chains, baselines)


def test_steps_that_hurt_or_cannot_be_told_are_named(lens):
    table = lens().tables["lens_corpus"]
    assert text.steps_sentence(table) == (
        "Of 4 steps along residual streams, 4 make the reading better (q < 0.05)."
    )
    at = (table["stage"] == "10_moe") & (table["order"] == 2)
    table.loc[at, ["change_from_previous_nats", "change_low", "change_high"]] = [0.3, 0.2, 0.4]
    table.loc[(table["stage"] == "07_block") & (table["order"] == 1), "q"] = 0.3
    assert text.steps_sentence(table) == (
        "Of 4 steps along residual streams, 2 make the reading better (q < 0.05); 1 worse: "
        "**10 + MoE** at FFN 0 (+0.300 [+0.200, +0.400] nats); 1 cannot be told from no change."
    )


def test_untrained_and_chains_turn_with_their_numbers(lens):
    tables = lens().tables
    table, baselines = tables["lens_corpus"], tables["lens_baselines"]
    assert "nowhere does its interval lie below the 8.30 of all" in text.untrained_sentence(
        table, baselines
    )
    table.loc[0, "untrained_loss_nats"] = 8.0
    assert "nowhere" in text.untrained_sentence(table, baselines)  # the interval decides
    table.loc[0, "untrained_high"] = 8.1
    assert "lies below the 8.30 of all tokens alike at 1 of 9 points" in text.untrained_sentence(
        table, baselines
    )
    assert "at every one of 2 such points" in text.chains_sentence(table, baselines)
    table.loc[0, "loss_nats"] = 5.0
    assert "at 1 of 2 such points" in text.chains_sentence(table, baselines)


def test_prompt_sentence_counts_the_places_with_the_true_token_on_top(lens, hostile):
    table = lens().tables["lens_prompts"]
    sentence = text.prompt_sentence(table, "07_block", "A dog ran")
    assert "on top at 0 of 2 places when only the first point is read, and at 2 at" in sentence
    alone = table[table["position"] == 2]
    assert "has no second token" in text.prompt_sentence(alone, "07_block", "A dog ran")


def test_attribution_sentence_names_the_largest_share_and_the_largest_beyond_chance(lens):
    tables = lens().tables
    shares, checked = tables["attribution"], tables["attribution_applies"]
    sentence = text.attribution_sentence(shares, checked, "07_block")
    assert "stands +6.50 above the mean" in sentence
    assert (
        "The embedding of the token that is read gives the largest share, +3.00 [+2.90, +3.10]"
        in sentence
    )
    assert "2 of 3 parts favour the token that really comes" in sentence
    assert "head 0 of layer 0 does so most, by +1.50" in sentence
    shares["q"] = 0.9
    assert "0 of 4 parts" in text.attribution_sentence(shares, checked, "07_block")
    refused = text.attribution_sentence(shares, checked, "05_attn_position")
    assert refused == "**05 + Position**: its logits are no sum over parts."


def test_refused_sentence_says_where_the_sum_holds(lens):
    checked = lens().tables["attribution_applies"]
    sentence = text.refused_sentence(checked)
    assert sentence.startswith("The parts add up in **07 + Residual/LN** and **10 + MoE** (largest")
    assert sentence.endswith("Refused: **05 + Position**.")
    assert "Refused" not in text.refused_sentence(checked[checked["attribution_applies"]])


@pytest.mark.parametrize(
    ("value", "written"), [(7.339, "+7.34"), (-0.996, "−1.00"), (-0.004, "0.00"), (None, "–")]
)
def test_shares_are_rounded_and_zero_has_no_sign(value, written):
    assert text.logits(value) == written
