"""Sentences about the routing of experts, each computed from a table and turning with it."""

from __future__ import annotations

import pandas as pd

from lt_interp.figures.moe_routing import (
    EMBEDDINGS,
    OVER_SHARE,
    POOLED,
    RANDOM,
    TOKEN_SHARE,
    UNTRAINED,
)
from lt_interp.report.markdown import code, listing
from lt_interp.report.numbers import count, nats, percent, small
from lt_interp.report.text import name

SHUFFLED = "shuffled in the corpus"
KAPPA = "the same, beyond chance (kappa)"
AGREEMENT = "decisions that the embeddings alone give too"
N_OVER = "tokens over 80%"
N_DISCOVERIES = "discoveries"
ALIGNED = "aligned across models"
SIGNIFICANT = 0.05


def nothing_sentence(applies: pd.DataFrame) -> str:
    """What there is to say where no stage has experts."""
    stages = listing([name(stage) for stage in applies["stage"].unique()])
    return f"No stage with experts was measured; without them nothing is routed: {stages}."


def origin_sentence(origin: pd.DataFrame, stage: str) -> str:
    """Whether training touched the router of a stage."""
    mine = origin[origin["stage"] == stage]
    n = _layers(len(mine))
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
    by_layer = [
        f"{percent(some['value'].mean())} against {percent(some['null_mean'].mean())} in layer "
        f"{layer}"
        for layer, some in mine.groupby("layer", sort=False)
    ]
    verdict = (
        f"{percent(drawn / own)} of the specialisation remains"
        if drawn <= own
        else "all of the specialisation remains"
    )
    return (
        f"{name(stage)}: a token's id tells {percent(own)} of what there is to know of its expert, "
        "the mean over layers and runs. Under a random hyperplane at the same place, which no "
        f"gradient ever touched, it tells {percent(drawn)}: **{verdict}** ({listing(by_layer)}). "
        f"{_place(mine)}"
    )


def _place(mine: pd.DataFrame) -> str:
    """Where routers lie among random ones."""
    above = mine["value"] > mine["null_high"]
    below = mine["value"] < mine["null_low"]
    n = len(mine)
    if not (above | below).any():
        return (
            f"In none of {_layers(n)} does the stage's router lie outside the middle 95% of "
            "random ones: it is one of them."
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
    over = _cases(nulls, stage, OVER_SHARE, UNTRAINED)["null_mean"].mean()
    return (
        f"{name(stage)}: random routers on the stage before any training give {percent(drawn)}, "
        f"{percent(drawn / own)} of the trained stage's figure, and send {percent(over)} of all "
        "decisions by tokens that exceed 80%."
    )


def embeddings_sentence(nulls: pd.DataFrame, stage: str) -> str:
    """Is there more specialisation than the embeddings alone would give?"""
    mine = _cases(nulls, stage, TOKEN_SHARE, EMBEDDINGS)
    more = int((mine["value"] > mine["null_mean"]).sum())
    n = len(mine)
    if more == 0:
        verdict = "No"
    elif more == n:
        verdict = "Yes"
    else:
        verdict = f"In {more} of {_layers(n)}"
    agree = _cases(nulls, stage, AGREEMENT, RANDOM)["value"]
    kappa = _cases(nulls, stage, KAPPA, RANDOM)["value"]
    return (
        f"{name(stage)}: {verdict}. Reading the embeddings of token and position alone, with no "
        f"context, the same router would let a token tell {percent(mine['null_mean'].mean())} of "
        f"its expert; reading what it really reads, {percent(mine['value'].mean())}. "
        f"{percent(agree.mean())} of its decisions are those of the embeddings alone (kappa "
        f"{kappa.mean():.2f}; {kappa.min():.2f} to {kappa.max():.2f} by layer and run)."
    )


def gated_sentence(nulls: pd.DataFrame, margin: pd.DataFrame) -> str:
    """Does the router that learns differ from the one that does not?"""
    both = ("10_moe", "10_moe_gated")
    if not set(both) <= set(nulls["stage"]):
        return "Only one of the two stages was measured, so the gated router is compared to none."
    cases = {stage: _cases(nulls, stage, TOKEN_SHARE, RANDOM) for stage in both}
    outside = {
        stage: int(((c["value"] > c["null_high"]) | (c["value"] < c["null_low"])).sum())
        for stage, c in cases.items()
    }
    shares = {stage: outside[stage] / len(cases[stage]) for stage in both}
    differs = shares[both[1]] > shares[both[0]]
    margins = margin[margin["quantity"] == "margin_logits"].groupby("stage")["value"]
    return (
        f"{'Yes' if differs else 'Not by this measure'}: in {outside[both[1]]} of "
        f"{len(cases[both[1]])} cases the gated router lies outside the middle 95% of random "
        f"hyperplanes, the ungated one in {outside[both[0]]} of {len(cases[both[0]])}. The gated "
        f"router's margin is {small(margins.mean()[both[1]])} logits on average "
        f"({small(margins.min()[both[1]])} to {small(margins.max()[both[1]])} by layer and run), "
        f"the ungated one's {small(margins.mean()[both[0]])}."
    )


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
        f"held to 5%. Random routers in their place make {count(round(random))} exceed 80%.{trap}"
    )


