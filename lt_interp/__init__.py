"""lt_interp: open every rung of a small language model's ladder with the same tools.

`load` opens a trained stage, `stages()` lists the ladder, `corpus()` opens stories, `analyze()`
runs an analysis and `draw()` shows what it found. Each is imported when it is first used, so that
`import lt_interp` alone loads no deep-learning library.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lt_interp.methods.analyze import analyze as analyze
    from lt_interp.report.draw import draw as draw
    from lt_interp.training.checkpoint import load as load

__all__ = ["analyze", "corpus", "draw", "load", "stages"]

_FUNCTIONS = {
    "analyze": ("lt_interp.methods.analyze", "analyze"),
    "corpus": ("lt_interp.corpus.sources", "open_corpus"),
    "draw": ("lt_interp.report.draw", "draw"),
    "load": ("lt_interp.training.checkpoint", "load"),
    "stages": ("lt_interp.methods.ladder_table", "stages"),
}


def _function(name: str) -> Any:
    module, attribute = _FUNCTIONS[name]
    return getattr(importlib.import_module(module), attribute)


class _Callable(ModuleType):
    """A submodule that shares its name with a function, and is called as that function."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return _function(self.__name__.rpartition(".")[2])(*args, **kwargs)


class _Package(ModuleType):
    """This package: Python binds a submodule's name in it whenever the submodule is imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _FUNCTIONS and type(value) is ModuleType:
            value.__class__ = _Callable
        super().__setattr__(name, value)


def __getattr__(name: str) -> Any:
    if name in ("corpus", "stages"):
        return importlib.import_module(f"lt_interp.{name}")
    if name in _FUNCTIONS:
        return _function(name)
    raise AttributeError(f"module 'lt_interp' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__


sys.modules[__name__].__class__ = _Package
