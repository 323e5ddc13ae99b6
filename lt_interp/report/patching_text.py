"""Sentences about activation patching, each computed from its tables and turning with them."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lt_interp.figures.activation_patching import FOCUS, focus_stage, part_label
from lt_interp.methods.result import Result
from lt_interp.methods.significance import FDR
from lt_interp.report.markdown import listing, plain
from lt_interp.report.numbers import count, extremes, percent
from lt_interp.report.text import name

NOTHING = 0.05  # a share of the difference below which a part is said to carry nothing
HALF = 0.5
PATCHED = 0.5  # share of the pairs that a stage must be patched on to be spoken of in sentences


def span(row: Any) -> str:
    """A recovery with its interval."""
    if pd.isna(row.low) or pd.isna(row.high):
        return f"{percent(row.recovery)} (one pair, no interval)"
    return f"{percent(row.recovery)} (95% interval {percent(row.low)} to {percent(row.high)})"


def well_patched(result: Result) -> list[str]:
    """The stages that tell the prompts of at least half of the pairs apart."""
    accuracy = result.tables["clean_accuracy"]
    return list(accuracy.loc[accuracy["kept"] >= PATCHED * accuracy["n_pairs"], "stage"])


def accuracy_sentence(accuracy: pd.DataFrame) -> str:
    """Which stages answer the pairs, and which only guess."""
    if accuracy.empty:
        return "No stage measured here can be asked any of the prompts."
    guessing, better, worse = [], [], []
    for row in accuracy[accuracy["stage"] != FOCUS].itertuples():
        label = f"{name(row.stage)} ({percent(row.share_right)} of {count(row.n_pairs)})"
        if pd.isna(row.low) or row.low <= HALF <= row.high:
            guessing.append(label)
        elif row.share_right > HALF:
            better.append(label)
        else:
            worse.append(label)
    parts = []
    if better:
        parts.append(f"Right more often than guessing: {listing(better)}.")
    if guessing:
        parts.append(f"Not distinguishable from guessing: {listing(guessing)}.")
    if worse:
        parts.append(f"Wrong more often than right: {listing(worse)}.")
    if FOCUS in set(accuracy["stage"]):
        parts.append(f"The pairs were chosen by {name(FOCUS)}, whose own share says nothing.")
    untrained = extremes(accuracy["untrained_share_right"], percent)
    parts.append(f"Untrained, stages are right in {untrained}.")
    return " ".join(parts)


def path_sentence(result: Result) -> str:
    """Where the answer's information stands when a block is done, on the stage in focus."""
    stage = focus_stage(result)
    if stage is None or stage not in well_patched(result):
        return _none_patched(stage)
    cells = _denoising(result, stage)
    stream = cells[(cells["component"] == "resid_pre") & (cells["layer"].astype("Int64") > 0)]
    if stream.empty:
        return _moved_sentence(result, stage)
    parts = []
    for layer in sorted({int(layer) for layer in stream["layer"]}):
        at = {row.position_role: row for row in stream[stream["layer"] == layer].itertuples()}
        swapped, last = at.get("differing"), at.get("last")
        if swapped is not None and last is not None:
            parts.append(
                f"when block {layer} begins, the stream at the swapped word carries "
                f"{percent(swapped.recovery)} of the difference and the last position "
                f"{percent(last.recovery)}"
            )
    return f"On {name(stage)}, {'; '.join(parts)}. {_moved_sentence(result, stage)}"


def _none_patched(stage: str | None) -> str:
    """Why there is no stage to speak of."""
    if stage is None:
        return "No stage measured here tells the prompts of any pair apart, so nothing was patched."
    return "No stage measured here tells the prompts of half of the pairs apart: none to speak of."


def _moved_sentence(result: Result, stage: str) -> str:
    """What the attention of each layer brings to the last position."""
    cells = _denoising(result, stage)
    moved = cells[(cells["component"] == "attn_out") & (cells["position_role"] == "last")]
    if moved.empty:
        return (
            f"{name(stage)} has no attention: the swapped word reaches the prediction through its "
            "embedding alone."
        )
    each = [f"layer {int(row.layer)} {span(row)}" for row in moved.itertuples()]
    return f"Attention into the last position brings, on its own: {listing(each)}."


