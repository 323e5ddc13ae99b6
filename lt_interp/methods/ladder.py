"""Every stage at a glance, by family: its size, its training and its perplexity."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypedDict

import pandas as pd

from lt_interp.article import article_stage
from lt_interp.methods.checkpoints import Checkpoint, find_checkpoints
from lt_interp.methods.parameters import built_shapes, count, weight_shapes
from lt_interp.methods.result import make_table
from lt_interp.stages import FAMILIES, STAGES
from lt_interp.training.checkpoint import shipped_checkpoints


class Rung(TypedDict):
    """A stage, or a further checkpoint of one; what is not on record or published is `None`.

    Attributes:
        id: Name of the stage, or of the checkpoint where it is a further one.
        family: Whose article the stage is from.
        adds: What the stage adds to the one it grows from; of a further checkpoint, its seed too.
        parameters: Counted from the weights.
        tokens_seen: Tokens predicted in training.
        perplexity: Of every position of the validation split it was trained beside, by token: what
            reads bytes or characters has a smaller one than what reads words.
        article_perplexity: What the article reports on its own corpus and vocabulary.
    """

    id: str
    family: str
    adds: str
    parameters: int
    tokens_seen: int | None
    perplexity: float | None
    article_perplexity: float | None


def ladder() -> list[Rung]:
    """Every stage, trained or not, family by family, further checkpoints (seeds) behind each."""
    shipped = shipped_checkpoints()
    checkpoints = {found.name: found for found in find_checkpoints(shipped)} if shipped else {}
    further = [found for name, found in checkpoints.items() if name not in STAGES]
    names = [
        name
        for family in (*FAMILIES, "")  # the last of a stage that is none of ours
        for name in (
            *FAMILIES.get(family, ()),
            *(found.name for found in further if found.family == family),
        )
    ]
    return [_rung(name, checkpoints.get(name)) for name in names]


class Ladder(pd.DataFrame):
    """The table of the stages; what is taken out of it is an ordinary DataFrame.

    A notebook shows it whole and rounded, where pandas would cut the texts and print six decimals.
    """

    def _repr_html_(self) -> str:
        shown = {}
        for name in self:
            heading, form = _SHOWN.get(name, (name, str))
            shown[heading] = self[name].map(form, na_action="ignore")
        with pd.option_context("display.max_colwidth", None):
            return pd.DataFrame(shown).to_html(index=False, na_rep="–", justify="left", border=0)


# What a notebook shows of each column: its heading, and how a value is written.
_SHOWN: dict[str, tuple[str, Callable[[Any], str]]] = {
    "id": ("stage", str),
    "family": ("family", str),
    "adds": ("adds", str),
    "parameters": ("parameters", "{:,}".format),
    "tokens_seen": ("tokens seen", "{:,.0f}".format),
    "perplexity": ("perplexity", "{:,.2f}".format),
    "article_perplexity": ("article's", "{:,.1f}".format),
}


def stages() -> Ladder:
    """Every stage as a table, which a notebook shows as one."""
    columns = {
        "id": str,
        "family": str,
        "adds": str,
        "parameters": int,
        "tokens_seen": int,
        "perplexity": float,
        "article_perplexity": float,
    }
    return Ladder(make_table(columns, ladder()))


def _rung(name: str, checkpoint: Checkpoint | None) -> Rung:
    if checkpoint is None:
        return Rung(
            id=name,
            family=STAGES[name].family,
            adds=STAGES[name].adds,
            parameters=count(built_shapes(STAGES[name].config)),
            tokens_seen=None,
            perplexity=None,
            article_perplexity=article_stage(name).get("perplexity"),
        )
    loss = checkpoint.card["val_loss_nats"]
    kind = "converted" if "converted_from" in checkpoint.card else f"seed {checkpoint.seed}"
    further = f" ({kind})" if name != checkpoint.stage or kind == "converted" else ""
    return Rung(
        id=name,
        family=checkpoint.family,
        adds=f"{checkpoint.adds}{further}",
        parameters=count(weight_shapes(checkpoint)),
        tokens_seen=checkpoint.card["tokens_seen"],
        perplexity=None if loss is None else math.exp(loss),
        article_perplexity=article_stage(checkpoint.stage).get("perplexity"),
    )
