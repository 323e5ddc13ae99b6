"""Sentences about the routing of experts, each computed from a table and turning with it."""

from __future__ import annotations

import pandas as pd

from lt_interp.methods.routing_names import (
    AGREEMENT,
    KAPPA,
    N_OVER,
    OVER_SHARE,
    POOLED,
    RANDOM,
    SHUFFLED,
    TOKEN_SHARE,
    UNTRAINED,
    WITHOUT_CONTEXT,
)
from lt_interp.methods.significance import FDR
from lt_interp.report.markdown import listing
from lt_interp.report.numbers import count, percent, small
from lt_interp.report.text import name

GATED = "10_moe_gated"


def nothing_sentence(applies: pd.DataFrame) -> str:
    """What there is to say where no stage has experts."""
    stages = listing([name(stage) for stage in applies["stage"].unique()])
    return f"No stage with experts was measured; without them nothing is routed: {stages}."


def origin_sentence(origin: pd.DataFrame, stage: str) -> str:
    """Whether training touched the router of a stage."""
    mine = origin[origin["stage"] == stage]
    n = cases(len(mine))
    reached = int(mine["gradient_reaches"].sum())
    if reached:
        first = f"a gradient reaches the router in {reached} of {n}"
    else:
        first = f"no gradient reaches the router in any of {n}"
    compared = mine[mine["compared"]]
    if compared.empty:
        return f"{name(stage)}: {first}; what its router began as is not on record."
    same = int((compared["as_initialised"] == True).sum())  # noqa: E712  # may hold missing values
    if same == len(compared):
        second = "and every stored router is, bit for bit, the random one that its run began with"
    elif same == 0:
        second = (
            "and no stored router is the one that its run began with (cosine between the two "
            f"{small(compared['cosine'].min())} to {small(compared['cosine'].max())})"
        )
    else:
        second = f"and {same} of {len(compared)} stored routers are as their runs began"
    return f"{name(stage)}: {first}, {second}."


def remains_sentence(nulls: pd.DataFrame, stage: str) -> str:
    """How much of a token's hold on its expert a random hyperplane has too."""
    mine = _cases(nulls, stage, TOKEN_SHARE, RANDOM)
    own, drawn = mine["value"].mean(), mine["null_mean"].mean()
    return (
        f"{name(stage)}: a token's id tells {percent(own)} of what there is to know of its expert, "
        "the mean over layers and runs, the bias of counting left in on both sides. Under a random "
        "hyperplane at the same place, which no "
        f"gradient ever touched, it tells {percent(drawn)}: **{_remaining(mine)}** "
        f"({_by_layer(mine)}). {_place(mine)}"
    )


def _remaining(mine: pd.DataFrame) -> str:
    """What remains under random routers: one figure only where the layers agree on the side.

    Routers among the random ones have no side: what remains is not to be told from all of it.
    """
    layers = mine.groupby("layer", sort=False)[["value", "null_mean"]].mean()
    more = layers["value"] > layers["null_mean"]
    outside = (mine["value"] > mine["null_high"]) | (mine["value"] < mine["null_low"])
    if mine["value"].mean() <= 0:
        return "there is no specialisation that could remain"
    if not outside.any():
        return (
            f"{_remaining_share(mine)} of the specialisation remains, not to be told from all of it"
        )
    if more.any() and not more.all():
        return (
            f"the layers disagree: less than all remains in {_layers(more[more].index)}, all of it "
            f"and more in {_layers(more[~more].index)}"
        )
    if not more.any():
        return "all of the specialisation remains"
    return f"{_remaining_share(mine)} of the specialisation remains"


def _remaining_share(mine: pd.DataFrame) -> str:
    """What random routers do of what these do, and where the mean of as many of them lies.

    The interval adds the spreads of independent routers, each taken from its middle 95%.
    """
    own, drawn = mine["value"].mean(), mine["null_mean"].mean()
    half = ((mine["null_high"] - mine["null_low"]) ** 2).sum() ** 0.5 / (2 * len(mine))
    span = f"[{percent((drawn - half) / own)}, {percent((drawn + half) / own)}]"
    return f"{percent(drawn / own)} {span}"


