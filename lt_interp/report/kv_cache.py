"""The page on what keeping keys and values saves and costs."""

from __future__ import annotations

from functools import partial
from typing import Any

from lt_interp.figures import kv_cache as figure
from lt_interp.methods.result import Result
from lt_interp.report.markdown import code, plain, table
from lt_interp.report.numbers import count, extremes, small
from lt_interp.report.page import Drawing, Page
from lt_interp.report.provenance import versions

__all__ = ["KV_CACHE"]
FIGURE = "time_and_memory.svg"


def _drawings(result: Result) -> dict[str, Drawing]:
    return {FIGURE: Drawing(partial(figure.time_and_memory, result), figure.SIZE, figure.PANELS)}


def _context(result: Result) -> dict[str, Any]:
    rows = [
        [
            code(row.stage), count(row.length), f"{1000 * row.kept_seconds:.2f}",
            f"{1000 * row.read_again_seconds:.2f}", f"{row.ratio:.1f}",
            f"{row.cache_bytes / 2**20:.2f}", small(row.max_abs_logit_difference),
        ]
        for row in result.tables["tokens"].itertuples()
    ]  # fmt: skip
    headers = ["stage", "tokens before", "kept, ms", "read again, ms", "times faster", "cache, MiB",
               "largest difference of a logit"]  # fmt: skip
    notes = result.meta["notes"]
    return {
        "headline": _headline(result),
        "tokens": table(headers, rows, align="lrrrrrr"),
        "notes": [plain(f"{name}: {text}") for name, text in notes.items()],
        "command": code(result.meta["command"]),
        "seed": plain(str(result.meta["seed"])),
        "versions": versions(result.meta),
        "figure": FIGURE,
    }


def _headline(result: Result) -> str:
    tokens = result.tables["tokens"]
    relative = tokens["max_abs_logit_difference"] / tokens["largest_logit"]
    longest = tokens[tokens["length"] == tokens["length"].max()]
    faster = extremes(longest["ratio"], lambda ratio: f"{ratio:.1f}")
    return (
        f"Kept keys and values give the same logits (within {small(relative.max())} of the "
        f"largest) and after {count(longest['length'].iloc[0])} tokens the next one {faster} times "
        "faster."
    )


KV_CACHE = Page(
    title="The KV cache",
    template="kv_cache.md.j2",
    context=_context,
    drawings=_drawings,
    headline=_headline,
)
