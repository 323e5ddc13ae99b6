"""`python -m tests.compat`: run TransformerLens's own tests on the stages and write the page."""

from __future__ import annotations

import sys

from rich.console import Console

from lt_interp.files import write_bytes

from .page import markdown, terminal_table
from .reasons import idle_patterns, judge, load_reasons
from .runs import ROOT, Run, execute_all
from .sdist import SdistError, unpacked_tests

PAGE = ROOT / "docs" / "compatibility.md"
WITH_STREAM = ("07_block", "08_two_blocks", "09_multi_head", "10_moe", "10_moe_gated")
WITHOUT_STREAM = ("03_bigram", "04_attention", "06_ffn")
RUNS = [
    *(Run(stage=stage, weights="random") for stage in WITH_STREAM),
    *(Run(stage=stage, weights="shipped") for stage in WITH_STREAM),
    *(Run(stage=stage, weights="random") for stage in WITHOUT_STREAM),
]


def main() -> int:
    """Run everything.

    Returns:
        0, or 1 where an applicable test failed or the table of reasons is wrong.
    """
    console = Console()
    try:
        folder = unpacked_tests()
    except SdistError as error:
        console.print(f"[yellow]{error}[/]")
        return 1
    console.print(f"{len(RUNS)} runs, two at a time (a few minutes)")
    reasons = load_reasons()
    found = execute_all(RUNS, folder)
    verdicts = {run: judge(run, records, reasons) for run, records in found.items()}
    console.print(terminal_table(verdicts))
    wrong = [
        f"{p!r} in not_applicable.toml excuses no test" for p in idle_patterns(reasons, verdicts)
    ]
    for run, verdict in verdicts.items():
        where = f"on {run.stage} ({run.weights})"
        wrong += [f"{r.test} failed {where}: {r.message[:200]}" for r in verdict.failed]
        wrong += [f"{r.test} is excused but passed {where}" for r in verdict.apply_after_all]
    for line in wrong:
        console.print(line, style="red", markup=False, soft_wrap=True)
    if not wrong:
        write_bytes(PAGE, markdown(verdicts).encode())
        console.print(f"every applicable test passed; wrote {PAGE.relative_to(ROOT)}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
