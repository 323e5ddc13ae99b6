"""The tables of the analysis: their columns, and the rows that need no patch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool
from scipy.stats import binomtest

from lt_interp.corpus.tokenizer import Tokenizer
from lt_interp.methods.activation_patching.cells import Cell
from lt_interp.methods.activation_patching.metrics import SMALLEST_NATS
from lt_interp.methods.activation_patching.prompt_pairs import PairGroup, PromptPair, group_pairs
from lt_interp.methods.activation_patching.summary import means, named
from lt_interp.methods.activation_patching.sweep import differences, kept
from lt_interp.methods.checkpoints import untrained
from lt_interp.methods.result import make_table
from lt_interp.methods.study import MODEL_COLUMNS, Row
from lt_interp.model.stage_model import StageModel

PAIRS = {
    "pair": int, "template": str, "kind": str, "clean": str, "corrupt": str, "clean_answer": str,
    "corrupt_answer": str, "n_tokens": int, "n_differing": int, "unusable": str,
}  # fmt: skip
ACCURACY = {
    "n_pairs": int, "share_right": float, "low": float, "high": float,
    "untrained_share_right": float, "untrained_low": float, "untrained_high": float,
    "clean_nats": float, "corrupt_nats": float, "kept": int,
}  # fmt: skip
TEMPLATES = {
    "template": str, "kind": str, "n_pairs": int, "share_right": float, "clean_nats": float,
    "corrupt_nats": float, "kept": int,
}  # fmt: skip
_ESTIMATE = {
    "recovery": float, "low": float, "high": float, "kl_nats": float, "kl_low": float,
    "kl_high": float,
}  # fmt: skip
CELLS = {
    "direction": str, "component": str, "layer": int, "head": int, "position_role": str,
    **_ESTIMATE, "donor_recovery": float, "donor_low": float, "donor_high": float,
    "template_low": float, "template_high": float, "p": float, "n_pairs": int, "n_templates": int,
}  # fmt: skip
EXAMPLES = {
    "template": str, "direction": str, "component": str, "layer": int, "position": int,
    "position_role": str, "clean_token": str, "corrupt_token": str, "recovery": float,
    "low": float, "high": float, "n_pairs": int,
}  # fmt: skip
EXPERTS = {
    "direction": str, "patched": str, "layer": int, "expert": int, "position_role": str,
    **_ESTIMATE, "donor_recovery": float, "donor_low": float, "donor_high": float,
    "share_changed": float, "p": float, "n_pairs": int,
}  # fmt: skip
DIGITS = 4  # of a recovery in the long table of single positions


def accuracy_rows(
    model: StageModel, groups: Sequence[PairGroup], pairs: Sequence[PromptPair], seed: int
) -> tuple[list[Row], list[Row]]:
    """How often the clean answer lies above the other, overall and by template."""
    measured = [differences(model, group) for group in groups]
    blank = untrained(model, seed=seed)
    chance = np.concatenate([(differences(blank, group)[0] > 0).numpy() for group in groups])
    clean = np.concatenate([first.double().numpy() for first, _ in measured])
    corrupt = np.concatenate([second.double().numpy() for _, second in measured])
    keeps = np.concatenate([kept(*both) for both in measured])
    overall = {
        "n_pairs": len(clean), **_share(clean > 0, "share_right", "low", "high"),
        **_share(chance, "untrained_share_right", "untrained_low", "untrained_high"),
        "clean_nats": float(clean.mean()), "corrupt_nats": float(corrupt.mean()),
        "kept": int(keeps.sum()),
    }  # fmt: skip
    names = np.array([pairs[place].template for group in groups for place in group.place])
    kinds = {group.template: group.kind for group in groups}
    by_template: list[Row] = [
        {
            "template": name, "kind": kinds[name], "n_pairs": int((names == name).sum()),
            "share_right": float((clean[names == name] > 0).mean()),
            "clean_nats": float(clean[names == name].mean()),
            "corrupt_nats": float(corrupt[names == name].mean()),
            "kept": int(keeps[names == name].sum()),
        }
        for name in kinds
    ]  # fmt: skip
    return [overall], by_template


def _share(right: Bool[np.ndarray, " pair"], *names: str) -> dict[str, float]:
    """A share of pairs with Wilson's interval: a bootstrap of pairs that are all right has none."""
    found = binomtest(int(right.sum()), len(right))
    ends = found.proportion_ci(method="wilson")
    return dict(zip(names, (found.statistic, ends.low, ends.high), strict=True))


