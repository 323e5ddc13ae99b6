"""The numbers of experts that all runs have in common, beside those that each run stores."""

from __future__ import annotations

import pandas as pd


def with_common_experts(table: pd.DataFrame, labels: dict[str, str]) -> pd.DataFrame:
    """Add the column `common_expert`, the common number of each row's `expert`.

    Args:
        table: With columns `checkpoint`, `layer` and `expert`.
        labels: The common numbering of every model, such as `"01/10"`; missing where the models
            have none of the article's words to begin a numbering with, and for several layers at
            once.
    """
    common = [
        int(labels[name].split("/")[int(layer)][int(expert)])
        if name in labels and layer.isdecimal() and not pd.isna(expert)
        else None
        for name, layer, expert in zip(table["checkpoint"], table["layer"], table["expert"])
    ]
    return table.assign(common_expert=pd.array(common, dtype="Int64"))
