"""The page of every further article: its models, and where each was opened."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from lt_interp.article import article_title
from lt_interp.methods.result import Result
from lt_interp.report.index import links
from lt_interp.report.markdown import code, listing, plain, table
from lt_interp.report.numbers import MISSING, count, ends, millions, perplexity
from lt_interp.report.page import Page

SAYS = {
    "numpy_gpt": "A GPT that reads bytes, small enough to be written out in NumPy: RMSNorm, "
    "SwiGLU, learned positions, one matrix for embedding and unembedding.",
    "char_ablations": "A small GPT that reads characters, trained with and without each of its "
    "parts: initialisation, positions, tying, residual connections, the place of the norm.",
    "four_layer_gpt": "GPT-2's parts in small, four blocks on 10,000 tokens, with learned "
    "positions, ALiBi or RoPE; its key-value cache; and what can be seen inside.",
}
"""What each article builds."""

# Pages that answer an article's own questions; all others ask the ladder's.
_OWN = {"components", "two_sentences", "ablations", "length_generalisation", "kv_cache"}


def family_links(out: Path) -> list[dict[str, str]]:
    """The pages of further articles that stand below the ladder's."""
    return [
        {"title": plain(article_title(family)), "file": f"{family}/index.md", "says": says}
        for family, says in SAYS.items()
        if (out / family / "index.md").is_file()
    ]


def family_context(
    family: str, results: Mapping[str, Result], pages: Mapping[str, Page]
) -> dict[str, Any]:
    """What the page of an article needs.

    Args:
        family: Whose.
        results: The saved results by name, at least one.
        pages: The page of each.
    """
    ladder = results["evolution"].tables["ladder"] if "evolution" in results else None
    return {
        "title": plain(article_title(family)),
        "says": SAYS[family],
        "models": "" if ladder is None else _models(ladder),
        "links": links(results, pages),
        "ladders": listing([pages[name].title for name in results if name not in _OWN]),
    }


def _models(ladder: pd.DataFrame) -> str:
    """The trained models, how long they were trained, and how good they are."""
    rows = [
        [
            code(row.stage), plain(row.adds or MISSING), count(row.parameters),
            millions(row.tokens_seen), f"**{perplexity(row.perplexity)}**",
            ends(row.perplexity_low, row.perplexity_high),
        ]
        for row in ladder.itertuples()
    ]  # fmt: skip
    headers = ["stage", "what it is", "parameters", "tokens seen", "perplexity", "95% interval"]
    return table(headers, rows, align="llrrrr")