def example_rows(
    tokenizer: Tokenizer,
    group: PairGroup,
    positions: Mapping[tuple[str, Cell], np.ndarray],
    *,
    seed: int,
) -> list[Row]:
    """The mean recovery of single positions over a template's pairs, a pair's tokens beside it.

    Args:
        tokenizer: Of the prompts.
        group: The pairs.
        positions: Recoveries by direction and cell.
        seed: Of the resampling of pairs.
    """
    found = means(list(positions.values()), seed=seed)
    role = {p: name for name, places in group.roles.items() for p in places}
    return [
        {
            "template": group.template,
            "direction": direction,
            "component": cell.component,
            "layer": cell.layer,
            "position": cell.positions[0],
            "position_role": role[cell.positions[0]],
            "clean_token": tokenizer.str_tokens[int(group.clean[0, cell.positions[0]])],
            "corrupt_token": tokenizer.str_tokens[int(group.corrupt[0, cell.positions[0]])],
            **{
                name: None if value is None else round(value, DIGITS)
                for name, value in named(mean, "recovery", "low", "high").items()
            },
            "n_pairs": len(group),
        }
        for (direction, cell), mean in zip(positions, found, strict=True)
    ]


def pair_rows(pairs: Sequence[PromptPair], tokenizer: Tokenizer | None) -> list[Row]:
    """The pairs as they stand in the table."""
    n_ctx = 10**9  # what a context is too short for is a matter of the model
    groups, refused = group_pairs(pairs, tokenizer, n_ctx=n_ctx) if tokenizer else ([], {})
    lengths = {place: group for group in groups for place in group.place}
    return [
        {
            "pair": place,
            "template": pair.template,
            "kind": pair.kind,
            "clean": pair.clean,
            "corrupt": pair.corrupt,
            "clean_answer": pair.clean_answer,
            "corrupt_answer": pair.corrupt_answer,
            "n_tokens": lengths[place].last + 1 if place in lengths else None,
            "n_differing": len(lengths[place].differing) if place in lengths else None,
            "unusable": refused.get(place, None if tokenizer else "no tokenizer is known"),
        }
        for place, pair in enumerate(pairs)
    ]


def applies_table(applies: pd.DataFrame, accuracy: pd.DataFrame) -> pd.DataFrame:
    """Which models could be asked, and why the others could not.

    Args:
        applies: A row a model, as `Study.each` makes it.
        accuracy: The table `clean_accuracy`, without a row where no pair can be expressed.
    """
    kept_pairs = dict(zip(accuracy["checkpoint"], accuracy["kept"], strict=True))
    rows = []
    for row in applies.to_dict("records"):
        n = kept_pairs.get(row["checkpoint"])
        reason = None
        if n is None:
            reason = "its tokenizer or context cannot express any of the prompt pairs"
        elif n == 0:
            reason = (
                f"no pair's logit difference falls by {SMALLEST_NATS:g} nat or more from the "
                "clean to the corrupt prompt, so there is nothing to recover"
            )
        seed = None if pd.isna(row["train_seed"]) else int(row["train_seed"])
        rows.append({**row, "train_seed": seed, "applies": reason is None, "reason": reason})
    return make_table({**MODEL_COLUMNS, "applies": bool, "reason": str}, rows)
