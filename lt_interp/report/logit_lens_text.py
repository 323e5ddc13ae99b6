"""Sentences about the logit lens, each computed from a table and turning with its numbers."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lt_interp.figures.logit_lens import chains, point_label, streams
from lt_interp.methods.significance import FDR
from lt_interp.report.markdown import code, listing, plain
from lt_interp.report.numbers import MINUS, MISSING, Number, count, nats, percent
from lt_interp.report.text import name


def loss(value: float) -> str:
    """A loss or a divergence in nats: `"3.87"`."""
    return f"{value:.2f}"


def logits(value: Number) -> str:
    """A share of a logit with its sign: `"+1.59"`; what rounds to zero has none."""
    if pd.isna(value):
        return MISSING
    text = f"{abs(value):.2f}"
    return text if float(text) == 0 else (MINUS if value < 0 else "+") + text


def best_stream(corpus: pd.DataFrame) -> str | None:
    """The stage with a residual stream that predicts best; `None` if there is none."""
    table = streams(corpus)
    if table.empty:
        return None
    last = table.sort_values("order", kind="stable").drop_duplicates("stage", keep="last")
    return str(last.loc[last["loss_nats"].idxmin(), "stage"])


def answer_sentence(corpus: pd.DataFrame, baselines: pd.DataFrame) -> str:
    """How the prediction grows along the stream of the best stage."""
    stage = best_stream(corpus)
    if stage is None:
        return (
            "No stage measured here has a residual stream, so the lens has no layers to compare: "
            "what it reads inside the others is descriptive."
        )
    rows = corpus[corpus["stage"] == stage].sort_values("order")
    first, last = rows.iloc[0], rows.iloc[-1]
    share = _share_known(first["loss_nats"], last["loss_nats"], baselines)
    return (
        f"In {name(stage)} the loss is {loss(first['loss_nats'])} nats a token when only the "
        f"embeddings are read, and {loss(last['loss_nats'])} at the end. {share} "
        f"{_largest_step(rows)}"
    )


def _share_known(first: float, last: float, baselines: pd.DataFrame) -> str:
    """How much of the way from token frequencies to the end the embeddings have made."""
    unigram = float(baselines.set_index("baseline").loc["unigram", "loss_nats"])
    if first >= unigram or last >= unigram:
        return f"The frequencies of the tokens alone reach {loss(unigram)}."
    way = (unigram - first) / (unigram - last)
    return (
        f"The frequencies of the tokens alone reach {loss(unigram)}; of the way from there to the "
        f"end the embeddings make {percent(way)}."
    )


def _largest_step(rows: pd.DataFrame) -> str:
    """Where the loss falls most."""
    steps = rows.dropna(subset=["change_from_previous_nats"])
    if steps.empty:
        return "It has no later point to compare."
    step = steps.loc[steps["change_from_previous_nats"].idxmin()]
    if step["change_from_previous_nats"] >= 0:
        return "No part after the embeddings lowers it."
    point = plain(point_label(step["point"]))
    least, most = -step["change_high"], -step["change_low"]
    return (
        f"The part that lowers it most is {point}: by {loss(-step['change_from_previous_nats'])} "
        f"nats [{loss(least)}, {loss(most)}]."
    )


def _change(step: Any) -> str:
    """A change and its interval."""
    span = f"[{nats(step['change_low'])}, {nats(step['change_high'])}]"
    return f"{nats(step['change_from_previous_nats'])} {span}"


def steps_sentence(corpus: pd.DataFrame) -> str:
    """How many steps along residual streams help, hurt, or cannot be told."""
    steps = streams(corpus).dropna(subset=["change_from_previous_nats"])
    if steps.empty:
        return "No two points of a residual stream were compared."
    certain = steps["q"] < FDR
    lower = steps[certain & (steps["change_from_previous_nats"] < 0)]
    higher = steps[certain & (steps["change_from_previous_nats"] > 0)]
    parts = [
        f"Of {len(steps)} steps along residual streams, {len(lower)} make the reading better "
        f"(q < {FDR})"
    ]
    if len(higher):
        parts.append(
            f"{len(higher)} worse: {listing([_step(row) for _, row in higher.iterrows()])}"
        )
    open_ = len(steps) - len(lower) - len(higher)
    if open_:
        parts.append(f"{open_} cannot be told from no change")
    return f"{'; '.join(parts)}."


def _step(row: Any) -> str:
    return f"{name(row['stage'])} at {point_label(row['point'])} ({_change(row)} nats)"


def untrained_sentence(corpus: pd.DataFrame, baselines: pd.DataFrame) -> str:
    """Whether the lens reads anything in stages that were never trained, by whole intervals."""
    uniform = float(baselines.set_index("baseline").loc["uniform", "loss_nats"])
    low, high = corpus["untrained_loss_nats"].min(), corpus["untrained_loss_nats"].max()
    better = corpus[corpus["untrained_high"] < uniform]
    alike = f"the {loss(uniform)} of all tokens alike"
    where = (
        f"nowhere does its interval lie below {alike}"
        if better.empty
        else f"its interval lies below {alike} at {len(better)} of {len(corpus)} points"
    )
    return f"In untrained stages the loss lies between {loss(low)} and {loss(high)} nats; {where}."


def chains_sentence(corpus: pd.DataFrame, baselines: pd.DataFrame) -> str:
    """Whether the reading makes sense in stages whose parts form a chain."""
    table = chains(corpus)
    before = table[table["descriptive"]]
    if before.empty:
        return "No stage without a residual stream was measured at a point before its last."
    unigram = float(baselines.set_index("baseline").loc["unigram", "loss_nats"])
    worse = before[before["loss_nats"] > unigram]
    which = "every one" if len(worse) == len(before) else f"{len(worse)}"
    return (
        f"Without a residual stream the reading before the last part is descriptive only: it is "
        f"worse than knowing nothing but the frequencies of the tokens ({loss(unigram)} nats) at "
        f"{which} of {len(before)} such points, and lies between {loss(before['loss_nats'].min())} "
        f"and {loss(before['loss_nats'].max())} nats."
    )


def prompt_sentence(prompts: pd.DataFrame, stage: str, prompt: str) -> str:
    """At how many tokens of a prompt the true next one is on top, first and last."""
    rows = prompts[(prompts["stage"] == stage) & (prompts["prompt"] == prompt)]
    rows = rows.dropna(subset=["rank_of_next"])
    if rows.empty:
        return f"{code(prompt)} has no second token, so nothing is known to come next."
    top = (rows["rank_of_next"] == 1).groupby(rows["order"]).sum()
    n = rows["position"].nunique()
    return (
        f"In {code(prompt)} the true next token is on top at {top.iloc[0]} of {n} places when only "
        f"the first point is read, and at {top.iloc[-1]} at the end."
    )


def attribution_sentence(attribution: pd.DataFrame, applies: pd.DataFrame, stage: str) -> str:
    """Which part adds most to the true next token's logit, and which beyond chance."""
    rows = attribution[attribution["stage"] == stage]
    if rows.empty:
        return f"{name(stage)}: its logits are no sum over parts."
    total = float(applies.set_index("stage").loc[stage, "logit_minus_mean"])
    top = rows.loc[rows["contribution_logits"].idxmax()]
    excess = rows["contribution_logits"] - rows["shuffled_contribution_logits"]
    most = rows.loc[excess.idxmax()]
    helping = rows[(rows["q"] < FDR) & (excess > 0)]
    return (
        f"In {name(stage)} the true next token's logit stands {logits(total)} above the mean of "
        f"the vocabulary. {_part(top)} gives the largest share, "
        f"{logits(top['contribution_logits'])} [{logits(top['low'])}, {logits(top['high'])}]. "
        f"Beside the same tokens dealt out at "
        f"random, which shows what is only frequency, {len(helping)} of "
        f"{count(rows['q'].notna().sum())} parts favour the token that really comes "
        f"(q < {FDR}); {_part(most, first=False)} does so most, by {logits(excess.max())}."
    )


