"""Results made by hand, with the tables and the meta that the analyses save."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pytest

from lt_interp.article import article, article_stage
from lt_interp.methods.result import Result
from lt_interp.stages import LADDER, STAGES

from .blindness_rows import order_tables

HOSTILE = "<script>alert(1)</script> a|b `x` \\| *bold* [l](http://e.org)\nend "
PERPLEXITIES = dict(
    zip(LADDER, [255.0, 256.5, 40.2, 27.1, 23.0, 37.9, 25.6, 21.4, 12.0, 9.5, 8.9, 8.95, 8.8])
)


def meta(stages: Sequence[str], *, corpus: str = "embedded") -> dict:
    models = {
        stage: {
            "stage": stage, "weights_sha256": f"{place:02d}" * 32, "seed": 0,
            "tokens_seen": 55_000_000, "recipe": "ladder", "val_loss_nats": 2.2,
            "trained_on": {"name": "tinystories", "split": "train", "sha256": "cd" * 32},
        }
        for place, stage in enumerate(stages)
    }  # fmt: skip
    return {
        "seed": 7,
        "corpus": {"name": corpus, "split": "all" if corpus == "embedded" else "validation",
                   "sha256": "ab" * 32, "n_stories": 660, "n_rows": 628},
        "models": models,
        "versions": {"lt-interp": "0.1.0", "torch": "2.13.0"},
        "command": f"lt-interp report --corpus {corpus}",
        "made_on": "2026-01-02",
        "notes": {"samples": "temperature 0.8"},
    }  # fmt: skip


def ladder(stages: Sequence[str]) -> pd.DataFrame:
    rows = []
    for stage in stages:
        perplexity, published = PERPLEXITIES[stage], article_stage(stage)
        scored_on = published.get("scored_on", "every position") if published else None
        rows.append({
            "stage": stage, "adds": STAGES[stage].adds, "parameters": published.get("params", 9),
            "seed": 0, "tokens_seen": 55_000_000, "loss_nats": 2.0, "perplexity": perplexity,
            "perplexity_low": 0.98 * perplexity, "perplexity_high": 1.03 * perplexity,
            "perplexity_last_token": 1.1 * perplexity, "n_tokens": 160_140, "n_stories": 660,
            "article_perplexity": published.get("perplexity"),
            "article_parameters": published.get("params"),
            "article_scored_on": scored_on,
        })  # fmt: skip
    return pd.DataFrame(rows).astype({"article_parameters": "Int64"})


def pairs(stages: Sequence[str]) -> pd.DataFrame:
    rows = []
    for stage in stages:
        previous = STAGES[stage].grows_from
        if previous in stages:
            difference = (PERPLEXITIES[stage] - PERPLEXITIES[previous]) / PERPLEXITIES[previous]
            rows.append({"stage": stage, "previous": previous, "difference_nats": difference,
                         "low": difference - 0.01, "high": difference + 0.01,
                         "n_stories": 660})  # fmt: skip
    columns = ["stage", "previous", "difference_nats", "low", "high", "n_stories"]
    return pd.DataFrame(rows, columns=columns)


def curves(stages: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Our validations every 8 million tokens, and the published points beside them."""
    ours = [
        {"stage": stage, "seed": 0, "step": 1000 * n, "tokens_seen": 8_000_000 * n,
         "val_loss_nats": 2.0, "perplexity": 60.0 / n}
        for stage in stages for n in range(1, 8)
    ]  # fmt: skip
    published = []
    for stage in ("05_attn_position", "09_multi_head"):
        for step, perplexity in article()["curves"][stage].items():
            tokens = 16_320 * int(step)
            known = [c for c in ours if c["stage"] == stage and c["tokens_seen"] <= tokens]
            reached = bool(known) and tokens <= 56_000_000
            published.append({
                "stage": stage, "step": int(step), "tokens_seen": tokens, "perplexity": perplexity,
                "our_tokens_seen": known[-1]["tokens_seen"] if reached else None,
                "our_perplexity": known[-1]["perplexity"] if reached else None,
            })  # fmt: skip
    columns = ["stage", "seed", "step", "tokens_seen", "val_loss_nats", "perplexity"]
    frame = pd.DataFrame(published).astype({"our_tokens_seen": "Int64"})
    return pd.DataFrame(ours, columns=columns), frame


def make_evolution(stages: Sequence[str] = tuple(LADDER), *, corpus: str = "embedded") -> Result:
    ours, published = curves(stages)
    said = article()["evolution_samples"]
    samples = [
        {"stage": stage, "prompt": "Once upon a time", "sample": HOSTILE,
         "article_sample": said.get(stage)} for stage in stages
    ]  # fmt: skip
    parts = [
        {"stage": stage, "component": component, "parameters": number}
        for stage in stages
        for component, number in (("token embedding", 524_288), ("unembedding", 528_384))
    ]
    tables = {
        "ladder": ladder(stages), "pairs": pairs(stages), "samples": pd.DataFrame(samples),
        "parameters": pd.DataFrame(parts), "curves": ours, "article_curves": published,
    }  # fmt: skip
    return Result(name="evolution", tables=tables, meta=meta(stages, corpus=corpus))


def make_blindness(stages: Sequence[str] = tuple(LADDER), *, corpus: str = "embedded") -> Result:
    differences, predictions = [], []
    for stage in stages:
        for weights in ("trained", "untrained"):
            for variant in ("as printed", "with a common last token"):
                blind = stage.startswith(("01", "02")) or (
                    variant != "as printed" and stage in ("03_bigram", "04_attention")
                )
                about = {"stage": stage, "weights": weights, "variant": variant}
                differences.append({
                    **about, "max_abs_logit_difference": 3e-6 if blind else 2.5, "bound": 1e-3,
                    "identical": blind, "expected_identical": blind, "same_top_token": blind,
                    "logit_std": 2.0, "reference_difference": 8.0, "reference_low": 5.0,
                    "reference_high": 12.0, "n_reference": 64,
                })  # fmt: skip
                for sentence in ("The girl saw the dog", "The dog saw the girl"):
                    predictions += [
                        {**about, "sentence": sentence, "rank": rank, "token": token,
                         "probability": 0.3 / rank}
                        for rank, token in enumerate([".", " |", "`", "\n", "<b>"], start=1)
                    ]  # fmt: skip
    tables = {
        **order_tables(stages), "differences": pd.DataFrame(differences),
        "predictions": pd.DataFrame(predictions),
    }  # fmt: skip
    return Result(name="position_blindness", tables=tables, meta=meta(stages, corpus=corpus))


@pytest.fixture(scope="session")
def evolution():
    """Makes the result of the evolution for any stages."""
    return make_evolution


@pytest.fixture(scope="session")
def blindness():
    """Makes the result of the position blindness for any stages."""
    return make_blindness


@pytest.fixture(scope="session")
def hostile() -> str:
    return HOSTILE
