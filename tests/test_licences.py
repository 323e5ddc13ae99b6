"""The table of licences has every package that is used, with the licence that it states."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


def used() -> set[str]:
    """The packages that pyproject.toml names, those of the extras included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    return {Requirement(text).name for group in groups for text in group} - {"lt-interp"}


def listed() -> dict[str, str]:
    """The licence of each package in the table."""
    text = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8").split("## What it uses")[1]
    return dict(re.findall(r"^\| ([\w-]+) \| ([^|]+) \|", text, flags=re.MULTILINE)[1:])


def test_every_package_is_listed() -> None:
    assert set(listed()) == used()


@pytest.mark.parametrize(("package", "licence"), listed().items())
def test_it_states_that_licence(package: str, licence: str) -> None:
    about = metadata(package)
    stated = [
        about.get("License-Expression"),
        about.get("License"),
        *about.get_all("Classifier", []),
    ]
    assert licence.lower() in " ".join(filter(None, stated)).lower()
