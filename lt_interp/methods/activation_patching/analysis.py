"""Activation patching on every stage: the tables of the page."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import astuple
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lt_interp.corpus.windows import Rows
from lt_interp.methods.activation_patching.experts import expert_rows, expert_sweep
from lt_interp.methods.activation_patching.important import important
from lt_interp.methods.activation_patching.metrics import SMALLEST_NATS
from lt_interp.methods.activation_patching.prompt_pairs import (
    PromptPair,
    group_pairs,
    shipped_pairs,
)
from lt_interp.methods.activation_patching.summary import cell_rows
from lt_interp.methods.activation_patching.sweep import differences, kept, sweep_group
from lt_interp.methods.activation_patching.tables import (
    ACCURACY,
    CELLS,
    EXAMPLES,
    EXPERTS,
    PAIRS,
    TEMPLATES,
    accuracy_rows,
    applies_table,
    example_rows,
    pair_rows,
)
from lt_interp.methods.analyze import tokenizer_of
from lt_interp.methods.checkpoints import Models, find_checkpoints, one_a_stage
from lt_interp.methods.result import Progress, Result, make_table
from lt_interp.methods.significance import DRAWS, with_q
from lt_interp.methods.study import Row, Share, Study
from lt_interp.methods.workers import Workers
from lt_interp.model.stage_model import StageModel


def activation_patching(
    models: Models,
    rows: Rows,
    *,
    seed: int = 0,
    progress: Progress | None = None,
    command: str = "",
    keep: Path | None = None,
    workers: Workers | None = None,
    pairs: Sequence[PromptPair] | None = None,
) -> Result:
    """Carry activations from one prompt into another and see how much of the answer comes along.

    Args:
        models: Names of shipped checkpoints, folders, or models in memory; the lowest seed of each
            stage is asked.
        rows: Token rows of the models' tokenizer. The prompts come with the package; no story is
            read.
        seed: Of resampling, sign flips, wrong donors and untrained weights.
        progress: Called with how much is done.
        command: What repeats the analysis.
        keep: Where finished models are kept.
        workers: Processes for the models.
        pairs: Other prompt pairs than the shipped ones.

    Returns:
        Tables `pairs`, `clean_accuracy`, `by_template`, `cells`, `important`, `examples`,
        `experts` and `applies`. Recoveries are 0 where the run stays the corrupt one and 1 where it
        becomes the clean one, in either direction.

    Raises:
        InputError: A model is unknown, or does not fit the rows.
        RuntimeError: A model's hooks do not do what they should (`checks`).
    """
    asked = list(shipped_pairs() if pairs is None else pairs)
    checkpoints = list(one_a_stage(find_checkpoints(models)).values())
    study = Study(
        name="activation_patching",
        checkpoints=checkpoints,
        rows=rows,
        seed=seed,
        progress=progress,
        command=command,
        keep=keep,
        workers=workers,
        options={"pairs_sha256": _sha256(asked), "smallest_nats": SMALLEST_NATS},
    )
    tables = study.each(
        partial(_measure, pairs=asked, seed=seed),
        columns={
            "clean_accuracy": ACCURACY,
            "by_template": TEMPLATES,
            "cells": CELLS,
            "examples": EXAMPLES,
            "experts": EXPERTS,
        },
    )
    tables = {name: with_q(table) if "p" in table else table for name, table in tables.items()}
    tables["applies"] = applies_table(tables["applies"], tables["clean_accuracy"])
    tables["important"] = important(tables["cells"])
    model = checkpoints[0]
    tokenizer = None if model.model and not model.model.tokenizer else tokenizer_of(model)
    facts = make_table(PAIRS, pair_rows(asked, tokenizer))
    return study.result({"pairs": facts, **tables}, notes=_notes())


def _measure(
    model: StageModel, share: Share, *, pairs: Sequence[PromptPair], seed: int
) -> dict[str, list[Row]]:
    """All tables of one model."""
    tables: dict[str, list[Row]] = {
        name: [] for name in ("clean_accuracy", "by_template", "cells", "examples", "experts")
    }
    if model.tokenizer is None:
        return tables
    groups, _ = group_pairs(pairs, model.tokenizer, n_ctx=model.config.n_ctx)
    if not groups:
        return tables
    tables["clean_accuracy"], tables["by_template"] = accuracy_rows(model, groups, pairs, seed)
    cells: dict[Any, list[Any]] = {}
    experts: dict[Any, list[Any]] = {}
    checked = False
    for done, group in enumerate(groups):
        share(done, len(groups))
        right = np.flatnonzero(kept(*differences(model, group)))
        if not len(right):
            continue
        group = group.take(right.tolist())
        found, positions = sweep_group(model, group, seed=seed, check=not checked)
        checked = True
        for key, part in found.items():
            cells.setdefault(key, []).append(part)
        tables["examples"] += example_rows(model.tokenizer, group, positions, seed=seed)
        if model.config.experts:
            for place, value in expert_sweep(model, group, seed=seed).items():
                experts.setdefault(place, []).append(value)
    tables["cells"] = cell_rows(cells, [pair.template for pair in pairs], seed=seed)
    tables["experts"] = expert_rows(experts, seed=seed)
    return tables


def _sha256(pairs: Sequence[PromptPair]) -> str:
    return hashlib.sha256(repr([astuple(pair) for pair in pairs]).encode()).hexdigest()


def _notes() -> dict[str, Any]:
    return {
        "recovery": "(LD_patched - LD_corrupt) / (LD_clean - LD_corrupt), LD the clean answer's "
        "logit minus the corrupt answer's after the last token, in both directions; the mean over "
        "pairs of each pair's own ratio",
        "dropped": f"pairs with LD_clean - LD_corrupt below {SMALLEST_NATS:g} nat on that stage",
        "intervals": "95%, percentile bootstrap of 2,000 resamples of pairs; pairs share templates "
        "and words, so they speak of further pairs of these templates",
        "wrong_donor": "the same patch from another prompt of the same template, whose answer is "
        "not the clean one",
        "share_right": "Wilson's 95% interval, by pair, trained and untrained",
        "p": f"sign flips ({DRAWS:,}) of recovery minus the wrong donor's, by pair; q is "
        "Benjamini-Hochberg over every cell of every stage",
        "experts_p": "sign flips of recovery minus the wrong donor's; where no wrong donor is "
        "asked, of the distance from the unpatched run",
    }
