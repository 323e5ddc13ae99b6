"""The article's "Full Evolution": how well every stage predicts, and what each part adds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lt_interp.article import article, article_stage
from lt_interp.corpus.windows import Rows
from lt_interp.methods.checkpoints import Checkpoint, find_checkpoints, one_a_stage, provenance
from lt_interp.methods.curves import article_curves, curves
from lt_interp.methods.evaluation import Evaluation, evaluate
from lt_interp.methods.parameters import count, count_by_component, stored_shapes
from lt_interp.methods.result import Progress, Result, make_table
from lt_interp.methods.samples import NEW_TOKENS, TEMPERATURE, samples
from lt_interp.methods.statistics import story_difference
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import STAGES

LADDER = {
    "stage": str,
    "adds": str,
    "parameters": int,
    "seed": int,
    "tokens_seen": int,
    "loss_nats": float,
    "perplexity": float,
    "perplexity_low": float,
    "perplexity_high": float,
    "perplexity_last_token": float,
    "perplexity_last_token_low": float,
    "perplexity_last_token_high": float,
    "n_tokens": int,
    "n_stories": int,
    "article_perplexity": float,
    "article_parameters": int,
    "article_scored_on": str,
}
PAIRS = {
    "stage": str,
    "previous": str,
    "difference_nats": float,
    "low": float,
    "high": float,
    "n_stories": int,
}
SAMPLES = {"stage": str, "prompt": str, "sample": str, "article_sample": str}
PARAMETERS = {"stage": str, "component": str, "parameters": int}


def evolution(
    checkpoints: Sequence[str | Path],
    rows: Rows,
    *,
    seed: int,
    progress: Progress | None = None,
    command: str = "",
    prompts: Sequence[str] | None = None,
) -> Result:
    """Score every checkpoint on the same stories and set it beside the article.

    Args:
        checkpoints: Trained checkpoints. All are in `ladder` and `curves`; the other tables take
            the lowest seed of each stage.
        rows: What to score, made by the checkpoints' tokenizer.
        seed: Of the resampling of stories and of the samples.
        progress: Called with rows scored, rows in all (of every checkpoint) and the checkpoint.
        command: What repeats the analysis.
        prompts: What each stage continues; by default the article's first.

    Returns:
        Tables `ladder`, `pairs` (each stage minus the one it grew from, paired by story),
        `samples`, `parameters`, `curves` and `article_curves`.

    Raises:
        InputError: A checkpoint cannot be read, or does not fit the rows.
    """
    prompts = prompts or article()["prompts"][:1]
    found = find_checkpoints(checkpoints)
    main = one_a_stage(found)
    ladder, written, scores = [], [], {}
    for place, checkpoint in enumerate(found):
        model = checkpoint.load()
        report = _shifted(progress, place, len(found), rows.n_rows, checkpoint.name)
        evaluation = evaluate(model, rows, seed=seed, progress=report)
        ladder.append(_ladder_row(checkpoint, evaluation))
        if main[checkpoint.stage] is checkpoint:
            scores[checkpoint.stage] = evaluation
            written += _sample_rows(checkpoint.stage, model, prompts, seed)
    tables = {
        "ladder": make_table(LADDER, ladder),
        "pairs": pairs(scores, seed=seed),
        "samples": make_table(SAMPLES, written),
        "parameters": make_table(PARAMETERS, _parameter_rows(main)),
        "curves": curves(found),
        "article_curves": article_curves(found),
    }
    meta = provenance(found, rows, seed=seed, command=command, notes=_notes(rows))
    return Result(name="evolution", tables=tables, meta=meta)


def pairs(scores: dict[str, Evaluation], *, seed: int) -> pd.DataFrame:
    """Each stage's loss minus that of the stage it grew from, where both were scored.

    Args:
        scores: Evaluations on the same rows, by stage.
        seed: Of the resampling.
    """
    result = []
    for stage in STAGES.values():
        if stage.id not in scores or stage.grows_from not in scores:
            continue
        now, before = scores[stage.id], scores[stage.grows_from]
        difference = story_difference(
            now.story_loss_nats, before.story_loss_nats, now.story_tokens, seed=seed
        )
        result.append(
            {
                "stage": stage.id,
                "previous": stage.grows_from,
                "difference_nats": float(difference.estimate[0]),
                "low": float(difference.low[0]),
                "high": float(difference.high[0]),
                "n_stories": difference.n_stories,
            }
        )
    return make_table(PAIRS, result)


def _ladder_row(checkpoint: Checkpoint, evaluation: Evaluation) -> dict[str, Any]:
    published = article_stage(checkpoint.stage)
    low, high = evaluation.perplexity_interval or (None, None)
    last_low, last_high = evaluation.perplexity_last_token_interval or (None, None)
    return {
        "stage": checkpoint.stage,
        "adds": checkpoint.adds,
        "parameters": count(stored_shapes(checkpoint.folder)),
        "seed": checkpoint.seed,
        "tokens_seen": checkpoint.card["tokens_seen"],
        "loss_nats": evaluation.loss_nats,
        "perplexity": evaluation.perplexity,
        "perplexity_low": low,
        "perplexity_high": high,
        "perplexity_last_token": evaluation.perplexity_last_token,
        "perplexity_last_token_low": last_low,
        "perplexity_last_token_high": last_high,
        "n_tokens": evaluation.n_tokens,
        "n_stories": evaluation.n_stories,
        "article_perplexity": published.get("perplexity"),
        "article_parameters": published.get("params"),
        "article_scored_on": published.get("scored_on", "every position") if published else None,
    }


def _sample_rows(
    stage: str, model: StageModel, prompts: Sequence[str], seed: int
) -> list[dict[str, Any]]:
    """One continuation a prompt; the article printed its samples for its first prompt."""
    published = {article()["prompts"][0]: article()["evolution_samples"].get(stage)}
    return [
        {"stage": stage, "prompt": prompt, "sample": text, "article_sample": published.get(prompt)}
        for prompt, text in zip(prompts, samples(model, prompts, seed=seed), strict=True)
    ]


def _parameter_rows(main: dict[str, Checkpoint]) -> list[dict[str, Any]]:
    return [
        {"stage": stage, "component": component, "parameters": parameters}
        for stage, checkpoint in main.items()
        for component, parameters in count_by_component(stored_shapes(checkpoint.folder)).items()
    ]


def _shifted(
    progress: Progress | None, place: int, n: int, n_rows: int, name: str
) -> Progress | None:
    """Progress within one checkpoint as progress within all of them."""
    if progress is None:
        return None
    return lambda done, _total, _what: progress(place * n_rows + done, n * n_rows, name)


def _notes(rows: Rows) -> dict[str, Any]:
    return {
        "scored": f"tokens 2 to {rows.width} of every row of {rows.width}",
        "intervals": "95%, percentile bootstrap of 2,000 resamples of stories",
        "pairs": "loss of a stage minus loss of the stage it grew from, on the same resamples",
        "samples": f"one continuation of {NEW_TOKENS} tokens at most, temperature {TEMPERATURE}",
        "curves": "perplexity on the split each run was validated on while it was trained",
        "article": "the article's perplexities are of its own validation rows and of models that "
        "saw up to 474 million tokens an epoch",
    }
