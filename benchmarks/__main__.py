"""Run benchmarks by name, or all of them: `python -m benchmarks [NAME ...]`.

Prints the table and keeps it, with every raw value, in `benchmarks/results.json`; a run of some
replaces those rows and leaves the others.
"""

from __future__ import annotations

import json
import logging
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.harness import measure
from lt_interp.files import write_json

RESULTS = Path(__file__).with_name("results.json")
BENCHMARKS = (
    "training",
    "perplexity",
    "patching",
    "attribution",
    "routing",
    "lens",
    "generation",
    "tokenising",
    "startup",
    "report",
)


def table(results: dict[str, list[dict[str, Any]]]) -> Table:
    """The results as people read them."""
    shown = Table("what", "against", "measured", "to reach", "reached")
    for rows in results.values():
        for row in rows:
            sign = "≤" if row["lower_is_better"] else "≥"
            shown.add_row(
                row["what"],
                row["against"] or "—",
                f"{row['figure']:.3g} {row['unit']}",
                f"{sign} {row['target']:g}",
                "yes" if row["reached"] else "no",
            )
    return shown


def main(names: list[str]) -> None:
    """Measure, print, keep."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        sys.exit(f"error: no benchmark {unknown[0]!r}; there are: {', '.join(BENCHMARKS)}")
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in names or BENCHMARKS:
        logging.info("measuring %s", name)
        # a process of its own: nothing of one benchmark is warm or in memory when the next begins
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
            kept[name] = fresh.submit(measure, name).result()
        write_json(RESULTS, {known: kept[known] for known in BENCHMARKS if known in kept})
    Console(width=150).print(table({known: kept[known] for known in BENCHMARKS if known in kept}))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main(sys.argv[1:])