def _layers(names: pd.Index) -> str:
    return listing([f"layer {layer}" for layer in names])


def _by_layer(mine: pd.DataFrame) -> str:
    """Own routers against random ones."""
    return listing([
        f"{percent(some['value'].mean())} against {percent(some['null_mean'].mean())} in layer "
        f"{layer}"
        for layer, some in mine.groupby("layer", sort=False)
    ])  # fmt: skip


def _place(mine: pd.DataFrame) -> str:
    """Where routers lie among random ones."""
    above = mine["value"] > mine["null_high"]
    below = mine["value"] < mine["null_low"]
    n = len(mine)
    if not (above | below).any():
        return (
            f"In none of {cases(n)} does the stage's router lie outside the middle 95% of "
            "random ones: it cannot be told from them."
        )
    parts = [
        f"{int(one.sum())} of {n} cases lie {side} the middle 95% of random routers "
        f"({_where(mine, one)})"
        for one, side in ((above, "above"), (below, "below"))
        if one.any()
    ]
    return f"{' and '.join(parts)}."


def _where(mine: pd.DataFrame, marked: pd.Series) -> str:
    """In which layers the marked cases are."""
    layers = marked.groupby(mine["layer"], sort=False)
    return ", ".join(f"layer {layer}: {int(one.sum())} of {len(one)}" for layer, one in layers)


def untrained_sentence(nulls: pd.DataFrame, stage: str) -> str:
    """What random routers make of the untrained stage."""
    mine = _cases(nulls, stage, TOKEN_SHARE, UNTRAINED)
    own, drawn = mine["value"].mean(), mine["null_mean"].mean()
    over = _cases(nulls, stage, OVER_SHARE, UNTRAINED)
    beside = f"{percent(drawn / own)} of the trained stage's figure" if own > 0 else "it 0%"
    return (
        f"{name(stage)}: random routers on the stage before any training give {percent(drawn)}, "
        f"{beside}; tokens that exceed 80% then make {percent(over['null_mean'].mean())} of all "
        f"decisions, in the trained stage {percent(over['value'].mean())}."
    )


def embeddings_sentence(nulls: pd.DataFrame, stage: str) -> str:
    """Is there more specialisation than the embeddings alone would give?"""
    mine = _cases(nulls, stage, TOKEN_SHARE, WITHOUT_CONTEXT)
    more, less = int((mine["difference_low"] > 0).sum()), int((mine["difference_high"] < 0).sum())
    n = len(mine)
    if more == n:
        verdict = "Yes"
    elif more:
        verdict = f"In {more} of {cases(n)}"
    else:
        verdict = "No" if less == n else "Not shown"
    agree = _cases(nulls, stage, AGREEMENT, RANDOM)["value"]
    kappa = _cases(nulls, stage, KAPPA, RANDOM)["value"]
    return (
        f"{name(stage)}: {verdict}. Reading the embeddings of token and position alone, with no "
        f"context, the same router would let a token tell {percent(mine['null_mean'].mean())} of "
        f"its expert; reading what it really reads, {percent(mine['value'].mean())}. The interval "
        f"of the difference by stories lies above zero in {more} of {n} and below in {less}. "
        f"{percent(agree.mean())} of its decisions are those of the embeddings alone (kappa "
        f"{kappa.mean():.2f}; {kappa.min():.2f} to {kappa.max():.2f} by layer and run)."
    )


