"""Templates to markdown, every name in them accounted for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("lt_interp.report", "templates"),
        undefined=StrictUndefined,
        autoescape=False,  # pages are markdown; `report.markdown` makes foreign text inert
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def render(template: str, context: Mapping[str, Any]) -> str:
    """Fill a template of `lt_interp/report/templates`.

    Raises:
        jinja2.UndefinedError: The template uses a name that the context lacks.
    """
    return _environment().get_template(template).render(**context).rstrip("\n") + "\n"
