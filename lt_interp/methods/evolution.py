"""The article's "Full Evolution": how well every stage predicts, and what each part adds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from lt_interp.article import article, article_stage
from lt_interp.corpus.windows import Rows
from lt_interp.methods.checkpoints import Checkpoint, Models, find_checkpoints, one_a_stage
from lt_interp.methods.curves import article_curves, curves
from lt_interp.methods.evaluation import Evaluation, evaluate
from lt_interp.methods.parameters import count, count_by_component, weight_shapes
from lt_interp.methods.prompts import readable_prompts
from lt_interp.methods.result import Progress, Result, make_table
from lt_interp.methods.samples import NEW_TOKENS, TEMPERATURE, samples
from lt_interp.methods.statistics import story_difference
from lt_interp.methods.study import Share, Study
from lt_interp.methods.workers import Workers
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import STAGES
from lt_interp.training.run_folder import Shapes

SCORES = {
    "loss_nats": float,
    "perplexity": float,
    "perplexity_low": float,
    "perplexity_high": float,
    "perplexity_last_token": float,
    "perplexity_last_token_low": float,
    "perplexity_last_token_high": float,
    "n_tokens": int,
    "n_stories": int,
}
STORIES = {"story": int, "loss_nats": float, "n_tokens": int}
SAMPLES = {"prompt": str, "sample": str, "article_sample": str}
LADDER = {
    "stage": str,
    "adds": str,
    "parameters": int,
    "seed": int,
    "tokens_seen": int,
    **SCORES,
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
PARAMETERS = {"stage": str, "component": str, "parameters": int}


def evolution(
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
    """Score every model on the same stories and set it beside the article.

    Args:
        models: Trained models. All are in `ladder` and `curves`; the other tables take the lowest
            seed of each stage.
        rows: What to score, made by the models' tokenizer.
        seed: Of the resampling of stories and of the samples.
        progress: Called with how much is done, how much there is, and the model.
        command: What repeats the analysis.
        keep: Where the tables of each model are kept, so that the same call can continue.
        workers: Processes for the models.
        prompts: What each stage continues; by default the article's first.

    Returns:
        Tables `ladder`, `pairs` (each stage minus the one it grew from, paired by story),
        `samples`, `parameters`, `curves` and `article_curves`.

    Raises:
        InputError: A model cannot be read, or does not fit the rows.
    """
    prompts = list(prompts or article()["prompts"][:1])
    found = find_checkpoints(models)
    study = Study(
        name="evolution", checkpoints=found, rows=rows, seed=seed, progress=progress,
        command=command, keep=keep, workers=workers, options={"prompts": prompts},
    )  # fmt: skip
    measured = study.each(
        partial(_measure, rows=rows, prompts=prompts, seed=seed),
        columns={"scores": SCORES, "stories": STORIES, "samples": SAMPLES},
    )
    parameters = {checkpoint.name: weight_shapes(checkpoint) for checkpoint in found}
    main = one_a_stage(found)
    of_main = {name: _of(table, main) for name, table in measured.items()}
    tables = {
        "ladder": make_table(LADDER, _ladder_rows(found, measured["scores"], parameters)),
        "pairs": pairs(story_losses(of_main["stories"]), seed=seed),
        "samples": of_main["samples"][["stage", *SAMPLES]],
        "parameters": make_table(PARAMETERS, _parameter_rows(main, parameters)),
        "curves": curves(found),
        "article_curves": article_curves(found),
    }
    return study.result(tables, notes=_notes(rows))


StoryLosses = tuple[Float[np.ndarray, " story"], Int[np.ndarray, " story"]]
"""The summed loss in nats of each story, and how many tokens that is."""


def story_losses(stories: pd.DataFrame) -> dict[str, StoryLosses]:
    """The table `stories` as arrays, by stage."""
    return {
        str(stage): (table["loss_nats"].to_numpy(), table["n_tokens"].to_numpy())
        for stage, table in stories.groupby("stage", sort=False)
    }


def pairs(scores: dict[str, StoryLosses], *, seed: int) -> pd.DataFrame:
    """Each stage's loss minus that of the stage it grew from, where both were scored.

    Args:
        scores: Losses on the same stories, by stage.
        seed: Of the resampling.
    """
    result = []
    for stage in STAGES.values():
        if stage.id not in scores or stage.grows_from not in scores:
            continue
        (now, tokens), (before, _) = scores[stage.id], scores[stage.grows_from]
        difference = story_difference(now, before, tokens, seed=seed)
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


def _measure(
    model: StageModel, share: Share, *, rows: Rows, prompts: Sequence[str], seed: int
) -> dict[str, list[dict[str, Any]]]:
    """Score a model and let it write."""
    evaluation = evaluate(model, rows, seed=seed, progress=lambda done, n, _: share(done, n))
    losses = zip(evaluation.story_loss_nats, evaluation.story_tokens, strict=True)
    return {
        "scores": [_score(evaluation)],
        "stories": [
            {"story": story, "loss_nats": float(loss), "n_tokens": int(n)}
            for story, (loss, n) in enumerate(losses)
        ],
        "samples": _sample_rows(model, prompts, seed),
    }


def _score(evaluation: Evaluation) -> dict[str, Any]:
    low, high = evaluation.perplexity_interval or (None, None)
    last_low, last_high = evaluation.perplexity_last_token_interval or (None, None)
    return {
        "loss_nats": evaluation.loss_nats,
        "perplexity": evaluation.perplexity,
        "perplexity_low": low,
        "perplexity_high": high,
        "perplexity_last_token": evaluation.perplexity_last_token,
        "perplexity_last_token_low": last_low,
        "perplexity_last_token_high": last_high,
        "n_tokens": evaluation.n_tokens,
        "n_stories": evaluation.n_stories,
    }


def _sample_rows(model: StageModel, prompts: Sequence[str], seed: int) -> list[dict[str, Any]]:
    """One continuation a prompt; the article printed its samples for its first prompt.

    Raises:
        InputError: The model cannot read a prompt; only one of the article's is left out instead.
    """
    stage = str(model.cfg.model_name)
    published = {article()["prompts"][0]: article()["evolution_samples"].get(stage)}
    readable, _ = readable_prompts(model, prompts, spared=article()["prompts"])
    return [
        {"prompt": prompt, "sample": text, "article_sample": published.get(prompt)}
        for prompt, text in zip(readable, samples(model, list(readable), seed=seed), strict=True)
    ]


def _ladder_rows(
    found: Sequence[Checkpoint], scores: pd.DataFrame, parameters: dict[str, Shapes]
) -> Iterator[dict[str, Any]]:
    """A model's card, its score and what the article says of its stage."""
    for checkpoint, score in zip(found, scores.to_dict("records"), strict=True):
        published = article_stage(checkpoint.stage)
        yield {
            "stage": checkpoint.stage,
            "adds": checkpoint.adds,
            "parameters": count(parameters[checkpoint.name]),
            "seed": checkpoint.seed,
            "tokens_seen": checkpoint.card["tokens_seen"],
            **{name: score[name] for name in SCORES},
            "article_perplexity": published.get("perplexity"),
            "article_parameters": published.get("params"),
            "article_scored_on": published.get("scored_on", "every position")
            if published
            else None,
        }


def _of(table: pd.DataFrame, main: dict[str, Checkpoint]) -> pd.DataFrame:
    """The rows of the lowest seed of each stage."""
    return table[table["checkpoint"].isin([checkpoint.name for checkpoint in main.values()])]


def _parameter_rows(
    main: dict[str, Checkpoint], parameters: dict[str, Shapes]
) -> Iterator[dict[str, Any]]:
    for stage, checkpoint in main.items():
        for component, n in count_by_component(parameters[checkpoint.name]).items():
            yield {"stage": stage, "component": component, "parameters": n}


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