def gated_sentence(nulls: pd.DataFrame, margin: pd.DataFrame) -> str:
    """Does the router that learns differ from the one that does not?"""
    both = ("10_moe", "10_moe_gated")
    if not set(both) <= set(nulls["stage"]):
        return "Only one of the two stages was measured, so the gated router is compared to none."
    ungated, gated = (_cases(nulls, stage, TOKEN_SHARE, RANDOM) for stage in both)
    found = int((gated["q"] <= FDR).sum())
    verdict = {0: "Not shown", len(gated): "Yes"}.get(found, "In part")
    margins = margin[margin["quantity"] == "margin_logits"].groupby("stage")["value"]
    return (
        f"{verdict}: with false discoveries held to 5% over layers and runs of both stages, what a "
        f"token tells of the gated router's expert lies {_sides(gated)}; of the ungated one's, "
        f"{_sides(ungated)}. The gated router's margin is {small(margins.mean()[both[1]])} logits "
        f"on average ({small(margins.min()[both[1]])} to "
        f"{small(margins.max()[both[1]])} by layer and run), "
        f"the ungated one's {small(margins.mean()[both[0]])}."
    )


def _sides(mine: pd.DataFrame) -> str:
    """Above or below random routers in which layers, with false discoveries held down."""
    parts = []
    for layer, some in mine.groupby("layer", sort=False):
        found = some["q"] <= FDR
        above = some["value"] > some["null_mean"]
        for side, one in (("above", found & above), ("below", found & ~above)):
            if one.any():
                runs = "run" if len(one) == 1 else "runs"
                parts.append(f"{side} random routers' in layer {layer} in {int(one.sum())} of "
                             f"{len(one)} {runs}")  # fmt: skip
    return listing(parts) if parts else "apart from random routers' in no layer of any run"


def rule_sentence(counts: pd.DataFrame, nulls: pd.DataFrame, stage: str) -> str:
    """The article's rule and the test, and what random routers make of the rule."""
    mine = counts[(counts["stage"] == stage) & (counts["layer"] != POOLED)]
    if mine.empty:
        return f"{name(stage)}: no token has 100 decisions in a layer."
    tested, over, found = (
        int(mine[column].sum()) for column in ("n_tokens_tested", "n_over_80", "n_discoveries")
    )
    random = _cases(nulls, stage, N_OVER, RANDOM)["null_mean"].sum()
    shuffled = _cases(nulls, stage, N_OVER, SHUFFLED)["null_mean"].sum()
    trap = (
        f" Shuffled at random over the corpus, {count(round(shuffled))} still do: where one expert "
        "has most of the load, the rule names what has no preference."
        if shuffled >= 1
        else ""
    )
    return (
        f"{name(stage)}: {count(over)} of {count(tested)} cases (a token in a layer of a run) "
        f"exceed 80%, and {count(found)} differ from their expert's load with false discoveries "
        f"held to 5%. Random routers in their place make {count(round(random))} exceed 80% on "
        f"average; one that sends over 80% of all decisions to one expert makes nearly every token "
        f"exceed it.{trap}"
    )


def headline(nulls: pd.DataFrame, origin: pd.DataFrame) -> str:
    """The one sentence of the index."""
    if nulls.empty:
        return "No stage with experts was measured."
    stage = str(nulls["stage"].iloc[0])
    mine = _cases(nulls, stage, TOKEN_SHARE, RANDOM)
    untouched = origin[origin["stage"] == stage]
    subject = (
        "whose router no gradient reaches"
        if not untouched["gradient_reaches"].any()
        else "whose router is trained"
    )
    return (
        f"In {name(stage)}, {subject}, a random hyperplane in its place shows how much is left: "
        f"{_remaining(mine)} ({_by_layer(mine)})."
    )


def _cases(nulls: pd.DataFrame, stage: str, statistic: str, null: str) -> pd.DataFrame:
    """The layers of all runs of a stage, apart."""
    return nulls[
        (nulls["stage"] == stage)
        & (nulls["layer"] != POOLED)
        & (nulls["statistic"] == statistic)
        & (nulls["null"] == null)
    ]


def cases(n: int) -> str:
    """How many layers of runs."""
    return "1 case" if n == 1 else f"{n} cases (a layer of a run each)"
