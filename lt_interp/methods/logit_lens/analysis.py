"""The analysis over several stages: the lens on prompts and on a corpus, and who adds what."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from lt_interp.corpus.windows import Rows
from lt_interp.errors import InputError
from lt_interp.methods.checkpoints import Models, find_checkpoints, one_a_stage
from lt_interp.methods.logit_lens.attribution_tables import (
    APPLIES,
    ATTRIBUTION,
    ON_PROMPTS,
    attribution_rows,
)
from lt_interp.methods.logit_lens.chance import BASELINES, baseline_rows
from lt_interp.methods.logit_lens.corpus import (
    CORPUS,
    UNTRAINED_SHARE,
    Sample,
    corpus_rows,
    draw_sample,
)
from lt_interp.methods.logit_lens.points import why_not
from lt_interp.methods.logit_lens.prompts import (
    LEFT_OUT,
    PROMPTS,
    default_prompts,
    prompt_rows,
)
from lt_interp.methods.prompts import readable_prompts
from lt_interp.methods.result import Progress, Result, make_table
from lt_interp.methods.significance import with_q
from lt_interp.methods.study import MODEL_COLUMNS, Columns, Share, Study
from lt_interp.methods.workers import Workers
from lt_interp.model.stage_model import StageModel

TOKENS = 20_000

COLUMNS: dict[str, Columns] = {
    "lens_corpus": CORPUS,
    "lens_prompts": PROMPTS,
    "attribution": ATTRIBUTION,
    "attribution_prompts": ON_PROMPTS,
    "attribution_applies": APPLIES,
    "prompts_left_out": LEFT_OUT,
}


def logit_lens(
    models: Models,
    rows: Rows,
    *,
    seed: int = 0,
    progress: Progress | None = None,
    command: str = "",
    keep: Path | None = None,
    workers: Workers | None = None,
    prompts: Sequence[str] | None = None,
    tokens: int = TOKENS,
) -> Result:
    """Read every stage through its own unembedding at every point inside it.

    Args:
        models: Stages; the lowest seed of each is read.
        rows: Stories as token rows.
        seed: Of the rows that are drawn, of the untrained stages and of the resampling.
        progress: Called with how much is done, how much there is, and the model.
        command: What repeats the analysis.
        keep: A folder that keeps what is finished of an interrupted run.
        workers: Processes for the models.
        prompts: What the heatmaps show; by default three of the article's.
        tokens: Predicted tokens of the corpus to average over, rounded up to whole rows.

    Returns:
        Tables `lens_corpus` (a row a point), `lens_baselines`, `lens_prompts` (a row a point and
        position), `attribution` (a row a part), `attribution_prompts`, `attribution_applies`,
        `prompts_left_out` and `applies`. Ranks count from 1.

    Raises:
        InputError: A model or a prompt cannot be read, or `tokens` is below 1.
    """
    if tokens < 1:
        raise InputError(f"tokens is {tokens}; average over 1 or more")
    if isinstance(prompts, str):
        prompts = [prompts]
    found = list(one_a_stage(find_checkpoints(models)).values())
    study = Study(
        name="logit_lens", checkpoints=found, rows=rows, seed=seed, progress=progress,
        command=command, keep=keep, workers=workers,
        options={"prompts": None if prompts is None else list(prompts), "tokens": tokens},
    )  # fmt: skip
    sample = draw_sample(rows, tokens=tokens, seed=seed)
    measure = partial(_measure, sample=sample, prompts=prompts, seed=seed)
    tables = study.each(measure, columns=COLUMNS, needs=why_not)
    for name in ("lens_corpus", "attribution"):
        tables[name] = with_q(tables[name])
    tables["attribution_applies"] = _with_refused(tables["attribution_applies"], tables["applies"])
    baselines = baseline_rows(rows, sample, d_vocab=found[0].config.d_vocab, seed=seed)
    tables["lens_baselines"] = make_table(BASELINES, baselines)
    return study.result(tables, notes=_notes(tokens, prompts))


def _measure(
    model: StageModel, share: Share, *, sample: Sample, prompts: Sequence[str] | None, seed: int
) -> dict[str, list[dict[str, Any]]]:
    """All tables of one model."""
    total = int(sample.n_tokens * (2 + 1 / UNTRAINED_SHARE))
    done = 0

    def report(n: int) -> None:
        nonlocal done
        done += n
        share(min(done, total), total)

    readable, left_out = readable_prompts(
        model,
        default_prompts() if prompts is None else prompts,
        spared=default_prompts() if prompts is None else (),
    )
    return {
        "lens_prompts": [
            row for name, ids in readable.items() for row in prompt_rows(model, name, ids)
        ],
        "lens_corpus": corpus_rows(model, sample, seed=seed, report=report),
        **attribution_rows(model, sample, readable, seed=seed, report=report),
        "prompts_left_out": left_out,
    }


def _with_refused(measured: pd.DataFrame, applies: pd.DataFrame) -> pd.DataFrame:
    """The stages that the lens cannot read have no sum to check either, for the same reason."""
    refused = applies[~applies["applies"]].drop(columns="applies")
    rows = [{**row, "attribution_applies": False} for row in refused.to_dict("records")]
    rows += Result(name="logit_lens", tables={"t": measured}).rows("t")
    order = {name: place for place, name in enumerate(applies["checkpoint"])}
    rows.sort(key=lambda row: order[row["checkpoint"]])
    return make_table({**MODEL_COLUMNS, **APPLIES}, rows)


def _notes(tokens: int, prompts: Sequence[str] | None) -> dict[str, Any]:
    return {
        "lens": "softmax(LN_final(h) W_U + b_U), without LN_final where the stage has none",
        "sample": f"rows drawn at random until they hold {tokens:,} predicted tokens, or all rows; "
        f"the untrained stages read one row in {UNTRAINED_SHARE} of them",
        "prompts": list(default_prompts() if prompts is None else prompts),
        "rank": "how many tokens have a logit as large or larger, itself included",
        "kl": "KL(the stage's own prediction || the lens), nats",
        "intervals": "95%, percentile bootstrap of 2,000 resamples of stories",
        "p": "sign flips of whole stories, 9,999 draws, two-sided; q: Benjamini-Hochberg over all "
        "rows of the table. lens_corpus: the loss is that of the point before; attribution: the "
        "share is that of the same tokens dealt out at random",
        "attribution": "shares of the true next token's logit minus the mean logit over the "
        "vocabulary, the final LayerNorm's divisor frozen; ln_final.b and b_U are parts of their "
        "own, so the shares add up to the whole",
    }
