"""The page on attention: what each head looks at, and whether the article reads it rightly."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd

from lt_interp.figures import attention as heatmaps
from lt_interp.figures import attention_heads as grid
from lt_interp.figures import attention_self as diagonal
from lt_interp.figures.attention_heads import head_names
from lt_interp.figures.labels import stage_label
from lt_interp.methods.result import Result
from lt_interp.report import attention_claims_text as claims_text
from lt_interp.report import attention_text as text
from lt_interp.report.absent import absent_table
from lt_interp.report.attention_tables import (
    claims_table,
    repetition_table,
    scores_table,
    untrained_table,
)
from lt_interp.report.markdown import code, listing, plain
from lt_interp.report.page import Drawing, Page
from lt_interp.report.provenance import of_ladder

__all__ = ["ATTENTION"]


def _drawings(result: Result) -> dict[str, Drawing]:
    drawings: dict[str, Drawing] = {}
    if len(result.tables["head_scores"]):
        drawings["heads.svg"] = Drawing(partial(grid.head_grid, result), grid.size(result))
    if diagonal.stages_drawn(result):
        drawings["self_attention.svg"] = Drawing(
            partial(diagonal.self_by_position, result), diagonal.SIZE, diagonal.PANELS
        )
    for stage, prompt in _shown(result):
        drawings[_file(result, stage, prompt)] = Drawing(
            partial(heatmaps.prompt_heatmaps, result, stage=stage, prompt=prompt),
            heatmaps.size(result, stage, prompt),
            heatmaps.panels(result, stage, prompt),
        )
    return drawings


def _shown(result: Result) -> list[tuple[str, str]]:
    """The stages and prompts of the heatmaps, in the order of the tables."""
    pairs = result.tables["patterns"][["stage", "prompt"]].drop_duplicates()
    return list(pairs.itertuples(index=False, name=None))


def _file(result: Result, stage: str, prompt: str) -> str:
    """A name that does not depend on what letters a prompt is written in."""
    prompts = list(result.tables["prompts"]["prompt"].drop_duplicates())
    return f"prompt_{prompts.index(prompt) + 1}_{stage}.svg"


def _context(result: Result) -> dict[str, Any]:
    tables = result.tables
    scores, claims = tables["head_scores"], tables["claims"]
    heads = tables["heads"].assign(name=head_names(tables["heads"]))
    ladder = of_ladder(tables["applies"]["stage"])
    # what the article says of its own heatmaps is not said of another article's model
    claims = claims if ladder else claims.iloc[:0]
    names = list(claims["claim"].drop_duplicates())
    return {
        "of_ladder": ladder,
        "summary": text.summary_sentence(tables["heads"]),
        "heads": [text.head_sentence(head) for head in heads.itertuples()],
        "remarks": [
            sentence
            for sentence in (
                text.residual_sentence(scores),
                text.induction_sentence(tables["repetition"]),
                text.copies_sentence(tables["repetition"]),
                text.tested_sentence(scores),
                text.untrained_sentence(scores),
            )
            if sentence
        ],
        "verdicts": [claims_text.claim_sentence(claims, claim) for claim in names],
        "claim_remarks": [
            sentence
            for sentence in (
                claims_text.self_sentence(claims, names[0]),
                claims_text.broke_sentence(claims, names[1]),
            )
            if sentence
        ]
        if names
        else [],
        "claims": [{"claim": plain(name), "table": claims_table(claims, name)} for name in names],
        "rules": _rules(claims),
        "diagonal": bool(diagonal.stages_drawn(result)),
        "scores": scores_table(scores) if len(scores) else "",
        "repetition": repetition_table(tables["repetition"]) if len(scores) else "",
        "untrained": untrained_table(scores) if len(scores) else "",
        "prompts": _prompts(result),
        "applies": absent_table(tables["applies"]),
    }


def _rules(claims: pd.DataFrame) -> list[str]:
    """What decides a verdict: every rule with the quantities that it is for."""
    by_rule = claims.groupby("rule", sort=False)["quantity"].unique()
    return [
        f"{listing([plain(quantity) for quantity in quantities])}: {plain(str(rule))}."
        for rule, quantities in by_rule.items()
    ]


def _prompts(result: Result) -> list[dict[str, Any]]:
    """The part of the page on each prompt."""
    table, shown = result.tables["prompts"], _shown(result)
    return [
        {
            "prompt": code(prompt),
            "figures": [
                {"stage": plain(stage_label(stage)), "file": _file(result, stage, prompt)}
                for stage, text_ in shown
                if text_ == prompt
            ],
            "missing": [
                f"{plain(stage_label(row.stage))}: not drawn, {plain(row.reason)}."
                for row in table[(table["prompt"] == prompt) & ~table["shown"]].itertuples()
            ],
        }
        for prompt in table["prompt"].drop_duplicates()
    ]


def _headline(result: Result) -> str:
    return text.summary_sentence(result.tables["heads"])


ATTENTION = Page(
    title="Attention",
    template="attention.md.j2",
    context=_context,
    drawings=_drawings,
    headline=_headline,
)
