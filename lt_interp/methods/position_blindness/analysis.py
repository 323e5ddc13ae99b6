"""The analysis: the article's pair, the permutation test, the swaps and the verdict, each model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lt_interp.corpus.windows import Rows
from lt_interp.errors import InputError
from lt_interp.methods.checkpoints import Models, find_checkpoints, one_a_stage, untrained
from lt_interp.methods.position_blindness.behind import TIMES as BEHIND_TIMES
from lt_interp.methods.position_blindness.compare import RELATIVE_BOUND
from lt_interp.methods.position_blindness.examine import VERDICTS, examine
from lt_interp.methods.position_blindness.neighbour_swaps import DISTANCES, SWAPS
from lt_interp.methods.position_blindness.orders import Orders, make_orders
from lt_interp.methods.position_blindness.pair import (
    COMMON_LAST,
    DIFFERENCES,
    PREDICTIONS,
    REFERENCE_PAIRS,
    article_pair,
    ask_pair,
)
from lt_interp.methods.position_blindness.permutation_test import PERMUTATIONS
from lt_interp.methods.position_blindness.prefixes import cut_prefixes
from lt_interp.methods.result import Progress, Result
from lt_interp.methods.study import Row, Share, Study
from lt_interp.methods.workers import Workers
from lt_interp.model.stage_model import StageModel

PREFIXES = 208
TIMES = 8
LENGTHS = (8, 64)
COLUMNS: Mapping[str, Mapping[str, type]] = {
    "verdicts": VERDICTS,
    "permutations": PERMUTATIONS,
    "swaps": SWAPS,
    "differences": DIFFERENCES,
    "predictions": PREDICTIONS,
}


def position_blindness(
    models: Models,
    rows: Rows,
    *,
    seed: int = 0,
    progress: Progress | None = None,
    command: str = "",
    keep: Path | None = None,
    workers: Workers | None = None,
    pair: tuple[str, str] | None = None,
    prefixes: int = PREFIXES,
    permutations: int = TIMES,
    lengths: tuple[int, int] = LENGTHS,
    distances: Sequence[int] = DISTANCES,
) -> Result:
    """Ask of every stage whether it reads the order of tokens, and how far back.

    Args:
        models: Names of checkpoints, folders or models; the lowest seed of each stage is asked.
        rows: Stories, from which prefixes and unrelated contexts are cut.
        seed: Of the prefixes, their orders, the resampling of stories, and of the untrained twin
            that each stage is compared with.
        progress: Called with how much is done, how much there is, and the model's name.
        command: What repeats the analysis.
        keep: A folder in which finished models are kept, so that the analysis can continue.
        workers: Processes for the models.
        pair: Two sentences of the same tokens; by default the article's.
        prefixes: How many prefixes are cut.
        permutations: Orders that each is put in.
        lengths: Fewest and most tokens of a prefix; the most is lowered to what the rows hold.
        distances: Of the neighbours that are swapped, from the last token.

    Returns:
        One row a model and weights (trained or untrained) in `verdicts` and `permutations`, one a
        distance in `swaps`; of the pair `differences` and `predictions`.

    Raises:
        InputError: An option is out of range, the sentences are not the same tokens in another
            order, or no story is long enough.
    """
    checkpoints = list(one_a_stage(find_checkpoints(models)).values())
    lengths = (lengths[0], max(lengths[0], min(lengths[1], rows.width - 1)))
    _check(permutations, distances)
    options: dict[str, Any] = {
        "pair": list(pair or article_pair()),
        "prefixes": prefixes,
        "permutations": permutations,
        "lengths": list(lengths),
        "distances": sorted(set(distances)),
    }
    study = Study(
        name="position_blindness", checkpoints=checkpoints, rows=rows, seed=seed,
        progress=progress, command=command, keep=keep, workers=workers, options=options,
    )  # fmt: skip
    cut = cut_prefixes(rows, n=prefixes, lengths=lengths, seed=seed)
    orders = make_orders(cut, times=permutations, distances=options["distances"], seed=seed)
    measure = partial(_measure, orders=orders, rows=rows, pair=pair, seed=seed)
    tables = study.each(measure, columns=COLUMNS)
    return study.result(tables, notes=_notes(options, seed))


def _measure(
    model: StageModel,
    share: Share,
    *,
    orders: Orders,
    rows: Rows,
    pair: tuple[str, str] | None,
    seed: int,
) -> dict[str, list[Row]]:
    """All tables of one model and of its untrained twin."""
    found: dict[str, list[Row]] = {table: [] for table in COLUMNS}
    twins = {"trained": model, "untrained": untrained(model, seed=seed)}
    for place, (weights, twin) in enumerate(twins.items()):
        asked = {
            **examine(twin, orders, share=_half(share, place)),
            **ask_pair(twin, rows, pair=pair, seed=seed),
        }
        for table, asked_rows in asked.items():
            found[table] += [{"weights": weights, **row} for row in asked_rows]
    return found


def _half(share: Share, place: int) -> Share:
    """The progress of one of two models that are measured as one."""
    return lambda done, n: share(done + place * n, 2 * n)


def _check(permutations: int, distances: Sequence[int]) -> None:
    if permutations < 1:
        raise InputError(f"{permutations} permutations compare nothing; ask for 1 or more")
    if not distances or min(distances) < 1:
        raise InputError(
            f"distances {list(distances)}: name one or more, each 1 or more; the last token itself "
            "stays where it is"
        )


def _notes(options: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """What the page states about the choices."""
    return {
        "sentences": options["pair"],
        "prefixes": options["prefixes"],
        "permutations": options["permutations"],
        "lengths": options["lengths"],
        "distances": options["distances"],
        "swaps": "every distance in the same prefixes, those long enough for the farthest",
        "behind_the_window": f"{BEHIND_TIMES} orders a prefix, in double precision",
        "relative_bound": RELATIVE_BOUND,
        "bound": "within rounding: no logit differs by more than relative_bound x the largest "
        "|logit|",
        "reference": f"of the pair, {REFERENCE_PAIRS} pairs of unrelated contexts of the same "
        f"length; in the variant {COMMON_LAST!r} they end in that token too",
        "untrained": f"PyTorch's default random weights, seed {seed}",
    }
