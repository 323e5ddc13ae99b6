"""Prefixes lie in one story, and the orders made of them are other orders of the same tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from lt_interp.corpus.windows import Rows
from lt_interp.errors import InputError
from lt_interp.methods.position_blindness.orders import others, permutations, swaps
from lt_interp.methods.position_blindness.prefixes import Prefixes, cut_prefixes

from .conftest import STORIES


def handmade(*rows: str) -> Prefixes:
    """Prefixes whose tokens are letters."""
    longest = max(map(len, rows))
    tokens = np.array([list(row.ljust(longest, "\0").encode()) for row in rows], dtype=np.int64)
    n = len(rows)
    return Prefixes(
        tokens=tokens,
        length=np.array([len(row) for row in rows]),
        next_token=np.full(n, ord("."), dtype=np.int64),
        story=np.arange(n),
        other=tokens[::-1].copy(),
        has_other=np.ones(n, dtype=bool),
        n_excluded=0,
    )


def text(tokens: np.ndarray, length: int) -> str:
    return bytes(tokens[:length].tolist()).decode()


def test_prefix_and_next_token_stand_in_their_story(rows: Rows) -> None:
    cut = cut_prefixes(rows, n=60, lengths=(8, 20), seed=0)
    assert len(cut) == 60
    assert {int(cut.length.min()), int(cut.length.max())} <= set(range(8, 21))
    for tokens, length, following, story in zip(
        cut.tokens, cut.length, cut.next_token, cut.story, strict=True
    ):
        assert text(np.append(tokens[:length], following), length + 1) in STORIES[story] + "\0"
        assert not tokens[length:].any()


def test_other_prefix_is_another_storys_with_the_same_length_and_end(rows: Rows) -> None:
    cut = cut_prefixes(rows, n=60, lengths=(8, 20), seed=0)
    assert cut.has_other.any()
    for place in np.flatnonzero(cut.has_other):
        length = int(cut.length[place])
        other = text(cut.other[place], length)
        assert cut.other[place, length - 1] == cut.tokens[place, length - 1]
        assert not cut.other[place, length:].any()
        at = [story for story, whole in enumerate(STORIES) if other in whole]
        assert any(story != cut.story[place] for story in at)
    found = others(cut)
    assert (found.prefix == np.flatnonzero(cut.has_other)).all()


def test_stories_take_turns(rows: Rows) -> None:
    cut = cut_prefixes(rows, n=3 * rows.n_stories, lengths=(8, 12), seed=1)
    times = Counter(cut.story.tolist())
    assert set(times.values()) == {3}
    assert len(times) == rows.n_stories


def test_every_length_and_the_whole_story_can_be_drawn(rows_of: Callable[..., Rows]) -> None:
    # One run of 11 tokens and its end: lengths 8 to 11, the last followed by the end token.
    cut = cut_prefixes(rows_of(["abcdefghijk"], width=12), n=200, lengths=(8, 64), seed=0)
    assert set(cut.length.tolist()) == {8, 9, 10, 11}
    assert 0 in cut.next_token[cut.length == 11]
    assert not cut.has_other.any()


def test_seed_decides(rows: Rows) -> None:
    first, same, other = (cut_prefixes(rows, n=20, lengths=(8, 20), seed=s) for s in (0, 0, 1))
    assert (first.tokens == same.tokens).all()
    assert (first.other == same.other).all()
    assert first.tokens.tolist() != other.tokens.tolist()


def test_prefixes_without_another_order_are_left_out_and_counted(
    rows_of: Callable[..., Rows],
) -> None:
    stories = ["a" * 19, "abcdefghijklmnopqrs"] * 4
    cut = cut_prefixes(rows_of(stories, width=20), n=8, lengths=(8, 12), seed=0)
    assert (len(cut), cut.n_excluded) == (4, 4)
    assert all("a" * 7 not in text(t, n) for t, n in zip(cut.tokens, cut.length))
    with pytest.raises(InputError, match="whose order could change"):
        cut_prefixes(rows_of(["a" * 19] * 8, width=20), n=8, lengths=(8, 12), seed=0)


@pytest.mark.parametrize(
    ("n", "lengths", "message"),
    [(0, (8, 12), "1 or more"), (5, (2, 12), "3 tokens or more"), (5, (9, 8), "may not exceed")],
)
def test_bad_choices_are_refused(
    rows: Rows, n: int, lengths: tuple[int, int], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        cut_prefixes(rows, n=n, lengths=lengths, seed=0)


def test_stories_too_short_are_refused(rows_of: Callable[..., Rows]) -> None:
    with pytest.raises(InputError, match="no story has 9 tokens"):
        cut_prefixes(rows_of(["abc"] * 20, width=12), n=5, lengths=(8, 12), seed=0)


@pytest.mark.parametrize("keep", [1, 2, 5])
def test_a_permutation_is_another_order_of_the_same_ids(rows: Rows, keep: int) -> None:
    cut = cut_prefixes(rows, n=30, lengths=(8, 20), seed=0)
    made = permutations(cut, keep=keep, times=8, seed=3)
    assert Counter(made.prefix.tolist()).most_common()[-1][1] == 8
    for which, tokens in zip(made.prefix, made.tokens, strict=True):
        length, before = int(cut.length[which]), cut.tokens[which]
        assert sorted(tokens[:length]) == sorted(before[:length])
        assert (tokens[length - keep :] == before[length - keep :]).all()
        assert (tokens != before).any()


def test_exchanging_equal_tokens_is_no_other_order() -> None:
    # Three orders of a, a, b; the prefix's own may not come, the other two come as often.
    made = permutations(handmade("aabx"), keep=1, times=4000, seed=0)
    seen = Counter(text(tokens, 4) for tokens in made.tokens)
    assert set(seen) == {"abax", "baax"}
    assert abs(seen["abax"] - 2000) < 4 * (4000 / 4) ** 0.5


def test_nothing_to_permute_gives_no_variant() -> None:
    assert not len(permutations(handmade("aaax", "abx"), keep=2, times=8, seed=0).prefix)
    assert permutations(handmade("aaax", "abx"), keep=1, times=2, seed=0).prefix.tolist() == [1, 1]
    assert not len(permutations(handmade("abx"), keep=9, times=8, seed=0).prefix)


def test_swaps_exchange_two_neighbours_at_their_distance() -> None:
    made, distance = swaps(handmade("abcdex", "ffgx"), distances=(1, 2))
    found = {(d, text(t, 6).strip("\0")) for d, t in zip(distance.tolist(), made.tokens)}
    # "ffgx" at distance 2 would exchange two equal tokens.
    assert found == {(1, "abcedx"), (1, "fgfx"), (2, "abdcex")}


def test_every_distance_is_asked_of_the_prefixes_that_have_the_farthest() -> None:
    made, distance = swaps(handmade("abcdex", "fghx", "ijkx"), distances=(1, 2, 4, 9))
    assert distance.tolist() == [1, 2, 4]
    assert made.prefix.tolist() == [0, 0, 0]
    # One long prefix among twenty is too few to say how far the others look.
    _, near = swaps(handmade("abcdex", *["fghx"] * 19), distances=(1, 2, 4))
    assert near.max() == 2
    assert (near == 1).sum() == 20
