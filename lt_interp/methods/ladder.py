"""The ladder at a glance: every stage with its size, its training and its perplexity."""

from __future__ import annotations

import math
from typing import TypedDict

import pandas as pd

from lt_interp.article import article_stage
from lt_interp.methods.checkpoints import Checkpoint, find_checkpoints
from lt_interp.methods.parameters import built_shapes, count, weight_shapes
from lt_interp.methods.result import make_table
from lt_interp.stages import STAGES
from lt_interp.training.checkpoint import shipped_checkpoints


class Rung(TypedDict):
    """A stage, or a further checkpoint of one; what is not on record or published is `None`.

    Attributes:
        id: Name of the stage, or of the checkpoint where it is a further one.
        adds: What the stage adds to the one it grows from; of a further checkpoint, its seed too.
        parameters: Counted from the weights.
        tokens_seen: Tokens predicted in training.
        perplexity: Of every position of the validation split it was trained beside.
        article_perplexity: What the article reports on its own corpus and vocabulary.
    """

    id: str
    adds: str
    parameters: int
    tokens_seen: int | None
    perplexity: float | None
    article_perplexity: float | None


def ladder() -> list[Rung]:
    """Every stage in order, trained or not, then the further checkpoints (other seeds)."""
    shipped = shipped_checkpoints()
    checkpoints = {found.name: found for found in find_checkpoints(shipped)} if shipped else {}
    further = [name for name in checkpoints if name not in STAGES]
    return [_rung(name, checkpoints.get(name)) for name in (*STAGES, *further)]


def stages() -> pd.DataFrame:
    """The ladder as a table, which a notebook shows as one."""
    columns = {
        "id": str,
        "adds": str,
        "parameters": int,
        "tokens_seen": int,
        "perplexity": float,
        "article_perplexity": float,
    }
    return make_table(columns, ladder())


def _rung(name: str, checkpoint: Checkpoint | None) -> Rung:
    if checkpoint is None:
        return Rung(
            id=name,
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
        adds=f"{checkpoint.adds}{further}",
        parameters=count(weight_shapes(checkpoint)),
        tokens_seen=checkpoint.card["tokens_seen"],
        perplexity=None if loss is None else math.exp(loss),
        article_perplexity=article_stage(checkpoint.stage).get("perplexity"),
    )
