"""Hooks asked for by name, by a list of names, or by a predicate over names."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from transformer_lens.hook_points import HookPoint

from lt_interp.errors import InputError
from lt_interp.model.opt_in import OptInHooks

Predicate = Callable[[str], bool]
NamesFilter = str | list[str] | Predicate | None
NamedHook = tuple[str | Predicate, Callable[..., Any]]


class UnknownHookError(InputError, KeyError):
    """A hook name that the model does not have; a `KeyError` too, as in TransformerLens."""

    __str__ = Exception.__str__  # KeyError's would put the sentence into quotes


class NamedHooks(OptInHooks):
    """How TransformerLens 4 answers to names, where `HookedRootModule` lets mistakes pass.

    A name that is not there, or is switched off, raises. A predicate, and a list of names to
    cache, are sweeps: what is switched off in them is passed by with a warning.
    """

    def setup(self) -> None:
        """Name the hook points, the forks of attention's input a second time.

        Path patching and attribution by edges of TransformerLens 4 look for them inside `attn`.
        Both assume a residual stream, so a stage without one has no second names.
        """
        super().setup()
        if self.config.has_stream and self.config.n_heads:
            for layer in range(self.config.depth):
                for fork in ("hook_q_input", "hook_k_input", "hook_v_input"):
                    point = self.hook_dict[f"blocks.{layer}.{fork}"]
                    alias = f"blocks.{layer}.attn.{fork}"
                    self.mod_dict[alias] = self.hook_dict[alias] = point

    def add_hook(
        self, name: str | Predicate, hook: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> None:
        """Put a function on a hook, or on all whose name a predicate takes.

        Raises:
            InputError: There is no hook of that name, or it is switched off.
        """
        super().add_hook(self._checked(name, hook, "add_hook"), hook, *args, **kwargs)

    @contextmanager
    def hooks(
        self,
        fwd_hooks: Sequence[NamedHook] = (),
        bwd_hooks: Sequence[NamedHook] = (),
        *args: Any,
        **kwargs: Any,
    ) -> Iterator[NamedHooks]:
        """Functions on hooks for as long as the `with` block runs.

        Raises:
            InputError: There is no hook of a name, or it is switched off.
        """
        forward = [(self._checked(name, hook, "hooks"), hook) for name, hook in fwd_hooks]
        backward = [(self._checked(name, hook, "hooks"), hook) for name, hook in bwd_hooks]
        with super().hooks(forward, backward, *args, **kwargs) as model:
            yield model

    def add_caching_hooks(self, names_filter: NamesFilter = None, *args: Any, **kwargs: Any) -> Any:
        """Fill a cache, which is returned, whenever the model runs.

        Raises:
            InputError: No hook has any of the names.
        """
        return super().add_caching_hooks(self._to_cache(names_filter), *args, **kwargs)

    def get_caching_hooks(self, names_filter: NamesFilter = None, *args: Any, **kwargs: Any) -> Any:
        """The functions that fill a cache, for every hook that fires.

        Raises:
            InputError: No hook has any of the names.
        """
        return super().get_caching_hooks(self._to_cache(names_filter), *args, **kwargs)

    def _checked(
        self, name: str | Predicate, hook: Callable[..., Any], caller: str
    ) -> str | Predicate:
        """A name of a hook that fires, or a predicate that takes no others."""
        if not isinstance(name, str):
            return self._firing(name, caller)
        if name not in self.hook_dict:
            near = difflib.get_close_matches(name, self.hook_dict, n=3) or list(self.hook_dict)[:3]
            raise UnknownHookError(f"the hook {name} does not exist; nearest: {', '.join(near)}")
        self.check_hooks_to_add(self.hook_dict[name], name, hook)
        return name

    def _to_cache(self, names_filter: NamesFilter) -> Predicate:
        """Which hooks a `names_filter` means, without those that are switched off."""
        if names_filter is None:
            own = [name for name, point in self.hook_dict.items() if point.name == name]
            return {name for name in own if not self.flag_to_set(self.hook_dict[name])}.__contains__
        if callable(names_filter):
            return self._firing(names_filter, "a cache")
        names = [names_filter] if isinstance(names_filter, str) else names_filter
        if not set(names) & set(self.hook_dict):
            raise UnknownHookError(f"{names} matched no hook points; model.hook_dict lists them")
        return self._firing(names.__contains__, "a cache")

    def _firing(self, predicate: Predicate, caller: str) -> Predicate:
        """The predicate without hooks that are switched off, each hook under one of its names."""
        names: dict[HookPoint, str] = {}
        for name, point in self.hook_dict.items():
            if predicate(name):
                names.setdefault(point, name)
        off = {names[point]: flag for point in names if (flag := self.flag_to_set(point))}
        if off:
            setters = ", ".join(f"model.set_{flag}(True)" for flag in sorted(set(off.values())))
            warnings.warn(
                f"{caller} passes by {len(off)} gated-off hooks, which do not fire: "
                f"{', '.join(off)}; switch them on with {setters}",
                stacklevel=4,
            )
        return (set(names.values()) - set(off)).__contains__
