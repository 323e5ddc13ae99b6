"""Sentences about position blindness, each computed from the table `differences`."""

from __future__ import annotations

import pandas as pd

from lt_interp.report.markdown import listing, plain
from lt_interp.report.numbers import small
from lt_interp.report.text import name


def answer_sentence(differences: pd.DataFrame) -> str:
    """Which trained stages are blind in every form of the pair, and in some of them only."""
    trained = differences[differences["weights"] == "trained"]
    blind = trained.groupby("stage", sort=False)["identical"].agg(["all", "any"])
    always = [name(stage) for stage in blind.index[blind["all"]]]
    sometimes = [name(stage) for stage in blind.index[blind["any"] & ~blind["all"]]]
    never = [name(stage) for stage in blind.index[~blind["any"]]]
    parts = []
    if always:
        parts.append(f"Blind to the order of the words: {listing(always)}.")
    if sometimes:
        parts.append(f"Blind in one form of the pair only: {listing(sometimes)}.")
    if never:
        parts.append(f"Tells the orders apart in every form: {listing(never)}.")
    return " ".join(parts)


def blind_sentence(trained: pd.DataFrame) -> str:
    """Which stages give identical predictions for one form of the pair."""
    blind = [name(stage) for stage in trained.loc[trained["identical"], "stage"]]
    if not blind:
        return f"Identical predictions for both sentences: no stage of {len(trained)}."
    of = f"{len(blind)} of {len(trained)} stages"
    return f"Identical predictions for both sentences: {listing(blind)} ({of})."


def scale_sentence(trained: pd.DataFrame) -> str:
    """How large the differences are beside those between unrelated contexts."""
    seeing = trained[~trained["identical"]]
    if seeing.empty:
        return "No stage tells them apart, so there is no difference to weigh."
    share = seeing["max_abs_logit_difference"] / seeing["reference_difference"]
    least, most = seeing.loc[share.idxmin()], seeing.loc[share.idxmax()]
    if share.nunique() == 1:
        return f"The difference is {small(share.iloc[0])} times that between unrelated contexts."
    return (
        f"Beside unrelated contexts, the difference is smallest for {name(least['stage'])} "
        f"({small(share.min())} times theirs) and largest for {name(most['stage'])} "
        f"({small(share.max())} times)."
    )


def expected_sentence(differences: pd.DataFrame) -> str:
    """Whether the trained stages are blind exactly where their architecture leaves no choice."""
    trained = differences[differences["weights"] == "trained"]
    surprising = trained[trained["identical"] != trained["expected_identical"]]
    if surprising.empty:
        return (
            "A trained stage is blind exactly where its architecture forces it to be "
            f"({len(trained)} of {len(trained)} comparisons)."
        )
    each = [
        f"{name(row.stage)} ({plain(row.variant)}: {'identical' if row.identical else 'different'} "
        f"where {'identical' if row.expected_identical else 'different'} was expected)"
        for row in surprising.itertuples()
    ]
    return (
        f"In {len(surprising)} of {len(trained)} comparisons the architecture led to expect "
        f"otherwise: {listing(each)}."
    )


def untrained_sentence(differences: pd.DataFrame) -> str:
    """Whether training changes who is blind."""
    verdicts = differences.pivot(index=["stage", "variant"], columns="weights", values="identical")
    if not {"trained", "untrained"} <= set(verdicts.columns):
        return "No untrained stage was asked, so whether training matters is open."
    verdicts = verdicts.dropna()
    changed = [
        f"{name(stage)} ({plain(variant)})"
        for (stage, variant), row in verdicts.iterrows()
        if bool(row["trained"]) != bool(row["untrained"])
    ]
    if not changed:
        return (
            f"With random weights the verdict is the same ({len(verdicts)} of {len(verdicts)} "
            "comparisons): blindness here belongs to the architecture, not to what was learned."
        )
    return f"Random weights give another verdict than trained ones for {listing(changed)}."
