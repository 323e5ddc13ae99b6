"""The routing of every stage with experts, beside what routing without meaning gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from lt_interp.corpus.windows import Rows
from lt_interp.methods.checkpoints import Models, find_checkpoints, untrained
from lt_interp.methods.moe_routing import across_models, article_words, load, matched_words, origin
from lt_interp.methods.moe_routing.by_token import LEAST, TOKENS
from lt_interp.methods.moe_routing.causal import CAUSAL, CAUSAL_ROWS, causal_rows
from lt_interp.methods.moe_routing.decisions import (
    Decisions,
    collect,
    rows_needed,
    special_ids,
)
from lt_interp.methods.moe_routing.information import (
    INFORMATION,
    INFORMATION_DRAWS,
    information_rows,
)
from lt_interp.methods.moe_routing.nulls import NULLS, null_rows
from lt_interp.methods.moe_routing.other_routers import (
    OWN_ROUTERS,
    other_routers,
)
from lt_interp.methods.moe_routing.routed import sent_by_story, sets
from lt_interp.methods.moe_routing.story_groups import GROUPS
from lt_interp.methods.moe_routing.story_structure import STORY_STRUCTURE, story_structure_rows
from lt_interp.methods.moe_routing.streamed import classes_of, describe, texts_of
from lt_interp.methods.moe_routing.tally import Tally
from lt_interp.methods.moe_routing.together import compared
from lt_interp.methods.result import Progress, Result
from lt_interp.methods.routing_names import POOLED, RANDOM
from lt_interp.methods.study import Share, Study
from lt_interp.methods.workers import Workers
from lt_interp.model.config import ModelConfig
from lt_interp.model.stage_model import StageModel

DECISIONS = 250_000
DRAWS = 200
GRADIENT_ROWS = 2
STEPS = 100  # of the progress of one model

COLUMNS = {
    "load": load.LOAD,
    "tokens": TOKENS,
    "shares": across_models.SHARES,
    "labelings": article_words.LABELINGS,
    "information": INFORMATION,
    "repetition": load.REPETITION,
    "margin": load.MARGIN,
    "causal": CAUSAL,
    "nulls": NULLS,
    "word_counts": article_words.WORD_COUNTS,
    "feeling_words": matched_words.FEELINGS,
    "feeling_shares": matched_words.FEELING_SHARES,
    "story_structure": STORY_STRUCTURE,
    "gradient": origin.GRADIENT,
}


def moe_routing(
    models: Models,
    rows: Rows,
    *,
    seed: int = 0,
    progress: Progress | None = None,
    command: str = "",
    keep: Path | None = None,
    workers: Workers | None = None,
    tokens: int = DECISIONS,
    draws: int = DRAWS,
) -> Result:
    """Ask what the experts of a mixture specialise in, and how much of it means anything.

    Args:
        models: Checkpoints or models; those without experts get a row that says so.
        rows: Token rows of their tokenizer.
        seed: Of resampling, shuffles, exchanges of stories, random routers and the untrained stage.
        progress: Called as the analysis advances.
        command: What repeats it.
        keep: Where finished models are kept.
        workers: Processes for the models.
        tokens: Token-and-layer decisions, from the first row on; fewer where the rows hold fewer.
        draws: Shuffles of each layer; random routers are as many, in the trained stage
            `other_routers.OWN_ROUTERS` times as many.

    Returns:
        Tables `load`, `tokens`, `counts`, `labelings`, `information`, `repetition`, `margin`,
        `causal`, `nulls`, `article_words`, `article_agreement`, `agreement`, `feeling_words`,
        `feeling_shares`, `story_structure`, `origin` and `applies`.

    Raises:
        InputError: A checkpoint cannot be read or does not fit the rows, or no decision is asked.
    """
    checkpoints = find_checkpoints(models)
    study = Study(
        name="moe_routing", checkpoints=checkpoints, rows=rows, seed=seed, progress=progress,
        command=command, keep=keep, workers=workers, options={"tokens": tokens, "draws": draws},
    )  # fmt: skip
    measure = _Measure(rows, seed=seed, tokens=tokens, draws=draws)
    found = study.each(measure, columns=COLUMNS, needs=_needs)
    tables = compared(found, seed=seed)
    tables["origin"] = origin.origin_table(checkpoints, found["gradient"])
    return study.result(tables, notes=_notes(tokens, draws))


def _needs(config: ModelConfig) -> str | None:
    return None if config.experts else "it has no experts and nothing is routed"


class _Measure:
    """All tables of one model."""

    def __init__(self, rows: Rows, *, seed: int, tokens: int, draws: int) -> None:
        self._rows, self._seed, self._tokens, self._draws = rows, seed, tokens, draws
        self._fresh: tuple[ModelConfig, Decisions] | None = None

    def __call__(self, model: StageModel, share: Share) -> dict[str, list[dict[str, Any]]]:
        """Measure."""
        seed = self._seed
        n_rows = rows_needed(
            self._rows, special_ids(model), n_layers=model.config.depth, decisions=self._tokens
        )
        decisions = collect(model, self._rows, n_rows, share=_part(share, 0, 20))
        fresh = self._untrained(model, n_rows, _part(share, 20, 40))
        tally, texts, classes = Tally.of(decisions), texts_of(model), classes_of(model)
        found = describe(tally, texts, classes, seed=seed)
        del found["summaries"]  # the values in `nulls`
        found |= {"gradient": origin.gradient_rows(model, self._some_rows()), "information": [],
                  "feeling_words": [], "story_structure": []}  # fmt: skip
        others = other_routers(model, decisions, fresh, seed=seed, draws=self._draws)
        apart, counted = sets(decisions), tally.sets()
        for place, (one, tallied) in enumerate(zip(apart, counted, strict=True)):
            found["information"] += information_rows(one, seed=seed, one=tallied)
            if one.name != POOLED:
                random = others[place].counts[RANDOM]
                words = matched_words.words_of(tallied, texts, classes)
                found["feeling_words"] += matched_words.feeling_rows(
                    words, sent_by_story(one, words.ids), random[:, words.ids],
                    layer=one.name, seed=seed,
                )  # fmt: skip
                found["story_structure"] += story_structure_rows(
                    tallied, texts, classes, random, seed=seed
                )
            share(40 + 20 * (place + 1) // len(apart), STEPS)
        found["nulls"] = null_rows(apart, counted, others, least=LEAST)
        share(75, STEPS)
        found["causal"] = causal_rows(
            model, self._rows, n_rows, classes, seed=seed, share=_part(share, 75, 100)
        )
        return found

    def _untrained(self, model: StageModel, n_rows: int, share: Share) -> Decisions:
        """The untrained stage on the same rows, once for all seeds of a stage."""
        if self._fresh is None or self._fresh[0] != model.config:
            fresh = untrained(model, seed=self._seed)
            self._fresh = (model.config, collect(fresh, self._rows, n_rows, share=share))
        return self._fresh[1]

    def _some_rows(self) -> torch.Tensor:
        return torch.from_numpy(np.asarray(self._rows.tokens[:GRADIENT_ROWS, :-1]).astype(np.int64))


def _part(share: Share, begin: int, end: int) -> Share:
    """A stretch of a model's progress."""
    return lambda done, n: share(begin + (end - begin) * done // max(n, 1), STEPS)


def _notes(tokens: int, draws: int) -> dict[str, Any]:
    return {
        "decisions": f"{tokens:,} token-and-layer decisions asked for, whole rows from the first; "
        "the last position of a row and special tokens are left out, as in the article",
        "intervals": "95%, stories resampled 2,000 times; Wilson's where a column says so",
        "tokens": f"those with {LEAST} decisions or more in the layer or the pooled set",
        "discoveries": "Benjamini-Hochberg at 5% over all tokens, layers and models; the pooled "
        "sets are a family of their own; each story has one weighted vote in the p value",
        "information": f"less the mean of {INFORMATION_DRAWS} exchanges of stories; 95% intervals "
        f"by a jackknife that leaves out one of {GROUPS} groups of stories at a time, Student's t",
        "nulls": f"{draws} shuffles and {OWN_ROUTERS * draws} random routers in the trained stage, "
        f"{draws} elsewhere, a layer; p is the share of draws as "
        "high or higher, p_two_sided twice the smaller tail; q is Benjamini-Hochberg's of the "
        "latter for random routers, a family for each statistic, pooled sets apart",
        "causal": f"{CAUSAL_ROWS} rows at most, spread evenly over those read; by class, only "
        "tokens of the class are sent to the other expert",
    }
