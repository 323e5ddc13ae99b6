"""Sentences about the article's claims and about what each part buys, computed from the tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from lt_interp.article import article
from lt_interp.figures.labels import stage_label
from lt_interp.methods.significance import FDR
from lt_interp.report.markdown import code, listing, plain
from lt_interp.report.numbers import count, millions, nats, percent, perplexity, published
from lt_interp.report.text import name

VERDICTS = ("holds", "holds in part", "does not hold", "not testable here")
ALL, TOKEN_CLASS = "all tokens", "token class"
N_GRAMS = ("03_bigram", "03b_trigram", "03b_fourgram")
GIRL, BOY = " the little girl named", " the little boy named"


def tally_sentence(claims: pd.DataFrame) -> str:
    """How many sentences hold, and how many do not."""
    counts = claims["verdict"].value_counts()
    hold, part, fail, open_ = (int(counts.get(verdict, 0)) for verdict in VERDICTS)
    tested = hold + part + fail
    parts = f"{hold} hold, {part} hold in part and {fail} do not hold"
    rest = f"; {open_} could not be tested here" if open_ else ""
    return f"Of {tested} measurements of what the article says, {parts}{rest}."


def training_sentence(meta: dict[str, Any]) -> str:
    """How much the stages here have read beside the article's."""
    seen = [model["tokens_seen"] for model in meta["models"].values() if model["tokens_seen"]]
    theirs = article()["corpus"]["train_tokens"]
    if not seen:
        return "How long the stages here were trained is not on record."
    which = "here" if len(seen) == len(meta["models"]) else "here whose training is on record"
    least, most = millions(min(seen)), millions(max(seen))
    ours = f"The stages {which} saw {most if least == most else f'{least} to {most}'} tokens"
    if max(seen) < theirs:
        return (
            f"{ours}, the article's {millions(theirs)} in each epoch: a sentence about what a "
            "stage has learned that does not hold here may still have held there; one about the "
            "construction or the article's own figures does not depend on it."
        )
    return f"{ours}, no fewer than the article's {millions(theirs)} in each epoch."


def verdict_sentences(claims: pd.DataFrame) -> list[str]:
    """Which claims got each verdict."""
    sentences = []
    for verdict in VERDICTS:
        names = [plain(claim) for claim in claims.loc[claims["verdict"] == verdict, "claim"]]
        if names:
            sentences.append(f"**{verdict.capitalize()}** ({len(names)}): {'; '.join(names)}.")
    return sentences


def gain_sentences(gains: pd.DataFrame) -> list[str]:
    """One sentence a stage: on which words it is better than the one before, on which worse."""
    return [
        _gain_sentence(rows)
        for _, rows in gains[gains["by"].isin([ALL, TOKEN_CLASS])].groupby("stage", sort=False)
    ]


def _gain_sentence(rows: pd.DataFrame) -> str:
    stage, previous = rows["stage"].iloc[0], rows["previous"].iloc[0]
    words = rows[rows["by"] == TOKEN_CLASS]
    better, worse = (words[(words["q"] < FDR) & side] for side in (
        words["difference_nats"] < 0, words["difference_nats"] > 0,
    ))  # fmt: skip
    overall = rows[rows["by"] == ALL]
    all_ = f" ({nats(overall['difference_nats'].iloc[0])} nats over all)" if len(overall) else ""
    return (
        f"{name(stage)} after {plain(stage_label(previous))}{all_}: better on "
        f"{_classes(better, len(words), least=True)}; worse on "
        f"{_classes(worse, len(words), least=False)}."
    )


def _classes(rows: pd.DataFrame, of: int, *, least: bool) -> str:
    """How many classes, and the one with the largest difference."""
    if rows.empty:
        return "none"
    place = rows["difference_nats"].idxmin() if least else rows["difference_nats"].idxmax()
    most = rows.loc[place]
    span = f"[{nats(most['low'])}, {nats(most['high'])}]"
    which = f"most on {plain(most['class'])}s" if len(rows) > 1 else f"on {plain(most['class'])}s"
    which = which.replace("others", "other tokens").replace("punctuations", "punctuation")
    return f"{len(rows)} of {of} classes, {which} ({nats(most['difference_nats'])} {span})"


def certain_sentence(gains: pd.DataFrame) -> str:
    """How many comparisons there are and how many survive the correction."""
    tested = gains.dropna(subset=["q"])
    if tested.empty:
        return "There are too few stories to test a difference."
    certain = tested[tested["q"] < FDR]
    better = int((certain["difference_nats"] < 0).sum())
    return (
        f"Of {len(tested)} comparisons {len(certain)} differ at a false discovery rate of 5%: "
        f"{better} are better with the part, {len(certain) - better} are worse."
    )


