"""Routing and logit lens as the corpus grows: seconds and peak memory against tokens.

`python -m benchmarks.growth_streams [MAX_TOKENS]` prints the rows and the slopes. The embedded
stories are repeated in a memory-mapped file, so there are more stories but no new words: what
grows with the distinct pairs of neighbouring tokens (`EXPECTED`) grows less than in new text.
Every size runs in a process of its own; its peak memory includes Python and torch.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.harness import peak_mib, upper_slope
from lt_interp import load
from lt_interp.corpus import open_corpus, open_rows
from lt_interp.corpus.tokenizer import default_tokenizer
from lt_interp.corpus.windows import Rows
from lt_interp.methods.logit_lens.readings import read_stories, row_batches
from lt_interp.methods.moe_routing.streamed import streamed_routing
from lt_interp.methods.timing import seconds

STAGES = {"routing": "10_moe", "lens": "09_multi_head"}
EXPECTED = {
    "routing": "time O(tokens), with 2,000 resamples of every story's tokens at the end; memory "
    "O(stories + distinct pairs of neighbouring tokens), a few hundred bytes a story",
    "lens": "time O(tokens x points x vocabulary); memory O(stories), 8 bytes x 5 sums x points",
}
STEP = 10**0.5
LEAST, MOST = 10_000, 10_000_000


def measure(
    *, max_tokens: int = MOST, kinds: tuple[str, ...] = tuple(STAGES)
) -> list[dict[str, Any]]:
    """Rows `what`, `tokens`, `seconds`, `peak_mib` at sizes a factor of 3.2 apart.

    Args:
        max_tokens: The largest size.
        kinds: Of `routing` and `lens`.
    """
    sizes = [max_tokens]
    while sizes[-1] / STEP >= LEAST:
        sizes.append(round(sizes[-1] / STEP))
    with tempfile.TemporaryDirectory() as folder:
        write_rows(Path(folder), n_tokens=max_tokens)
        return [_in_a_process(what, Path(folder), size) for what in kinds for size in sizes[::-1]]


def write_rows(folder: Path, *, n_tokens: int) -> None:
    """The embedded stories again and again, at least so many predicted tokens."""
    once = open_rows(open_corpus("embedded"), default_tokenizer())
    n_rows = -(-n_tokens // (once.width - 1))
    times = -(-n_rows // once.n_rows)
    with (folder / "tokens.bin").open("wb") as file:
        for copy in range(times):
            file.write(np.asarray(once.tokens[: n_rows - copy * once.n_rows]).tobytes())
    starts = once.story_starts + np.arange(times)[:, None] * once.tokens.size
    starts = starts[starts < n_rows * once.width]
    np.save(folder / "story_starts.npy", starts, allow_pickle=False)


def mapped_rows(folder: Path, *, n_tokens: int) -> Rows:
    """The first rows of what `write_rows` wrote."""
    once = open_rows(open_corpus("embedded"), default_tokenizer())
    tokens = np.memmap(folder / "tokens.bin", dtype=once.tokens.dtype, mode="r")
    n_rows = -(-n_tokens // (once.width - 1))
    starts = np.load(folder / "story_starts.npy", allow_pickle=False)
    return Rows(
        tokens=tokens.reshape(-1, once.width)[:n_rows],
        story_starts=starts[starts < n_rows * once.width],
        corpus_name=once.corpus_name, corpus_split=once.corpus_split,
        corpus_sha256=once.corpus_sha256, tokenizer_sha256=once.tokenizer_sha256,
    )  # fmt: skip


def run_one(what: str, folder: Path, n_tokens: int) -> dict[str, Any]:
    """One size in this process."""
    model, rows = load(STAGES[what]), mapped_rows(folder, n_tokens=n_tokens)
    if what == "routing":
        taken = seconds(lambda: streamed_routing(model, rows, rows.n_rows))
    else:
        batches = row_batches(rows, np.arange(rows.n_rows))
        taken = seconds(lambda: read_stories(model, batches, n_stories=rows.n_stories))
    peak = peak_mib()
    return {"what": what, "tokens": rows.n_rows * (rows.width - 1), "seconds": round(taken, 2),
            "peak_mib": round(peak, 1)}  # fmt: skip


def _in_a_process(what: str, folder: Path, n_tokens: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.growth_streams", what, str(folder), str(n_tokens)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main(args: list[str]) -> None:
    """Measure and print; with three arguments, one size in this process."""
    if len(args) == 3:
        print(json.dumps(run_one(args[0], Path(args[1]), int(args[2]))))
        return
    rows = measure(max_tokens=int(args[0]) if args else MOST)
    shown = Table("what", "tokens", "seconds", "peak MiB")
    for row in rows:
        shown.add_row(row["what"], f"{row['tokens']:,}", f"{row['seconds']}", f"{row['peak_mib']}")
    Console(width=100).print(shown)
    for what in STAGES:
        some = [row for row in rows if row["what"] == what]
        slope = upper_slope(*([row[name] for row in some] for name in ("tokens", "seconds")))
        Console(width=100).print(f"{what}: {EXPECTED[what]}; slope {slope:.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