def head_sentence(result: Result) -> str:
    """The strongest head of every stage with heads, beside its wrong donor."""
    table = _heads(result, "z")
    each = []
    for stage in well_patched(result):
        heads = table[table["stage"] == stage]
        if len(heads) < 2:
            continue  # a single head carries whatever attention does
        best = max(heads.itertuples(), key=lambda row: abs(row.recovery))
        label = part_label("", best.layer, best.head).strip()
        each.append(
            f"{name(stage)} {plain(label)} {span(best)}, wrong donor "
            f"{'none' if pd.isna(best.donor_recovery) else percent(best.donor_recovery)}"
        )
    if not well_patched(result):
        return ""  # the sentence before says so
    if not each:
        return "No stage patched on half of the pairs has more than one head: nothing to rank."
    return f"The head that carries most on its own: {'; '.join(each)}."


def reading_sentence(result: Result) -> str:
    """Whether what a head reads or where it looks carries the answer, by whole intervals."""
    values, patterns = _heads(result, "v"), _heads(result, "pattern")
    what: list[str] = []
    where: list[str] = []
    open_: list[str] = []
    for stage in well_patched(result):
        if stage not in set(values["stage"]):
            continue
        read, looked = (_strongest(table, stage) for table in (values, patterns))
        label = f"{name(stage)} ({percent(read[0])} and {percent(looked[0])})"
        side = what if read[1] > looked[2] else where if looked[1] > read[2] else open_
        side.append(label)
    parts = []
    if what:
        parts.append(
            "The strongest head's values carry more than the strongest pattern on "
            f"{listing(what)}. The two prompts of a pair differ in a word and not in where it "
            "stands, so a pattern that both share carries nothing here, however much the head "
            "needs it."
        )
    if where:
        parts.append(
            "The strongest pattern carries more than the strongest values, so it is where is read "
            f"on {listing(where)}."
        )
    if open_:
        parts.append(
            f"Values and pattern of the strongest heads are not told apart on {listing(open_)}."
        )
    return " ".join(parts)


def _strongest(heads: pd.DataFrame, stage: str) -> tuple[float, float, float]:
    """The largest recovery of a stage's heads by size, and the ends of its interval."""
    of_stage = heads[heads["stage"] == stage]
    row = of_stage.loc[of_stage["recovery"].abs().idxmax()]
    ends = (row["low"], row["high"]) if row["recovery"] >= 0 else (-row["high"], -row["low"])
    return abs(float(row["recovery"])), float(ends[0]), float(ends[1])


def direction_sentence(result: Result) -> str:
    """How far restoring and destroying a part agree."""
    place = ["checkpoint", "component", "layer", "head", "position_role"]
    cells = result.tables["cells"]
    cells = cells[cells["stage"].isin(well_patched(result))].copy()
    cells[["layer", "head"]] = cells[["layer", "head"]].astype("float64").fillna(-1)
    both = cells.pivot(index=place, columns="direction", values="recovery").dropna()
    if not {"denoising", "noising"} <= set(both.columns) or both.empty:
        return "No stage was patched on half of the pairs in both directions."
    gap = (both["denoising"] - (1 - both["noising"])).abs()
    if gap.max() < NOTHING:
        return (
            "On the stages patched on at least half of the pairs, what a part restores and what "
            f"its loss destroys differ by {percent(gap.max())} of the difference at most, over "
            f"{count(len(gap))} cells."
        )
    checkpoint, component, layer, head, role = gap.idxmax()
    label = part_label(component, None if layer < 0 else layer, None if head < 0 else head, role)
    worst = both.loc[gap.idxmax()]
    return (
        "On the stages patched on at least half of the pairs, what a part restores and what its "
        f"loss destroys differ by {percent(gap.median())} of the difference in the median cell, "
        f"and most for {plain(label)} of {plain(checkpoint)}: "
        f"{percent(worst['denoising'])} restored, {percent(1 - worst['noising'])} lost. Parts that "
        "stand in for each other, or that need each other, show as such a gap."
    )