def _part(row: Any, *, first: bool = True) -> str:
    """A part inside a sentence."""
    words = {
        "embed": "the embedding of the token that is read",
        "pos_embed": "the position's embedding",
        "ln_final.b": "the bias of the final LayerNorm",
        "b_U": "the bias of the unembedding",
    }
    found = words.get(row["component"])
    if found is None:
        layer = int(row["layer"])
        head = row["head"]
        found = (
            f"the feed-forward part of layer {layer}"
            if pd.isna(head)
            else f"head {int(head)} of layer {layer}"
        )
    return found[0].upper() + found[1:] if first else found


def refused_sentence(applies: pd.DataFrame) -> str:
    """Where attribution is refused, and where its sum was checked."""
    refused = applies[~applies["attribution_applies"]]
    passed = applies[applies["attribution_applies"]]
    parts = []
    if len(passed):
        worst = passed[["residual_error", "logit_error"]].to_numpy(float).max()
        parts.append(
            f"The parts add up in {listing([name(stage) for stage in passed['stage']])} (largest "
            f"error {worst:.1e} of what is added up; {passed['tolerance'].iloc[0]:g} is allowed)."
        )
    if len(refused):
        parts.append(f"Refused: {listing([name(stage) for stage in refused['stage']])}.")
    return " ".join(parts)


def left_out_sentence(left_out: pd.DataFrame) -> str:
    """Which of the article's prompts a stage could not read."""
    each = [
        f"{code(prompt)} ({plain(reason)})"
        for prompt, reason in left_out[["prompt", "reason"]]
        .drop_duplicates()
        .itertuples(index=False)
    ]
    return f"Left out: {listing(each)}." if each else ""
