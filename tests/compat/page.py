"""The verdicts as a table: on the terminal, and as the page that is committed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from rich.table import Table

from .reasons import Verdict
from .runs import FILES, Record, Run
from .sdist import VERSION

HEAD = f"""# TransformerLens's own tests on the stages

Written by `make compat`. It takes the source distribution of TransformerLens {VERSION} from the
package index, and runs its test files on our stages: wherever a test builds a model, it gets a
stage. Nothing of it is copied into this repository.

*Random* weights have the size that a test asks for: as many layers and heads, as wide. At one and
the same size 07, 08 and 09 are one architecture, so they differ in *shipped* only: the trained
checkpoint, whatever size the test asks for. The stages without a residual stream are there to show
what they lack: 01, 02 and both 03b lack what 03 lacks, and 05 lacks what 04 lacks.

- **run**: tests that apply, with the stage in them.
- **passed**: how many of them passed.
- **no stage**: tests that passed and build no model, or only a fake of their own: they say nothing
  about a stage, and are no part of the other numbers.
- **skipped**: tests that skip themselves.
- **n/a**: tests that do not apply, each for one of the reasons below. They were run and
  failed, unless the reason says that they were not run.
"""
COLUMNS = ("test file", "stage", "weights", "run", "passed", "no stage", "skipped", "n/a")


def rows(verdicts: dict[Run, Verdict]) -> Iterator[tuple[str, ...]]:
    """A row for every file and run, in the order of the files."""
    for path in FILES:
        file = path.rpartition("/")[2]
        for run, verdict in verdicts.items():
            if path not in run.files:
                continue
            excused = [record for group in verdict.not_applicable.values() for record in group]
            applied = _count(verdict.passed, file) + _count(
                [*verdict.failed, *verdict.apply_after_all], file
            )
            numbers = (
                applied,
                _count(verdict.passed, file),
                _count(verdict.without_model, file),
                _count(verdict.their_skips, file),
                _count(excused, file),
            )
            yield file, run.stage, run.weights, *map(str, numbers)


def terminal_table(verdicts: dict[Run, Verdict]) -> Table:
    """The table for rich."""
    table = Table(title=f"TransformerLens {VERSION}: its own tests on the stages", box=None)
    for column in COLUMNS:
        table.add_column(column, justify="left" if column in COLUMNS[:3] else "right")
    for file, *cells in rows(verdicts):
        table.add_row(file.removeprefix("test_").removesuffix(".py"), *cells)
    return table


def markdown(verdicts: dict[Run, Verdict]) -> str:
    """The page."""
    lines = [HEAD, _line(COLUMNS), _line(["---"] * 3 + ["--:"] * 5)]
    lines += [_line(row) for row in rows(verdicts)]
    lines += ["", "## Why tests do not apply", ""]
    for why, counts in _reasons(verdicts).items():
        lines.append(f"- {why}")
        lines += [
            f"  - {stages}: {numbers}" for numbers, stages in _group(counts, len(verdicts)).items()
        ]
    lines += ["", "## Tests that skip themselves", ""]
    skips = {(r.test, r.message) for verdict in verdicts.values() for r in verdict.their_skips}
    lines += [f"- `{test}`: {message.removeprefix('Skipped: ')}" for test, message in sorted(skips)]
    return "\n".join(lines) + "\n"


def _reasons(verdicts: dict[Run, Verdict]) -> dict[str, dict[Run, str]]:
    """For every reason and run, the number of tests in every file."""
    found: dict[str, dict[Run, str]] = {}
    for run, verdict in verdicts.items():
        for why, records in verdict.not_applicable.items():
            files = Counter(record.test.partition("::")[0] for record in records)
            text = ", ".join(f"{count} of `{file}`" for file, count in sorted(files.items()))
            found.setdefault(why, {})[run] = text
    return dict(sorted(found.items()))


def _group(counts: dict[Run, str], n_runs: int) -> dict[str, str]:
    """Runs with the same numbers on one line, by name unless they are all there are."""
    grouped: dict[str, list[str]] = {}
    for run, numbers in counts.items():
        grouped.setdefault(numbers, []).append(f"{run.stage} {run.weights}")
    return {
        numbers: "every run" if len(runs) == n_runs else ", ".join(runs)
        for numbers, runs in grouped.items()
    }


def _count(records: Iterable[Record], file: str) -> int:
    return sum(record.test.startswith(f"{file}::") for record in records)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