def labels_sentence(labelings: pd.DataFrame) -> str:
    """What the numbers of the experts, which mean nothing, do to the pooled count."""
    if labelings.empty:
        return ""
    spread = labelings.groupby("checkpoint", sort=False)["n_over_80"].agg(["min", "max"])
    widest = (spread["max"] - spread["min"]).idxmax()
    low, high = spread.loc[widest]
    if high == low:
        return "The pooled count of tokens over 80% is the same however the experts are numbered."
    return (
        "The article pools two layers, whose experts have nothing in common but their number. "
        f"Exchange the two numbers in one layer, and the count of tokens over 80% changes, most in "
        f"{code(str(widest))}: from {count(high)} to {count(low)}."
    )


def article_sentence(agreement: pd.DataFrame) -> str:
    """Do the article's words go to one expert here too?"""
    mine = agreement[agreement["numbering"] == ALIGNED]
    if mine.empty:
        return "No word of the article is a token here."
    over, words = int(mine["n_over_80"].sum()), int(mine["n_words"].sum())
    gain = mine["mean_share"] - mine["mean_load"]
    if (gain <= 0).all():
        verdict = "less than its load in every run: the article's list is not found again"
    elif (gain > 0).all():
        verdict = "more than its load in every run"
    else:
        verdict = f"more than its load in {int((gain > 0).sum())} of {len(mine)} runs"
    return (
        f"Of the article's words, all over 80% there, {over} of {words} (over all runs) go over "
        f"80% to the same expert here. Their mean share is {_range(mine['mean_share'])} where that "
        f"expert's load is {_range(mine['mean_load'])}, {verdict}."
    )


def seeds_sentence(agreement: pd.DataFrame, stage: str) -> str:
    """Do two runs of a stage divide the tokens alike?"""
    mine = agreement[(agreement["stage"] == stage) & (agreement["other_stage"] == stage)]
    if mine.empty:
        return f"{name(stage)}: there is one run only, so nothing can be said of seeds."
    found = mine["q"] <= SIGNIFICANT
    if not found.any():
        verdict = "another seed is another division of labour"
    elif found.all():
        verdict = "runs share a part of their division of labour"
    else:
        verdict = "some layers share a part of their division of labour, others none"
    return (
        f"{name(stage)}: once experts are matched, the shares of tokens in two runs correlate by "
        f"{mine['correlation'].mean():.2f} on average ({mine['correlation'].min():.2f} to "
        f"{mine['correlation'].max():.2f}), where matching alone gives "
        f"{mine['null_mean'].mean():.2f}; {int(found.sum())} of {len(mine)} pairs exceed that with "
        f"false discoveries held to 5%: {verdict}."
    )


def feelings_sentence(feelings: pd.DataFrame, stage: str) -> str:
    """Do feeling words go to one expert more than others of the same frequency?"""
    mine = feelings[(feelings["stage"] == stage) & (feelings["matched_by"] == "frequency")]
    if mine.empty:
        return f"{name(stage)}: too few feeling words occur often enough to ask."
    found = int((mine["q"] <= SIGNIFICANT).sum())
    apart = mine["random_routers_apart"].mean()
    if apart > 1.5 * SIGNIFICANT:
        random = (
            f"A random router does so easily: {percent(apart)} of them keep feeling words apart as "
            "significantly, where 5% would if words of one meaning did not lie close together."
        )
    else:
        random = (
            f"Of random routers {percent(apart)} keep feeling words apart as significantly, about "
            "the 5% that chance gives."
        )
    verdict = {0: "No", len(mine): "Yes"}.get(found, "In part")
    return (
        f"{name(stage)}: {verdict}. In {found} of {_layers(len(mine))} feeling words differ from "
        "other words of their frequency with false discoveries held to 5%; their share differs by "
        f"{percent(mine['difference'].abs().mean())} on average, in either direction. {random}"
    )


def causal_sentence(causal: pd.DataFrame, stage: str) -> str:
    """What it costs to send every token to the other expert."""
    mine = causal[(causal["stage"] == stage) & (causal["token_class"] == "all")]
    other = mine[mine["intervention"] == "sent to the other expert"]
    if other.empty:
        return f"{name(stage)}: nothing was sent elsewhere."
    last = other[other["layer"] == other["layer"].iloc[-1]]
    costly = int((last["low"] > 0).sum())
    by_layer = [
        f"{nats(some['loss_change_nats'].mean())} in layer {layer}"
        for layer, some in other.groupby("layer", sort=False)
        if layer != "all"
    ]
    return (
        f"{name(stage)}: with every token sent to the other expert the loss changes by "
        f"{nats(last['loss_change_nats'].mean())} nats (mean over runs); the interval lies above "
        f"zero in {costly} of {len(last)} {'run' if len(last) == 1 else 'runs'}. By layer: "
        f"{listing(by_layer)}."
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
    remains = percent(mine["null_mean"].mean() / mine["value"].mean())
    return (
        f"In {name(stage)}, {subject}, {remains} of "
        "the specialisation of experts remains under a random hyperplane."
    )


def _cases(nulls: pd.DataFrame, stage: str, statistic: str, null: str) -> pd.DataFrame:
    """The layers of all runs of a stage, apart."""
    return nulls[
        (nulls["stage"] == stage)
        & (nulls["layer"] != POOLED)
        & (nulls["statistic"] == statistic)
        & (nulls["null"] == null)
    ]


def _layers(n: int) -> str:
    return "1 case" if n == 1 else f"{n} cases (a layer of a run each)"


def _range(values: pd.Series) -> str:
    low, high = percent(values.min()), percent(values.max())
    return low if low == high else f"{low} to {high}"
