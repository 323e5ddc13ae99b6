"""The tables of the logit lens page, as markdown."""

from __future__ import annotations

import pandas as pd

from lt_interp.figures.attribution import component_label
from lt_interp.figures.labels import stage_label
from lt_interp.figures.logit_lens import point_label
from lt_interp.report.logit_lens_text import logits, loss
from lt_interp.report.markdown import code, plain, table
from lt_interp.report.numbers import count, ends, nats, percent, small, with_ends


def corpus_table(corpus: pd.DataFrame) -> str:
    """Every point of every stage."""
    rows = [
        [
            plain(stage_label(row.stage)),
            plain(point_label(row.point)) + (" \\*" if row.descriptive else ""),
            loss(row.loss_nats), ends(row.low, row.high, loss),
            with_ends(row.top1_accuracy, row.top1_low, row.top1_high, percent),
            with_ends(row.probability, row.probability_low, row.probability_high, percent),
            with_ends(row.geometric_mean_rank, row.rank_low, row.rank_high, _rank),
            with_ends(row.kl_to_final_nats, row.kl_low, row.kl_high, loss),
            with_ends(row.change_from_previous_nats, row.change_low, row.change_high, nats),
            small(row.q),
            with_ends(row.untrained_loss_nats, row.untrained_low, row.untrained_high, loss),
            count(row.n_tokens), count(row.n_stories),
        ]
        for row in corpus.itertuples()
    ]  # fmt: skip
    headers = ["stage", "read after", "loss (nats)", "95% interval", "first guess right",
               "its probability", "its rank (geometric mean)", "KL to the end (nats)",
               "change (nats)", "q", "untrained (nats)", "tokens", "stories"]  # fmt: skip
    return table(headers, rows, align="ll" + "r" * 11)


def prompt_table(prompts: pd.DataFrame, stage: str, prompt: str) -> str:
    """Rank and probability of each true next token of a prompt, a column a point."""
    rows = prompts[(prompts["stage"] == stage) & (prompts["prompt"] == prompt)]
    rows = rows.dropna(subset=["rank_of_next"]).sort_values(["position", "order"])
    if rows.empty:
        return ""
    cells = [
        [code(places["token"].iloc[0]), code(places["next_token"].iloc[0])]
        + [f"{cell.rank_of_next} ({percent(cell.probability_of_next)})"
           for cell in places.itertuples()]
        for _, places in rows.groupby("position")
    ]  # fmt: skip
    points = [plain(point_label(point)) for point in rows["point"].unique()]
    return table(["after", "comes", *points], cells, align="ll" + "r" * len(points))


def baselines_table(baselines: pd.DataFrame) -> str:
    """What is reached without reading anything."""
    names = {"uniform": "all tokens alike", "unigram": "the frequencies of the tokens alone"}
    rows = [
        [names[row.baseline], loss(row.loss_nats), ends(row.low, row.high, loss),
         percent(row.top1_accuracy), count(row.n_tokens)]
        for row in baselines.itertuples()
    ]  # fmt: skip
    headers = ["baseline", "loss (nats)", "95% interval", "first guess right", "tokens"]
    return table(headers, rows, align="lrrrr")


def attribution_table(attribution: pd.DataFrame) -> str:
    """Every part of every stage whose parts add up."""
    rows = [
        [
            plain(stage_label(row.stage)), plain(component_label(row.component)),
            with_ends(row.contribution_logits, row.low, row.high, logits),
            with_ends(
                row.shuffled_contribution_logits, row.shuffled_low, row.shuffled_high, logits
            ),
            small(row.q), count(row.n_tokens), count(row.n_stories),
        ]
        for row in attribution.itertuples()
    ]  # fmt: skip
    headers = ["stage", "part", "adds to the true next token (logits)",
               "to the same tokens, dealt out at random", "q", "tokens", "stories"]  # fmt: skip
    return table(headers, rows, align="llrrrrr")


def refused_table(applies: pd.DataFrame) -> str:
    """Stages whose logits are not split, and why."""
    refused = applies[~applies["attribution_applies"]]
    rows = [[plain(stage_label(row.stage)), plain(row.reason)] for row in refused.itertuples()]
    return table(["stage", "why not"], rows, align="ll") if rows else ""


def _rank(value: float) -> str:
    return f"{value:,.1f}"
