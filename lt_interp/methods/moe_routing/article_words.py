"""The article's words in our models, for every way to number the experts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations, product
from typing import Any

import numpy as np

from lt_interp.article import article
from lt_interp.methods.moe_routing.by_token import RULE, share_interval
from lt_interp.methods.moe_routing.routed import Labels
from lt_interp.methods.moe_routing.tally import Tally

WORD_COUNTS = {
    "labels": str, "word": str, "token_id": int, "n_decisions": int, "count_1": int,
    "share_1": float, "low_1": float, "high_1": float, "load_1": float, "n_stories": int,
}  # fmt: skip
LABELINGS = {
    "labels": str, "n_tokens_tested": int, "n_over_80": int, "n_over_80_expert_0": int,
    "n_over_80_expert_1": int,
}  # fmt: skip


def article_counts() -> list[dict[str, Any]]:
    """The article's words: the expert it gives them to, its counts, and its percentage.

    A word of its printed table that its notebook does not list has a percentage and no counts.
    """
    routing = article()["routing"]
    found = []
    for expert in (0, 1):
        for word, (count, total) in routing[f"expert_{expert}"].items():
            printed = routing["article_table"].get(word.strip())
            found.append({
                "word": _text(word), "article_expert": expert, "article_count": count,
                "article_total": total, "article_share": count / total,
                "article_printed": None if printed is None else printed / 100,
            })  # fmt: skip
    listed = {one["word"].strip() for one in found}
    found += [
        {"word": f" {word}", "article_expert": 1, "article_count": None, "article_total": None,
         "article_share": share / 100, "article_printed": share / 100}
        for word, share in routing["article_table"].items() if word not in listed
    ]  # fmt: skip
    return found


def _text(word: str) -> str:
    """A token as its tokenizer has it; the notebook wrote the new line as two characters."""
    return word.replace("\\n", "\n")


def labelings(n_experts: int, n_layers: int) -> list[Labels]:
    """Every way to number the experts of every layer; only two experts compare with the article."""
    if n_experts != 2:
        return []
    return list(product(permutations(range(n_experts)), repeat=n_layers))


def labels_text(labels: Labels) -> str:
    """New numbers as a table has them: `"01/10"` exchanges the second layer's two."""
    return "/".join("".join(map(str, layer)) for layer in labels)


def word_rows(tally: Tally, tokens: Sequence[str], *, seed: int) -> list[dict[str, Any]]:
    """What expert 1 gets of the article's words, layers pooled, under every numbering.

    Args:
        tally: Of all layers.
        tokens: The text of every token id.
        seed: Of the resampling of stories.
    """
    place = {text: i for i, text in enumerate(tokens)}
    words = {place[one["word"]]: one["word"] for one in article_counts() if one["word"] in place}
    ids = np.array([i for i in sorted(words) if tally.by_token[i].any()], dtype=np.int64)
    rows = []
    for labels in labelings(tally.n_experts, tally.n_layers) if len(ids) else []:
        pooled = tally.set(range(tally.n_layers), labels=labels)
        sent = pooled.token_counts()[ids]
        n, to_1 = sent.sum(axis=1), sent[:, 1]
        low, high = share_interval(pooled, ids, np.ones_like(ids), seed=seed)
        loads, n_stories = pooled.loads(), tally.story_tokens.votes()[0][ids]
        rows += [
            {"labels": labels_text(labels), "word": words[int(i)], "token_id": int(i),
             "n_decisions": int(n[k]), "count_1": int(to_1[k]),
             "share_1": float(to_1[k] / n[k]), "low_1": float(low[k]), "high_1": float(high[k]),
             "load_1": float(loads[1]), "n_stories": int(n_stories[k])}
            for k, i in enumerate(ids)
        ]  # fmt: skip
    return rows


def labeling_rows(tally: Tally, *, least: int) -> list[dict[str, Any]]:
    """How many tokens exceed the article's 80% under every numbering, layers pooled.

    The numbers of the experts are arbitrary in each layer by itself, and so is the count.

    Args:
        tally: Of all layers.
        least: Decisions that a token needs.
    """
    rows = []
    for labels in labelings(tally.n_experts, tally.n_layers):
        sent = tally.set(range(tally.n_layers), labels=labels).token_counts()
        sent = sent[sent.sum(axis=1) >= least]
        over = (sent / sent.sum(axis=1, keepdims=True) > RULE).sum(axis=0)
        rows.append({"labels": labels_text(labels), "n_tokens_tested": len(sent),
                     "n_over_80": int(over.sum()), "n_over_80_expert_0": int(over[0]),
                     "n_over_80_expert_1": int(over[1])})  # fmt: skip
    return rows
