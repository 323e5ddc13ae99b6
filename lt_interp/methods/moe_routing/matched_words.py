"""Do feeling words go to one expert more than other words that are as frequent?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from lt_interp.methods.moe_routing.by_token import Z, wilson
from lt_interp.methods.moe_routing.feelings import feeling_words
from lt_interp.methods.moe_routing.matching import (
    difference_interval,
    differences,
    frequency_blocks,
    permutation_test,
)
from lt_interp.methods.moe_routing.tally import Tallied
from lt_interp.methods.routing_names import CLASS_TOO, FREQUENCY

LEAST_WORD = 20  # decisions of a word in a layer: its share is then known to about 0.1

FEELINGS = {
    "layer": str, "matched_by": str, "expert": int, "feeling_share": float, "matched_share": float,
    "difference": float, "low": float, "high": float, "null_low": float,
    "null_high": float, "p": float,
    "random_router_abs_difference": float, "random_routers_as_far": float,
    "random_routers_apart": float, "n_words": int, "n_others": int, "n_decisions": int,
    "n_draws": int,
}  # fmt: skip
FEELING_SHARES = {
    "layer": str, "word": str, "token_id": int, "expert": int, "share": float, "wilson_low": float,
    "wilson_high": float, "n_decisions": int,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Words:
    """Whole words with enough decisions.

    Attributes:
        ids: Token ids.
        feeling: Which are feeling words.
        sent: Decisions of each word and expert.
        classes: Number of each one's class.
    """

    ids: Int[np.ndarray, " word"]
    feeling: Bool[np.ndarray, " word"]
    sent: Int[np.ndarray, "word expert"]
    classes: Int[np.ndarray, " word"]

    @property
    def count(self) -> Int[np.ndarray, " word"]:
        """Decisions of each."""
        return self.sent.sum(axis=1)

    @property
    def shares(self) -> Float[np.ndarray, "word expert"]:
        """Share of each word's decisions that an expert got."""
        return self.sent / self.count[:, None]


def words_of(one: Tallied, tokens: Sequence[str], classes: Sequence[str]) -> Words:
    """The words among the tokens: a space and at least two letters.

    Args:
        one: A set of decisions.
        tokens: The text of every token id.
        classes: The class of every token id.
    """
    sent = one.token_counts()
    enough = np.flatnonzero(sent.sum(axis=1) >= LEAST_WORD * len(one.layers))
    is_word = [tokens[i][:1] == " " and tokens[i][1:].isalpha() and len(tokens[i]) > 2
               for i in enough.tolist()]  # fmt: skip
    ids = enough[np.array(is_word, dtype=bool)]
    place = {name: number for number, name in enumerate(sorted({classes[i] for i in ids}))}
    return Words(
        ids=ids,
        feeling=np.array([tokens[i][1:].lower() in feeling_words() for i in ids], dtype=bool),
        sent=sent[ids],
        classes=np.array([place[classes[i]] for i in ids], dtype=np.int64),
    )


def feeling_rows(
    words: Words,
    by_story: Int[np.ndarray, "story word expert"],
    random: Int[np.ndarray, "draw word expert"],
    *,
    layer: str,
    seed: int,
) -> list[dict[str, Any]]:
    """The permutation test, for every expert but the first.

    With two experts one says it all. Matched by frequency alone, feeling words may differ because
    they are adjectives and verbs; matched by class too, that is taken out. Random routers say how
    often feeling words fall on one side of a plane that knows nothing of feelings.

    Args:
        words: Of one set of decisions.
        by_story: Decisions of each story, word and expert.
        random: How often each random router sends each of the words to each expert.
        layer: Its name.
        seed: Of the permutations.
    """
    rows = []
    drawn = random / np.maximum(random.sum(axis=2, keepdims=True), 1)
    for matched_by, group in (
        (FREQUENCY, np.zeros_like(words.classes)), (CLASS_TOO, words.classes)
    ):  # fmt: skip
        strata = frequency_blocks(words.count, group)
        both = np.isin(strata, strata[words.feeling]) & np.isin(strata, strata[~words.feeling])
        if not both.any():
            continue
        for expert in range(1, words.shares.shape[1]):
            asked = (words.feeling[both], strata[both])
            sent = by_story[:, both]
            found = permutation_test(words.shares[both, expert], *asked, seed=seed)
            difference, deviation = differences(drawn[:, both, expert], *asked)
            low, high = difference_interval(sent[..., expert], sent.sum(axis=2), *asked, seed=seed)
            far = np.abs(difference) >= abs(found["difference"]) - 1e-12
            rows.append({
                "layer": layer, "matched_by": matched_by, "expert": expert, **found,
                "low": low, "high": high,
                "random_router_abs_difference": float(np.abs(difference).mean()),
                "random_routers_as_far": float(far.mean()),
                "random_routers_apart": float((np.abs(difference) > Z * deviation).mean()),
                "n_draws": len(drawn),
                "n_words": int(words.feeling[both].sum()),
                "n_others": int((~words.feeling[both]).sum()),
                "n_decisions": int(words.count[both & words.feeling].sum()),
            })  # fmt: skip
    return rows


def feeling_shares(words: Words, tokens: Sequence[str], *, layer: str) -> list[dict[str, Any]]:
    """Where each feeling word goes, for every expert but the first."""
    n = words.count[words.feeling]
    rows = []
    for expert in range(1, words.shares.shape[1]):
        share = words.shares[words.feeling, expert]
        low, high = wilson(np.rint(share * n).astype(np.int64), n)
        rows += [
            {"layer": layer, "word": tokens[i], "token_id": int(i), "expert": expert,
             "share": float(s), "wilson_low": float(a), "wilson_high": float(b),
             "n_decisions": int(m)}
            for i, s, a, b, m in zip(words.ids[words.feeling], share, low, high, n)
        ]  # fmt: skip
    return rows
