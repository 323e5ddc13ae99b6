"""How cost grows with the work: `python -m benchmarks.growth [MAX_TOKENS]`, a table and a figure.

Training against context and vocabulary, patching against prompt length and pairs, routing and lens
against the tokens of the corpus. Prints what each grows with, and writes `growth.json` and
`growth.svg` here.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from benchmarks import growth_patching, growth_streams, growth_training
from benchmarks.harness import machine, upper_slope
from lt_interp.files import write_json

HERE = Path(__file__).parent
Row = dict[str, Any]
PANELS = (
    ("n_ctx", "seconds", "context length, tokens"),
    ("d_vocab", "seconds", "vocabulary, ids"),
    ("tokens of a prompt", "seconds", "prompt length, tokens"),
    ("pairs", "seconds", "pairs of prompts"),
    ("tokens of the corpus", "seconds", "tokens of the corpus"),
    ("tokens of the corpus", "peak_mib", "tokens of the corpus"),
)
COLUMNS = ("work", "grows with", "from", "to", "slope expected", "measured")
# What a curve tends to that is no power of the size alone; the others say so in their rows.
EXPECTED = {
    "n_ctx": "0 to 1: of a step only attention grows",
    "d_vocab": "0 to 1: of a step only the unembedding and its loss grow",
    "seconds": "1",
    "peak_mib": "0 to 1: sums by story, beside the model and one batch",
}


def slopes(rows: list[Row]) -> list[tuple[str, ...]]:
    """The exponent that each curve grows with over its upper half, beside that expected.

    Args:
        rows: What `measure` returns.

    Returns:
        A line of `COLUMNS` for every curve.
    """
    lines = []
    for grows, measured, label in PANELS:
        here = [row for row in rows if row["grows"] == grows]
        for what in dict.fromkeys(row["what"] for row in here):
            curve = [row for row in here if row["what"] == what]
            sizes, values = ([row[key] for row in curve] for key in ("size", measured))
            power = curve[0].get("expected_slope")
            expected = f"{power:g}" if power else EXPECTED.get(grows) or EXPECTED[measured]
            memory = ", memory" if measured == "peak_mib" else ""
            ends = f"{sizes[0]:,}", f"{sizes[-1]:,}"
            slope = f"{upper_slope(sizes, values):.2f}"
            lines.append((f"{what}{memory}", label.split(",")[0], *ends, expected, slope))
    return lines


def measure(max_tokens: int) -> list[Row]:
    """All rows: `what`, `grows`, `size`, `seconds`, of streams `peak_mib` too."""
    patching = [
        {**row, "grows": "tokens of a prompt" if row["grows"] == "tokens" else row["grows"]}
        for row in growth_patching.measure()
    ]
    streams = [
        {"grows": "tokens of the corpus", "size": row["tokens"], **row}
        for row in growth_streams.measure(max_tokens=max_tokens)
    ]
    return [*growth_training.measure(), *patching, *streams]


def draw(rows: list[Row]) -> Figure:
    """A panel for each thing that grows, a line for each work, its slope in the legend."""
    figure = Figure(figsize=(11, 6.5), layout="constrained")
    for axes, (grows, measured, label) in zip(figure.subplots(2, 3).flat, PANELS, strict=True):
        here = [row for row in rows if row["grows"] == grows]
        for what in dict.fromkeys(row["what"] for row in here):
            line = [row for row in here if row["what"] == what]
            sizes, values = ([row[key] for row in line] for key in ("size", measured))
            legend = f"{what}: slope {upper_slope(sizes, values):.2f}"
            axes.plot(sizes, values, "o-", label=legend)
        axes.set(xscale="log", yscale="log", xlabel=label)
        axes.set_ylabel("peak memory, MiB" if measured == "peak_mib" else "seconds")
        axes.legend(fontsize=7, frameon=False)
    return figure


def main(max_tokens: int) -> None:
    """Measure, keep, draw."""
    rows = measure(max_tokens)
    table = Table(*COLUMNS)
    for line in slopes(rows):
        table.add_row(*line)
    Console(width=150).print(table)
    write_json(HERE / "growth.json", {"machine": machine(), "rows": rows})
    with matplotlib.rc_context({"svg.hashsalt": "growth", "svg.fonttype": "none"}):
        draw(rows).savefig(HERE / "growth.svg", metadata={"Date": None})


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else growth_streams.MOST)
