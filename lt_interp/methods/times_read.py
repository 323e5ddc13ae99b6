"""How unequally two stages were trained."""

from __future__ import annotations

from typing import Any

import pandas as pd

ALIKE = 1.01


def times_read(now: Any, before: Any) -> float:
    """How many tokens one stage read for each that another read.

    Args:
        now: Tokens seen by the one, a cell of a table.
        before: By the other.

    Returns:
        1 where they read alike, but for the rows that batches of another size leave over at the
        end of a pass, and where one has read nothing that is on record.
    """
    if pd.isna(now) or pd.isna(before) or not now or not before:
        return 1.0
    times = float(now / before)
    return times if max(times, 1 / times) > ALIKE else 1.0
