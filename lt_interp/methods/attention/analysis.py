"""What every attention head of every stage looks at, measured and set beside chance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lt_interp.corpus.windows import Rows
from lt_interp.methods.attention.claims import measure_claims
from lt_interp.methods.attention.heads import (
    HEAD_SCORES,
    head_rows,
    on_repeats,
    on_stories,
    pattern_of,
    repeat_sums,
    story_sums,
    uniform,
)
from lt_interp.methods.attention.kinds import head_kinds
from lt_interp.methods.attention.places import BY_POSITION, BY_STORY, position_rows, story_rows
from lt_interp.methods.attention.prompts import PATTERNS, PROMPTS, all_prompts, prompt_rows
from lt_interp.methods.attention.repetition import REPETITION, repetition_rows
from lt_interp.methods.attention.sample import Sample, draw_sample
from lt_interp.methods.attention.scores import UNTESTED
from lt_interp.methods.checkpoints import Models, find_checkpoints, one_a_stage, untrained
from lt_interp.methods.result import Progress, Result
from lt_interp.methods.significance import DRAWS as FLIPS
from lt_interp.methods.significance import with_q
from lt_interp.methods.statistics import DRAWS
from lt_interp.methods.study import Share, Study
from lt_interp.methods.workers import Workers
from lt_interp.model.config import ModelConfig
from lt_interp.model.stage_model import StageModel

# Rows drawn from the corpus: some 40,000 queries a head, and intervals of a point or less.
MAX_ROWS = 160


def attention(
    models: Models,
    rows: Rows,
    *,
    seed: int = 0,
    progress: Progress | None = None,
    command: str = "",
    keep: Path | None = None,
    workers: Workers | None = None,
    prompts: Sequence[str] | None = None,
) -> Result:
    """Score every head on the stories, draw its pattern on prompts, and test the article's claims.

    Args:
        models: Names of checkpoints, folders, or models in memory; the lowest seed of each stage is
            asked, and a stage without attention gets a row that says so.
        rows: The stories, as token rows.
        seed: Of the rows and random tokens drawn, the resampling and the untrained twins.
        progress: Called with how much is done.
        command: What repeats the analysis.
        keep: Where the tables of finished models are kept.
        workers: Processes for the models.
        prompts: Texts to draw patterns of, besides the article's two.

    Returns:
        Tables `head_scores` (a row a head and score), `heads` (what each head is, in words),
        `repetition` (induction and duplicate beside the same queries where nothing repeats),
        `by_position` (self-attention by place in the row), `patterns` (a row a cell of a prompt's
        pattern), `prompts`, `claims` and `applies`.

    Raises:
        InputError: A prompt given has no tokens or too many, or the models do not fit the rows.

    Example:
        >>> result = attention("09_multi_head", rows)  # doctest: +SKIP
    """
    checkpoints = list(one_a_stage(find_checkpoints(models)).values())
    texts = all_prompts(prompts)
    # One width for all, so that every stage is scored on the very same queries.
    width = min([rows.width, *(c.config.n_ctx for c in checkpoints if c.config.n_heads)])
    study = Study(
        name="attention", checkpoints=checkpoints, rows=rows, seed=seed, progress=progress,
        command=command, keep=keep, workers=workers,
        options={"prompts": texts, "max_rows": MAX_ROWS, "width": width},
    )  # fmt: skip
    eos_id = checkpoints[0].config.eos_id
    sample = draw_sample(rows, width=width, n_rows=MAX_ROWS, eos_id=eos_id, seed=seed)
    measure = partial(_measure, sample=sample, prompts=texts, seed=seed)
    columns = {
        "head_scores": HEAD_SCORES,
        "patterns": PATTERNS,
        "prompts": PROMPTS,
        "repetition": REPETITION,
        "by_position": BY_POSITION,
        "by_story": BY_STORY,
    }
    tables = study.each(measure, columns=columns, needs=_needs)
    by_story = tables.pop("by_story")
    for name in ("head_scores", "repetition"):
        tables[name] = with_q(tables[name])
    tables["heads"] = head_kinds(tables["head_scores"])
    tables["claims"] = measure_claims(
        by_story, tables["head_scores"], tables["patterns"], seed=seed
    )
    return study.result(tables, notes=_notes(sample, rows, seed))


def _needs(config: ModelConfig) -> str | None:
    return None if config.n_heads else "it has no attention: no position reads another through it"


def _measure(
    model: StageModel, share: Share, *, sample: Sample, prompts: Sequence[str], seed: int
) -> dict[str, Iterable[Mapping[str, Any]]]:
    """All tables of one model."""
    cells, shown = prompt_rows(model, prompts)
    own, twin = pattern_of(model), pattern_of(untrained(model, seed=seed))
    n_rows = len(sample.tokens)
    places = [
        story_sums(own, sample, lambda done: share(done, 2 * n_rows)),
        story_sums(twin, sample, lambda done: share(n_rows + done, 2 * n_rows)),
        story_sums(uniform, sample),
    ]
    stories = on_stories(*places, sample=sample)
    repeated = [repeat_sums(own, repeats.repeated) for repeats in sample.repeats]
    fresh = [repeat_sums(own, repeats.fresh) for repeats in sample.repeats]
    longest = sample.repeats[-1]
    baselines = [repeat_sums(one, longest.repeated) for one in (twin, uniform)]
    repeats = on_repeats(repeated[-1], *baselines, period=longest.period)
    rows = head_rows(stories, seed=seed, unit="stories")
    rows += head_rows(repeats, seed=seed, unit="sequences")
    return {
        "head_scores": sorted(rows, key=lambda row: (row["layer"], row["head"])),
        "patterns": cells,
        "prompts": shown,
        "repetition": repetition_rows(repeated, fresh, sample, seed=seed),
        "by_position": position_rows(places[0], places[2], sample, seed=seed),
        "by_story": story_rows(places[0], places[2], sample),
    }


def _notes(sample: Sample, rows: Rows, seed: int) -> dict[str, Any]:
    n_rows, width = sample.tokens.shape
    periods = [repeats.period for repeats in sample.repeats]
    n_sequences = len(sample.repeats[0].repeated)
    return {
        "rows": f"{n_rows} of {rows.n_rows} rows drawn by seed, their first {width} tokens; "
        f"{sample.tokens.size - n_rows} queries, the first of each row left out, since it can only "
        "look at itself",
        "repeated_random_tokens": f"{n_sequences} sequences of different ids and the same ids "
        f"again, drawn from the ids of those rows; periods {periods} tokens, the longest in "
        "head_scores; queries of the second repetition only; beside them the same queries behind "
        "other random ids",
        "intervals": f"95%, percentile bootstrap of {DRAWS:,} resamples of stories; of the "
        "sequences for induction and duplicate, which have no stories",
        "uniform": "the causal pattern 1 / (q + 1), scored on the same queries by the same code",
        "untrained": f"the same architecture with PyTorch's default random weights, one draw, seed "
        f"{seed}",
        "test": f"two-sided sign-flip test of score minus uniform, {FLIPS:,} draws, a story (or "
        "sequence) at a time; q by Benjamini-Hochberg over all heads and scores with a p",
        "not_tested": f"{' and '.join(UNTESTED)}: uniform is their extreme, so any other pattern "
        "differs from it in one direction",
    }
