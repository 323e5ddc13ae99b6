"""The parts that matter, ranked: what carries the answer better than a wrong donor's would."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lt_interp.methods.activation_patching.cells import HEADS
from lt_interp.methods.result import make_table
from lt_interp.methods.significance import FDR
from lt_interp.methods.study import MODEL_COLUMNS

SMALLEST = 0.05  # recovery that counts as mattering, either sign
PARTS = ("attn_out", "mlp_out", *HEADS)
WHOLE = "all"  # of a head, whatever it does at any position
IMPORTANT = {
    "rank": int, "component": str, "layer": int, "head": int, "position_role": str,
    "recovery": float, "low": float, "high": float, "donor_recovery": float,
    "noising_recovery": float, "template_low": float, "template_high": float, "q": float,
    "n_pairs": int,
}  # fmt: skip
_PLACE = ["checkpoint", "component", "layer", "head", "position_role"]


def important(cells: pd.DataFrame) -> pd.DataFrame:
    """The parts of each model whose patch carries the answer, the strongest first.

    A part is an attention or feed-forward output at the positions of a role, or a head at all
    positions; the stream itself is none, since all parts pass through it. It matters if its
    recovery differs from that of a wrong donor (q of at most 0.05), is larger than it in size and
    at least 0.05 away from zero.

    Args:
        cells: The table of pooled cells, with q.
    """
    whole_head = cells["position_role"] == WHOLE
    parts = cells[cells["component"].isin(PARTS) & (whole_head | cells["head"].isna())]
    denoising = parts[parts["direction"] == "denoising"]
    noising = {
        _place(row): row["recovery"]
        for row in parts[parts["direction"] == "noising"].to_dict("records")
    }
    found = denoising[
        (denoising["q"].astype(float) <= FDR)
        & (denoising["recovery"].abs() >= SMALLEST)
        & (denoising["recovery"].abs() > denoising["donor_recovery"].abs())
    ]
    rows = []
    for _, of_model in found.groupby("checkpoint", sort=False):
        order = of_model["recovery"].abs().sort_values(ascending=False, kind="stable").index
        for rank, row in enumerate(of_model.loc[order].to_dict("records"), start=1):
            known = {name: row[name] for name in (*MODEL_COLUMNS, *IMPORTANT) if name in row}
            rows.append({**known, "rank": rank, "noising_recovery": noising.get(_place(row))})
    return make_table({**MODEL_COLUMNS, **IMPORTANT}, [_plain(row) for row in rows])


def _place(row: dict[str, Any]) -> tuple[Any, ...]:
    """Which cell a row is about, in either direction."""
    return tuple(None if pd.isna(row[name]) else row[name] for name in _PLACE)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row with `None` for what is missing."""
    return {name: None if pd.isna(value) else value for name, value in row.items()}
