"""Sentences about shuffled prefixes and swapped neighbours, each computed from a table."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from lt_interp.report.markdown import listing, plain
from lt_interp.report.numbers import count, extremes, nats, percent, small
from lt_interp.report.text import name

# as the analysis writes them
BLIND, WINDOW, SENSITIVE = "blind", "reads only a window", "order-sensitive"


def verdict_sentence(verdicts: pd.DataFrame) -> str:
    """Which trained stages are blind to order, which read a window, which read it all."""
    trained = verdicts[verdicts["weights"] == "trained"]
    parts = []
    for verdict, rows in trained.groupby("verdict", sort=False):
        stages = listing([name(stage) for stage in rows["stage"]])
        said = f"{verdict} tokens" if verdict.startswith(WINDOW) else str(verdict)
        parts.append(f"{plain(said[0].upper() + said[1:])}: {stages}.")
    return " ".join(parts)


def expected_verdict_sentence(verdicts: pd.DataFrame) -> str:
    """Whether the verdicts, trained and untrained, are those that the architecture forces."""
    other = verdicts[verdicts["verdict"] != verdicts["expected"]]
    n = len(verdicts)
    if other.empty:
        untrained = int((verdicts["weights"] == "untrained").sum())
        return (
            f"The architecture alone leads to expect each of these verdicts ({n} of {n}, "
            f"{untrained} of them on random weights)."
        )
    each = [
        f"{name(row.stage)}, {plain(row.weights)} "
        f"({plain(row.verdict)} where {plain(row.expected)} was expected)"
        for row in other.itertuples()
    ]
    return (
        f"In {len(other)} of {n} verdicts the architecture led to expect otherwise: "
        f"{listing(each)}."
    )


def nothing_read_sentence(permutations: pd.DataFrame, verdicts: pd.DataFrame) -> str:
    """Which blind stages read earlier tokens as a bag, and which read none."""
    blind = verdicts[verdicts["verdict"].str.startswith(BLIND)]
    trained = permutations[
        (permutations["weights"] == "trained")
        & permutations["stage"].isin(blind.loc[blind["weights"] == "trained", "stage"])
    ].dropna(subset=["reference_kl_nats"])
    if trained.empty:
        return "No trained stage is blind to every order it was asked."
    bag = trained["reference_kl_nats"] > trained["kl_bound_nats"]
    read, unread = ([name(s) for s in trained.loc[which, "stage"]] for which in (bag, ~bag))
    parts = []
    if read:
        parts.append(
            f"of the blind stages, {listing(read)} {_verb(read, 'reads', 'read')} the earlier "
            "words but not their order, since another story's prefix moves the prediction"
        )
    if unread:
        parts.append(
            f"{listing(unread)} {_verb(unread, 'reads', 'read')} nothing before the last token, "
            "since another story's prefix moves nothing either"
        )
    said = "; ".join(parts)
    return f"{said[0].upper()}{said[1:]}."


def size_sentence(permutations: pd.DataFrame, verdicts: pd.DataFrame) -> str:
    """What a lost order costs the stages that read it all, beside another story's prefix."""
    rows = _sensitive(permutations, verdicts)
    if rows.empty:
        return "No trained stage reads the whole order, so shuffling it costs nothing to weigh."
    kl, share = extremes(rows["kl_nats"], small), rows["sensitivity"]
    said = f"Where the whole order is read, shuffling moves the prediction by a KL of {kl}"
    if share.notna().all():
        said += f" nats, {extremes(share, percent)} of what another story's prefix does"
    else:
        said += " nats"
    risen = rows[rows["loss_change_low"] > 0]
    change = extremes(rows["loss_change_nats"], nats)
    return (
        f"{said}; the loss of the true next token changes by {change} nats, a rise whose interval "
        f"excludes zero at {len(risen)} of {_stages(len(rows))}."
    )


