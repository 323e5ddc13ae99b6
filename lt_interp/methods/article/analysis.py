"""The article's own tables and sentences, measured on the stages and set beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lt_interp.corpus.tokenizer import Tokenizer
from lt_interp.corpus.windows import Rows
from lt_interp.methods.analyze import tokenizer_of
from lt_interp.methods.article.claims import claims_table
from lt_interp.methods.article.evidence import Evidence
from lt_interp.methods.article.experts import experts_table
from lt_interp.methods.article.gains import class_gains, neighbours
from lt_interp.methods.article.groups import MAX_ROWS, Sample, draw_sample
from lt_interp.methods.article.predictions import PREDICTIONS, is_ngram, predictions
from lt_interp.methods.article.response import RESPONSE, Beginnings, draw_beginnings, response
from lt_interp.methods.article.saved import Saved, open_saved
from lt_interp.methods.article.scoring import AFTER_NAMED, LOSSES, score, score_last
from lt_interp.methods.article.stability import stability, training_log
from lt_interp.methods.article.summaries import names_after, responses, settings
from lt_interp.methods.article.tables import evolution_table, parameters_table, seed_spread
from lt_interp.methods.checkpoints import Checkpoint, Models, find_checkpoints, one_a_stage
from lt_interp.methods.result import Progress, Result
from lt_interp.methods.study import MODEL_COLUMNS, Share, Study
from lt_interp.methods.token_classes import token_classes
from lt_interp.methods.workers import Workers
from lt_interp.model.stage_model import StageModel

NAMED = " named"
COLUMNS = {
    "losses": LOSSES,
    "after_named": AFTER_NAMED,
    "response": RESPONSE,
    "ngram_predictions": PREDICTIONS,
}


def article(
    models: Models,
    rows: Rows,
    *,
    seed: int = 0,
    progress: Progress | None = None,
    command: str = "",
    keep: Path | None = None,
    workers: Workers | None = None,
    results: Path | str | None = None,
    max_rows: int = MAX_ROWS,
) -> Result:
    """Regenerate the article's tables, say what each part buys, and judge its sentences.

    Args:
        models: Trained models; the lowest seed of each stage is asked.
        rows: Stories, made by the models' tokenizer.
        seed: Of the rows and stories that are drawn, of the resampling and of the sign flips.
        progress: Called with how much is done, how much there is, and the model.
        command: What repeats the analysis.
        keep: Where the tables of each model are kept, so that the same call can continue.
        workers: Processes for the models.
        results: A folder with the saved results of the other analyses, `<analysis>/result.json`.
            One that was made on other stories or weights counts as not measured.
        max_rows: How many rows are scored at most.

    Returns:
        Tables `claims`, `class_gains`, `evolution`, `parameters`, `ngram_predictions`, `experts`,
        `response` (what the true prompt is worth), `after_named`, `stability`, `training_log`,
        `settings`, `seeds` (how far runs of one stage lie apart) and `applies`.

    Raises:
        InputError: A model cannot be read, has no tokenizer, or does not fit the rows.
    """
    main = one_a_stage(find_checkpoints(models))
    study = Study(
        name="article", checkpoints=list(main.values()), rows=rows, seed=seed, progress=progress,
        command=command, keep=keep, workers=workers, options={"max_rows": max_rows},
    )  # fmt: skip
    measure = _Measure(rows, tokenizer_of(study.checkpoints[0]), seed=seed, max_rows=max_rows)
    found = study.each(measure, columns=COLUMNS)
    tables = _tables(found, main, seed=seed)
    saved = open_saved(results, main, rows)
    tables |= {
        "evolution": evolution_table(saved, main),
        "experts": experts_table(saved),
        "seeds": seed_spread(saved),
    }
    evidence = Evidence(tables=tables, saved=saved)
    return study.result(
        {"claims": claims_table(evidence), **tables, "applies": found["applies"]},
        notes=_notes(measure, saved),
    )


class _Measure:
    """All that is measured of one model."""

    def __init__(self, rows: Rows, tokenizer: Tokenizer, *, seed: int, max_rows: int) -> None:
        self._rows = rows
        self.sample: Sample = draw_sample(rows, tokenizer, seed=seed, max_rows=max_rows)
        self.beginnings: Beginnings = draw_beginnings(rows, seed=seed)
        self._names = np.array(token_classes(tokenizer)) == "name"
        self._named = tokenizer.str_tokens.index(NAMED) if NAMED in tokenizer.str_tokens else None

    def __call__(self, model: StageModel, share: Share) -> dict[str, list[dict[str, Any]]]:
        """Measure."""
        found = score(model, self.sample, named=self._named, names=self._names, share=share)
        if model.config.average:  # as the article scores these
            found["losses"] += score_last(model, self._rows)
        found["response"] = response(model, self.beginnings)
        found["ngram_predictions"] = predictions(model) if is_ngram(model.config) else []
        return found


def _tables(
    found: dict[str, pd.DataFrame], main: dict[str, Checkpoint], *, seed: int
) -> dict[str, pd.DataFrame]:
    """From sums within stories to estimates; the sums themselves are not kept."""
    log = training_log(main)
    other = [name for name in MODEL_COLUMNS if name != "stage"]
    return {
        "class_gains": class_gains(found["losses"], seed=seed),
        "parameters": parameters_table(main),
        "ngram_predictions": found["ngram_predictions"].drop(columns=other),
        "response": responses(found["response"], seed=seed),
        "after_named": names_after(found["after_named"], seed=seed),
        "stability": stability(log, neighbours(list(main)), seed=seed),
        "training_log": log,
        "settings": settings(main),
    }


def _notes(measure: _Measure, saved: Saved) -> dict[str, Any]:
    sample, beginnings = measure.sample, measure.beginnings
    n_rows, width = sample.tokens.shape
    return {
        "scored": f"tokens 2 to {width} of {n_rows} rows drawn at random; the averaging stages "
        "also on the last token of every row",
        "intervals": "95%, percentile bootstrap of 2,000 resamples of stories",
        "tests": "class gains: 9,999 sign flips of whole stories, Benjamini-Hochberg over every "
        "pair of stages and every class",
        "prompt": f"{len(beginnings.story)} stories: prompt of {beginnings.n_prompt} tokens, the "
        f"next {beginnings.n_bridge} not scored, the {beginnings.n_prompt} after them scored",
        "read": ", ".join(sorted(saved.results)) or "no other analysis",
        "not_read": "; ".join(f"{name}, {why}" for name, why in saved.reasons.items()) or "none",
    }
