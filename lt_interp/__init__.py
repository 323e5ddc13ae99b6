"""lt_interp: open every rung of a small language model's ladder with the same tools.

`load` opens a trained stage, `stages` lists the ladder, `corpus` opens stories. Each is imported
when it is first used, so that `import lt_interp` alone loads no deep-learning library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lt_interp.corpus.sources import open_corpus as corpus
    from lt_interp.methods.ladder import stages
    from lt_interp.training.checkpoint import load

__all__ = ["corpus", "load", "stages"]

_HOMES = {
    "corpus": ("lt_interp.corpus.sources", "open_corpus"),
    "load": ("lt_interp.training.checkpoint", "load"),
    "stages": ("lt_interp.methods.ladder", "stages"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lt_interp' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return __all__
