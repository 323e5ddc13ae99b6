"""Every stage at a glance, by family: its size, its training and its perplexity."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypedDict

from lt_interp.article import article_stage
from lt_interp.methods.parameter_table import parameter_table
from lt_interp.stages import FAMILIES, STAGES
from lt_interp.training.run_folder import (
    read_card,
    shipped_checkpoints,
    shipped_folder,
    stored_shapes,
)


class Rung(TypedDict):
    """A stage, or a further checkpoint of one; what is not on record or published is `None`.

    Attributes:
        id: Name of the stage, or of the checkpoint where it is a further one.
        family: Whose article the stage is from.
        adds: What the stage adds to the one it grows from; of a further checkpoint, its seed too.
        parameters: Counted from the shapes of its stored weights; of a stage that is not shipped,
            by the formulas of its parts.
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
    runs = [_Run(name, read_card(shipped_folder(name))) for name in shipped_checkpoints()]
    own = {run.name: run for run in runs if run.name in STAGES}
    rungs = []
    for family in (*FAMILIES, ""):  # the last of a stage that is none of ours
        for stage in FAMILIES.get(family, ()):
            rungs.append(_trained(own[stage]) if stage in own else _untrained(stage))
        further = [run for run in runs if run.family == family and run.name not in STAGES]
        rungs += [_trained(run) for run in sorted(further, key=lambda run: run.order)]
    return rungs


@dataclass(frozen=True)
class _Run:
    """A shipped checkpoint and its `run.json`."""

    name: str
    card: dict[str, Any]

    @property
    def family(self) -> str:
        """Of its stage; empty for a stage that is none of ours."""
        stage = self.card["stage"]
        return STAGES[stage].family if stage in STAGES else ""

    @property
    def order(self) -> tuple[int, bool, int, str]:
        """By stage, then by seed; one that was converted has none and stands behind the others."""
        place = list(STAGES).index(self.card["stage"]) if self.family else len(STAGES)
        seed = self.card["seed"]
        return place, seed is None, seed or 0, self.name


def _untrained(name: str) -> Rung:
    """A stage that is not shipped; its parameters are those of its table, by component."""
    return Rung(
        id=name,
        family=STAGES[name].family,
        adds=STAGES[name].adds,
        parameters=parameter_table(STAGES[name].config)[-1].parameters,
        tokens_seen=None,
        perplexity=None,
        article_perplexity=article_stage(name).get("perplexity"),
    )


def _trained(run: _Run) -> Rung:
    stage, loss = run.card["stage"], run.card["val_loss_nats"]
    kind = "converted" if "converted_from" in run.card else f"seed {run.card['seed']}"
    further = f" ({kind})" if run.name != stage or kind == "converted" else ""
    return Rung(
        id=run.name,
        family=run.family,
        adds=f"{STAGES[stage].adds if run.family else ''}{further}",
        parameters=sum(map(math.prod, stored_shapes(shipped_folder(run.name)).values())),
        tokens_seen=run.card["tokens_seen"],
        perplexity=None if loss is None else math.exp(loss),
        article_perplexity=article_stage(stage).get("perplexity"),
    )