def window_sentence(verdicts: pd.DataFrame) -> str:
    """What stands behind a window, and that inside it a shuffle may do more than another story."""
    windows = verdicts[
        (verdicts["weights"] == "trained") & verdicts["verdict"].str.startswith(WINDOW)
    ]
    if windows.empty:
        return "No trained stage reads a window only."
    each = [
        f"{name(row.stage)} {small(row.max_abs_difference_behind_window)} "
        f"(bound {small(row.bound_behind_window)}, {count(row.n_prefixes_behind_window)} prefixes)"
        for row in windows.itertuples()
    ]
    said = (
        "Shuffling everything before the window, in double precision, moves no logit by more than: "
        f"{listing(each)}."
    )
    above = windows[windows["sensitivity_low"] > 1]
    if above.empty:
        return said
    return (
        f"{said} Inside it a shuffle does more than another story's prefix for "
        f"{listing([name(stage) for stage in above['stage']])}: a shuffled prefix puts tokens side "
        "by side that no story does."
    )


def training_sentence(verdicts: pd.DataFrame) -> str:
    """Whether training changes the share that order has in what a stage reads."""
    read = verdicts[verdicts["verdict"] == SENSITIVE]
    trained, untrained = (read[read["weights"] == weights] for weights in ("trained", "untrained"))
    both = trained.merge(untrained, on="stage", suffixes=("", "_untrained"))
    if both.empty:
        return "No stage that reads the whole order was asked with both weights."
    both = both.dropna(subset=["sensitivity_low", "sensitivity_low_untrained"])
    if both.empty:
        return (
            "Shuffling does a share of what another story's prefix does; on no stage that reads "
            "the whole order is that share known with trained and with random weights."
        )
    higher = int((both["sensitivity_low"] > both["sensitivity_high_untrained"]).sum())
    lower = int((both["sensitivity_high"] < both["sensitivity_low_untrained"]).sum())
    shares = f"{extremes(both['sensitivity_untrained'], percent)} with random weights"
    return (
        "Shuffling does a share of what another story's prefix does. Where the whole order is "
        f"read, it is {extremes(both['sensitivity'], percent)} after training and {shares}: "
        f"higher at {higher}, lower at {lower} and not told apart at "
        f"{len(both) - higher - lower} of {_stages(len(both))}."
    )


def distance_sentence(swaps: pd.DataFrame, verdicts: pd.DataFrame) -> str:
    """How sensitivity falls, or does not, with the distance from the end."""
    rows = _sensitive(swaps, verdicts)
    ends = rows["distance"].min(), rows["distance"].max()
    near, far = (rows[rows["distance"] == end] for end in ends)
    both = near.merge(far, on="stage", suffixes=("", "_far"))
    if both.empty or (both["distance"] == both["distance_far"]).all():
        return "No trained stage reads the whole order at two distances."
    falls = int((both["high_far"] < both["low"]).sum())
    rises = int((both["low_far"] > both["high"]).sum())
    at = f"{int(both['distance'].iloc[0])} and {int(both['distance_far'].iloc[0])}"
    return (
        f"Where the whole order is read, two neighbours swapped {at} tokens before the last move "
        f"the prediction by a KL of {extremes(both['kl_nats'], small)} and "
        f"{extremes(both['kl_nats_far'], small)} nats: farther back matters less at "
        f"{falls}, more at {rises} and the two are not told apart at "
        f"{len(both) - falls - rises} of {_stages(len(both))}."
    )


def _sensitive(table: pd.DataFrame, verdicts: pd.DataFrame) -> pd.DataFrame:
    """The rows of the trained stages that read the whole order, with their sensitivity."""
    read = verdicts[(verdicts["weights"] == "trained") & (verdicts["verdict"] == SENSITIVE)]
    rows = table[(table["weights"] == "trained") & table["stage"].isin(read["stage"])]
    return rows.merge(read[["stage", "sensitivity"]], on="stage")


def _stages(n: int) -> str:
    return f"{n} {'stage' if n == 1 else 'stages'}"


def _verb(stages: Sequence[str], one: str, several: str) -> str:
    return one if len(stages) == 1 else several


def sample_sentence(permutations: pd.DataFrame) -> str:
    """How much was asked, and what was left out."""
    row = permutations.iloc[0]
    prefixes, orders = int(row["n_prefixes"]), int(row["n_permutations"])
    left_out = int(row["n_excluded"])
    excluded = f"{count(left_out)} more had" if left_out else "none had"
    return (
        f"{count(prefixes)} prefixes from {count(row['n_stories'])} stories, {count(orders)} "
        f"orders in all; {excluded} to be left out because the earlier tokens are all equal. For "
        f"{count(row['n_reference'])} another story has a prefix of that length and last token."
    )
