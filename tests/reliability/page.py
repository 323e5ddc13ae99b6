"""What was tried, how often, and what came of it, as `docs/reliability.md`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .columns import Columns
from .fuzz import Findings
from .kills import Kills

SOAK = "`make soak`"
NAMES = {
    "checkpoint": "checkpoint folders (config, card, metrics, weights)",
    "snapshot": "folders of interrupted runs",
    "pt": "`.pt` files: damaged, asking for code, growing, leading elsewhere",
    "tokenizer": "tokenizer folders (characters)",
    "bpe": "tokenizer folders (BPE)",
    "notebook": "the notebooks' tokenizer",
    "txt": "corpora, `.txt`",
    "jsonl": "corpora, `.jsonl`",
    "parquet": "corpora, `.parquet`",
    "pairs": "prompt pairs",
    "cache": "caches of token rows",
    "result-components": "saved results, one page",
    "result-kv_cache": "saved results, with a figure",
}
FAULTS, FINITE = "tests/reliability/test_faults.py", "tests/model/test_finite.py"
SAFETY, CLEAN = "tests/reliability/test_safety.py", "tests/reliability/test_cleanliness.py"
STRANGERS, HUGE = "tests/reliability/test_strangers.py", "tests/reliability/test_huge.py"
LINKS = "tests/reliability/test_links.py"
# What the tests try, what comes of it, and in which files.
TESTED: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "disks that are full or read-only, folders that vanish, clocks that jump thirty years",
        "one line of an error that names the place; where there is room again, the same command "
        "ends as if nothing had been",
        (FAULTS,),
    ),
    (
        "two processes train into one folder",
        "the second is refused; one that was killed stands in nobody's way",
        ("tests/training/test_run_lock.py",),
    ),
    (
        "NaN or infinity in weights and activations",
        "refused by the name of the first weight or activation that holds one",
        (FINITE,),
    ),
    (
        "NaN or infinity while training, and interruptions of it",
        "the step is named and the last good snapshot kept; going on gives the same bits",
        ("tests/training/test_resuming.py", "tests/training/test_stopping.py"),
    ),
    (
        "tricks, one by one: links and pipes among files, snapshots and weights that a right hash "
        "vouches for, pickles without end",
        "refused in one line, in a moment; nothing outside the folder is touched",
        (STRANGERS, LINKS),
    ),
    (
        "what is small to send and huge to read: stories, table columns, metrics and results",
        "refused by its size before memory is taken for it",
        (HUGE,),
    ),
    (
        "scripts, links, control characters and endless words wherever a saved result holds text",
        "pages and figures stay inert: no element, link or request, in headless Chromium with a "
        "content security policy and without",
        (SAFETY,),
    ),
    (
        "a report with the network cut off, interrupted analyses, and reports drawn again",
        "complete, and the same bytes",
        ("tests/cli/test_report.py",),
    ),
    (
        "errors inside hooks and analyses; analyses again and again in any order",
        "weights, logits, hooks, modes, gradients and random state bit by bit as before; the same "
        "tables every time",
        (CLEAN,),
    ),
    (
        "losses and routing shares of every shipped checkpoint",
        "within a small tolerance of the recorded ones",
        ("tests/golden",),
    ),
    (
        "bad input on the command line",
        "one line, status 2, nothing left behind",
        ("tests/cli/test_bad_input.py",),
    ),
)


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        what: The fault or input.
        tried: How many times.
        outcome: What came of it.
        command: What repeats it.
    """

    what: str
    tried: str
    outcome: str
    command: str = SOAK

    @classmethod
    def of_kills(cls, name: str, found: Kills, seconds: float) -> Row:
        """Of work that was killed."""
        same = "every one ended with the bytes of one that was left alone"
        outcome = f"{len(found.faults)} faults" if found.faults else same
        return cls(
            f"SIGKILL at random moments of {name}", f"{found.kills:,}",
            f"{found.runs} runs begun again until they ended, in {seconds:.0f} s; {outcome}; no "
            "half-written file could be read as a result",
        )  # fmt: skip

    @classmethod
    def of_inputs(cls, found: Findings) -> list[Row]:
        """Of changed inputs, a line a kind."""
        rows = [
            cls(
                NAMES[kind], f"{sum(counts.values()):,}",
                f"{counts['refused']:,} refused in one line, {counts['read']:,} read as before, "
                f"{counts['fault']} faults",
            )
            for kind, counts in sorted(found.outcomes.items())
        ]  # fmt: skip
        total = sum(sum(counts.values()) for counts in found.outcomes.values())
        peak = f"{found.peak_bytes / 2**20:,.0f} MiB"
        return [
            *rows,
            cls("all changed inputs", f"{total:,}",
                f"{len(found.faults)} tracebacks, hangs, files elsewhere or codes run; at most "
                f"{peak} taken by a process"),
        ]  # fmt: skip

    @classmethod
    def of_columns(cls, found: Columns) -> Row:
        """Of markup in the columns of results."""
        return cls(
            "every column of every saved result, numbers too, made markup with its hash put right",
            f"{found.shown + found.refused:,}",
            f"{found.shown:,} pages show it as text or not at all, {found.refused:,} refused in "
            f"one line, {len(found.faults)} faults",
        )

    @classmethod
    def of_memory(cls, held: Sequence[float], growth: float) -> Row:
        """Of reports written one after another."""
        return cls(
            "reports in one process", f"{len(held)}",
            f"{held[0]:,.0f} MiB after the first, {held[-1]:,.0f} after the last; over the last "
            f"half {growth:+.2f} MiB a report",
        )  # fmt: skip


def page(rows: Sequence[Row]) -> str:
    """The page's markdown."""
    lines = [f"| {row.what} | {row.tried} | {row.outcome} | {row.command} |" for row in rows]
    return "\n".join([*HEAD, *lines, *TAIL]) + "\n"


HEAD = (
    "# What was killed, filled up and made up",
    "",
    "Training and reports are left running, checkpoints and corpora are passed on, and pages are",
    "opened in a browser. This is what was tried against that, and what came of it. `make soak`",
    "tries it all and writes this page; all of it but the large numbers is also in `make test`.",
    "Both ends of every dependency's range are tried by `make test` and `make test-lowest`.",
    "",
    "| fault or input | tried | outcome | command |",
    "|---|---|---|---|",
)
TAIL = (
    "",
    "## What is promised",
    "",
    "- A file is whole or absent: it is written beside its place and renamed into it. What a kill",
    "  leaves has `.unfinished-` in its name, is never read, and is deleted by a later run.",
    "- The same command, begun again, goes on after the last thing that was finished.",
    "- Every JSON file is checked against its schema (`lt_interp/schemas`), which has a version. A",
    "  newer version is refused with advice, an older one is read where its schema still says how,",
    "  and refused otherwise.",
    "- Weights are checked by name, shape, type and SHA-256 before memory is taken for a model;",
    "  results and snapshots carry the SHA-256 of what they hold.",
    "- Nothing that is read is run: safetensors and JSON, and of `.pt` files the tensors alone.",
    "- Folders of others are left neither by links nor by names.",
    "",
    "## What is not",
    "",
    "- A figure or card changed together with its hash is believed: there are no signatures.",
    "- A parquet file whose own account of its sizes is wrong may take more memory than a gigabyte",
    "  before its texts are looked at.",
)
