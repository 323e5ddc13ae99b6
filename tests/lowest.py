"""The lower end of every range in pyproject.toml, as constraints for pip."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path


def lowest(requirement: str) -> str | None:
    """`name==version` of a requirement such as `"rich>=14.3,<16"`.

    Example:
        >>> lowest("rich>=14.3,<16")
        'rich==14.3'
    """
    found = re.match(r"([\w-]+)>=([\w.]+)", requirement)
    return f"{found[1]}=={found[2]}" if found else None


def main() -> None:
    """Print a line for each."""
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    for line in sorted({low for group in groups for text in group if (low := lowest(text))}):
        print(line)


if __name__ == "__main__":
    main()
