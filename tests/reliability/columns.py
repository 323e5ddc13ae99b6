"""One column after another of saved results made markup: pages show it as text, or are refused."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lt_interp.errors import InputError
from lt_interp.methods.result import RESULT, _sha256
from lt_interp.report.build import build_pages

from .hostile import TAGS, as_html, wrong_in

MARKUP = "<script>document.title='owned'</script>|[a](javascript:alert(1))"
Column = tuple[str, str]
"""The name of a table and of one of its columns."""


@dataclass
class Columns:
    """What came of columns that held markup.

    Attributes:
        shown: Pages that showed it as text, or not at all.
        refused: Results that were refused in one line.
        faults: Pages that held it as markup.
    """

    shown: int = 0
    refused: int = 0
    faults: list[str] = field(default_factory=list)

    def add(self, other: Columns) -> None:
        """Take in what another process found."""
        self.shown += other.shown
        self.refused += other.refused
        self.faults += other.faults


def columns_of(result: Path) -> list[Column]:
    """Every column of a saved result."""
    tables = json.loads(result.read_text(encoding="utf-8"))["tables"]
    return [(name, column) for name, table in tables.items() for column in table["types"]]


def fill_column(result: Path, out: Path, table: str, column: str, text: str) -> None:
    """Write a result with a text in every row of a column, and the hash of that."""
    stored = json.loads(result.read_text(encoding="utf-8"))
    stored.pop("sha256", None)
    filled = stored["tables"][table]
    place = list(filled["types"]).index(column)
    filled["types"][column] = "object"
    for row in filled["rows"]:
        row[place] = text
    stored = {**stored, "sha256": _sha256(stored)}
    out.write_text(json.dumps(stored), encoding="utf-8")


def check_columns(chosen: Mapping[Path, Iterable[Column]], work: Path) -> Columns:
    """Draw the page of a result again for each of its columns that is chosen.

    Figures are left out: all their text goes one way, which the tests of pages look at.

    Args:
        chosen: Saved results, and columns of each.
        work: An empty folder.
    """
    found = Columns()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that such an index is slow, which differs by version
        patch.setattr("lt_interp.report.build.save_svg", lambda *_, **__: None)
        for result, columns in chosen.items():
            for table, column in columns:
                case = work / result.parent.name
                case.mkdir()
                fill_column(result, case / RESULT, table, column, MARKUP)
                try:
                    build_pages(work)
                except InputError:
                    found.refused += 1
                else:
                    found.shown += 1
                for page in work.rglob("*.md"):
                    if wrong := wrong_in(as_html(page.read_text(encoding="utf-8")), TAGS):
                        place = f"{case.name}/{page.name}, {table}, {column}"
                        found.faults.append(f"{place}: {wrong[:3]}")
                    page.unlink()
                shutil.rmtree(case)
    return found
