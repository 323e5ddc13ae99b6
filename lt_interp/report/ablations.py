"""The page of the ablations: what each part of a small GPT is worth."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd

from lt_interp.figures import ablations as figure
from lt_interp.methods.result import Result
from lt_interp.report import article_tables, article_text
from lt_interp.report.markdown import code, plain, table
from lt_interp.report.numbers import MISSING, count, ends, nats
from lt_interp.report.page import Drawing, Page

__all__ = ["ABLATIONS"]
LOSSES: dict[str, dict[str, Any]] = {
    "initialisation.svg": {"arms": ("pytorch_default", "gpt")},
    "residuals.svg": {
        "arms": ("no_residual_1", "no_residual_2", "no_residual_3", "gpt"), "unigram": True,
    },
    "parts.svg": {"arms": ("gpt", "no_positions", "untied", "post_norm")},
    "few_stories.svg": {"arms": ("few", "few_no_positions")},
}  # fmt: skip
GRADIENTS = "gradients.svg"


def _drawings(result: Result) -> dict[str, Drawing]:
    drawings = {
        file: Drawing(partial(figure.loss_by_step, result, **choices), figure.SIZE)
        for file, choices in LOSSES.items()
    }
    drawings[GRADIENTS] = Drawing(
        partial(figure.gradients, result), figure.GRADIENTS_SIZE, figure.GRADIENTS_PANELS
    )
    return drawings


def _context(result: Result) -> dict[str, Any]:
    claims, notes = result.tables["claims"], result.meta["notes"]
    return {
        "corpus": _text_sentence(result),
        "tally": article_text.tally_sentence(claims),
        "verdicts": article_text.verdict_sentences(claims),
        "claims": article_tables.claims_table(claims),
        "claim_notes": article_tables.claim_notes(claims),
        "differences": _differences(result),
        "runs": _runs(result.tables["runs"]),
        "announced": _announced(result.tables["differences"]),
        "untied_cost": _untied_cost(result.tables["runs"]),
        "steps": count(notes["steps"]),
        "characters": count(notes["batch_rows"] * (notes["row_tokens"] - 1)),
        "few": count(notes["few_characters"]),
    }


def _text_sentence(result: Result) -> str:
    """Which text, and that this is not the article's."""
    corpus, seeds = result.meta["corpus"], result.meta["notes"]["seeds"]
    return (
        f"**Trained on {code(corpus['name'])}**, its training split, and validated on "
        f"{count(corpus['n_stories'])} stories held out of it, from {len(seeds)} seeds. The "
        "article trained on a novel, and for many more steps."
    )


def _differences(result: Result) -> str:
    says = dict(zip(result.tables["runs"]["arm"], result.tables["runs"]["says"], strict=True))
    rows = [
        [
            plain(says[row.arm]), plain(says[row.against]), plain(row.measure),
            nats(row.difference_nats), ends(row.low, row.high, nats), count(row.n_seeds),
        ]
        for row in result.tables["differences"].itertuples()
    ]  # fmt: skip
    headers = ["what", "against", "loss", "difference, nats", "95% interval", "seeds"]
    return table(headers, rows, align="lllrrr")


def _runs(runs: pd.DataFrame) -> str:
    rows = []
    for arm, own in runs.groupby("arm", sort=False):
        first = own.iloc[0]
        rows.append(
            [
                plain(first["says"]), code(str(arm)), count(first["parameters"]), count(len(own)),
                *(f"{own[name].mean():.3f}" for name in (
                    "first_loss_nats", "train_loss_nats", "val_loss_nats")),
            ]
        )  # fmt: skip
    headers = ["what", "arm", "parameters", "seeds", "loss at step 1", "final training loss",
               "final validation loss"]  # fmt: skip
    return table(headers, rows, align="llrrrrr")


def _announced(differences: pd.DataFrame) -> str:
    """Pre-norm against post-norm, which the article leaves for later."""
    own = differences[differences["arm"] == "post_norm"]
    row = own[own["measure"] == "validation"]
    if not len(row):
        return "Post-norm was not trained."
    value, low, high = (float(row[name].iloc[0]) for name in ("difference_nats", "low", "high"))
    better = "worse than" if low > 0 else "better than" if high < 0 else "not told apart from"
    return (
        f"Post-norm is {better} pre-norm at these five blocks: its validation loss differs by "
        f"{nats(value)} nats ({ends(low, high, nats)})."
    )


def _untied_cost(runs: pd.DataFrame) -> str:
    counts = runs.groupby("arm")["parameters"].first()
    if not {"untied", "gpt"} <= set(counts.index):
        return MISSING
    more = int(counts["untied"] - counts["gpt"])
    return (
        f"Untying costs {count(more)} parameters, {more / counts['gpt']:.1%} of "
        f"{count(counts['gpt'])}."
    )


def _headline(result: Result) -> str:
    return article_text.tally_sentence(result.tables["claims"])


ABLATIONS = Page(
    title="The ablations",
    template="ablations.md.j2",
    context=_context,
    drawings=_drawings,
    headline=_headline,
)