def expert_sentences(experts: pd.DataFrame) -> list[str]:
    """Whether the router's choice alone carries any of the answer, stage by stage."""
    return [
        f"{_choice_sentence(str(stage), rows)} {_other_sentence(rows)}"
        for stage, rows in experts.groupby("stage", sort=False)
    ]


def _choice_sentence(stage: str, rows: pd.DataFrame) -> str:
    choice = rows[(rows["patched"] == "the clean choice") & (rows["direction"] == "denoising")]
    if not (choice["share_changed"] > 0).any():
        return (
            f"{name(stage)}: wherever its choice can still reach the answer, the router chooses "
            "alike for both prompts of every pair, so it cannot carry the answer."
        )
    most = choice.loc[choice["recovery"].abs().idxmax()]
    if max(abs(most["low"]), abs(most["high"])) < NOTHING:
        verdict = "carries nothing of note"
    elif most["q"] < FDR:
        verdict = "carries a part, more than that of a wrong donor"
    else:
        verdict = "carries no more than that of a wrong donor can"
    return (
        f"{name(stage)}: the router's choice {verdict}. Where giving the corrupt run the clean "
        f"run's choice does most, it moves the answer by {span(most)}; the two choices differ at "
        f"{percent(choice['share_changed'].max())} of the positions at most."
    )


def _other_sentence(rows: pd.DataFrame) -> str:
    other = rows[rows["patched"] == "the other expert"]
    if other.empty:
        return ""
    worst = other.loc[(1 - other["recovery"]).abs().idxmax()]
    place = f"in layer {int(worst['layer'])}, {_where(worst['position_role'])}"
    kept = percent(worst["recovery"])
    if abs(1 - worst["recovery"]) < NOTHING:
        return (
            f"Sending tokens to the other expert leaves {kept} of the difference even where it "
            f"matters most ({place})."
        )
    if worst["recovery"] > 1:
        return f"Sending tokens to the other expert widens the difference most {place}: to {kept}."
    return (
        f"Sending tokens to the other expert costs most {place}: {kept} of the difference is left."
    )


def _part(row: Any) -> str:
    """A part of a stage and where in the prompt it is patched."""
    outputs = {"attn_out": "attention", "mlp_out": "the feed-forward layer"}
    if row.component not in outputs:
        return plain(part_label(row.component, row.layer, row.head, row.position_role))
    where = "" if row.position_role == "all" else f" {_where(row.position_role)}"
    return f"the output of {outputs[row.component]} in layer {int(row.layer)}{where}"


def _where(role: str) -> str:
    """A position of a prompt, by its role."""
    places = {
        "differing": "at the swapped word",
        "between": "between the swapped word and the last position",
        "last": "at the last position",
    }
    return places.get(role, plain(role))


def headline(result: Result) -> str:
    """What the index says of the page."""
    stage = focus_stage(result)
    if stage is None or stage not in well_patched(result):
        return _none_patched(stage)
    found = result.tables["important"]
    found = found[found["stage"] == stage]
    accuracy = result.tables["clean_accuracy"].set_index("stage").loc[stage]
    right = f"{name(stage)} answers {percent(accuracy['share_right'])} of the prompt pairs"
    chosen = f"The prompt pairs are those that {name(stage)} answers"
    start = chosen if stage == FOCUS else right
    if found.empty:
        return f"{start}; no single part of it carries the answer better than a wrong donor."
    best = next(found.itertuples())
    most = f"{_part(best)} carries most on its own: {percent(best.recovery)}"
    return f"{start}; of its parts, {most}."


def _denoising(result: Result, stage: str) -> pd.DataFrame:
    cells = result.tables["cells"]
    return cells[(cells["stage"] == stage) & (cells["direction"] == "denoising")]


def _heads(result: Result, component: str) -> pd.DataFrame:
    """One component of every head, patched at every position."""
    cells = result.tables["cells"]
    return cells[
        (cells["direction"] == "denoising")
        & (cells["component"] == component)
        & (cells["position_role"] == "all")
    ]