def seeds_sentence(seeds: pd.DataFrame) -> str:
    """How far runs of one stage lie apart, as a yardstick for differences between stages."""
    if seeds.empty:
        return (
            "There is one run of each stage here, so a difference between two stages is also one "
            "between two runs."
        )
    each = [
        f"{name(row['stage'])} by {row['spread_nats']:.3f} nats ({count(row['n_seeds'])} seeds)"
        for row in seeds.to_dict("records")
    ]
    return (
        f"Runs that differ in their seed alone lie apart in {listing(each)}. Less than that "
        "between two stages may be no more than a difference between two runs."
    )


def response_sentence(response: pd.DataFrame) -> str:
    """Which stages predict a later stretch better after the story's own beginning."""
    if response.empty:
        return "No story was long enough to exchange its beginning."
    uses = [name(stage) for stage in response.loc[response["low"] > 0, "stage"]]
    most = response.loc[response["benefit_nats"].idxmax()]
    if not uses:
        return "No stage gains from the true beginning of a story."
    return (
        f"The true beginning helps {len(uses)} of {len(response)} stages ({listing(uses)}), most "
        f"of all {name(most['stage'])}, by {nats(most['benefit_nats'])} nats "
        f"[{nats(most['low'])}, {nats(most['high'])}]."
    )


def ngram_sentence(predictions: pd.DataFrame) -> str:
    """From which n-gram on the girl is Lily and the boy is Tim."""
    known = predictions.dropna(subset=["probability"])
    chance = known.set_index(["stage", "prompt", "token"])["probability"]
    stages = [
        stage
        for stage in known["stage"].unique()
        if all((stage, p, t) in chance.index for p in (GIRL, BOY) for t in (" Lily", " Tim"))
    ]
    if not stages:
        return "No n-gram here has the prompts and both names as its tokens."
    tell = [
        stage
        for stage in stages
        if chance[stage, GIRL, " Lily"] > chance[stage, GIRL, " Tim"]
        and chance[stage, BOY, " Tim"] > chance[stage, BOY, " Lily"]
    ]
    if not tell:
        return f"None of {len(stages)} n-grams tells the girl's name from the boy's."
    each = [
        f"{name(stage)} (Lily {percent(chance[stage, GIRL, ' Lily'])} for the girl, Tim "
        f"{percent(chance[stage, BOY, ' Tim'])} for the boy)"
        for stage in tell
    ]
    rest = [name(stage) for stage in stages if stage not in tell]
    other = f"; not so {listing(rest)}" if rest else ""
    return (
        "Lily is likelier than Tim after the girl, and Tim than Lily after the boy, for "
        f"{listing(each)}{other}."
    )


def evolution_sentence(evolution: pd.DataFrame) -> str:
    """Whose perplexity is below the article's, by the article's own rule."""
    known = evolution.dropna(subset=["perplexity", "article_perplexity"])
    if known.empty:
        reasons = evolution["reason"].dropna().unique()
        return plain(f"Our side of this table is {reasons[0]}." if len(reasons) else "No figures.")
    below = known[known["perplexity"] < known["article_perplexity"]]
    last = known.iloc[-1]
    return (
        f"{len(below)} of {len(known)} stages have a lower perplexity here than in the article; "
        f"the last of them in the article's table, {name(last['stage'])}, has "
        f"{perplexity(last['perplexity'])} here and {published(last['article_perplexity'])} there."
    )


def window_sentence(evolution: pd.DataFrame) -> str:
    """Perplexity as the window grows from one token to three, in the article and here."""
    known = evolution.set_index("stage")
    stages = [stage for stage in N_GRAMS if stage in known.index]
    if not stages:
        return "No n-gram was measured."
    theirs = " → ".join(published(known.loc[stage, "article_perplexity"]) for stage in stages)
    ours = " → ".join(perplexity(known.loc[stage, "perplexity"]) for stage in stages)
    labels = " → ".join(plain(stage_label(stage)) for stage in stages)
    return f"Perplexity from {labels}: the article {theirs}, here {ours}."


def experts_sentence(experts: pd.DataFrame, stages: Sequence[str]) -> str:
    """How many of the article's words go to one expert here, stage by stage."""
    parts = []
    for stage in stages:
        known = experts[experts["stage"] == stage].dropna(subset=["share"])
        if known.empty:
            continue
        over = int((known["share"] > 0.8).sum())
        more = int((known["low"] > known["load"]).sum())
        parts.append(
            f"in {name(stage)} (run {code(known['checkpoint'].iloc[0])}) "
            f"{over} of {len(known)} words go to that expert more than 80% of the time and "
            f"{more} more often than all decisions do ({percent(known['load'].iloc[0])})"
        )
    if not parts:
        reasons = experts["reason"].dropna().unique()
        return plain(f"Our side of this table is {reasons[0]}." if len(reasons) else "No figures.")
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}. In the article all 16 do more than 80% of the time."
