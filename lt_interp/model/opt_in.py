"""Hooks that cost memory and therefore fire only when they are switched on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from transformer_lens.config import TransformerLensConfig
from transformer_lens.HookedRootModule import HookedRootModule

from lt_interp.errors import InputError
from lt_interp.model.config import ModelConfig
from lt_interp.model.hook_table import hook_table

NamedHook = tuple[str | Callable[[str], bool], Callable[..., Any]]


class OptInHooks(HookedRootModule):
    """The `set_use_*` half of HookedTransformer's surface.

    A hook function put by name on a hook that is switched off would never run, and what it was to
    change would stay as it is without a word; that is refused here. Predicates over names, and
    `run_with_cache`, pass such hooks by.
    """

    config: ModelConfig
    cfg: TransformerLensConfig

    def setup(self) -> None:
        """Name the hook points, the forks of attention's input a second time.

        Direct path patching of TransformerLens 4 looks for them inside `attn`. It assumes a
        residual stream, so a stage without one has no second names.
        """
        super().setup()
        if self.config.has_stream and self.config.n_heads:
            for layer in range(self.config.depth):
                for fork in ("hook_q_input", "hook_k_input", "hook_v_input"):
                    point = self.mod_dict[f"blocks.{layer}.{fork}"]
                    self.mod_dict[f"blocks.{layer}.attn.{fork}"] = point

    def set_use_attn_result(self, use_attn_result: bool) -> None:
        """Fire `attn.hook_result`: what each head adds to the output, at the cost of memory."""
        self._opt_in("use_attn_result", use_attn_result, "attention", self.config.n_heads)

    def set_use_split_qkv_input(self, use_split_qkv_input: bool) -> None:
        """Fire `hook_q_input`, `hook_k_input` and `hook_v_input`: one input for every head."""
        self._opt_in("use_split_qkv_input", use_split_qkv_input, "attention", self.config.n_heads)

    def set_use_attn_in(self, use_attn_in: bool) -> None:
        """Fire `hook_attn_in`: one attention input for every head."""
        self._opt_in("use_attn_in", use_attn_in, "attention", self.config.n_heads)

    def set_use_hook_mlp_in(self, use_hook_mlp_in: bool) -> None:
        """Fire `hook_mlp_in`: the feed-forward layer's own copy of its input."""
        self._opt_in("use_hook_mlp_in", use_hook_mlp_in, "feed-forward layer", self.config.d_mlp)

    def add_hook(
        self,
        name: str | Callable[[str], bool],
        hook: Callable[..., Any],
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Put a function on a hook, or on all whose name a predicate takes.

        Raises:
            InputError: The hook of that name is switched off.
        """
        self._refuse_switched_off([(name, hook)])
        super().add_hook(name, hook, *args, **kwargs)

    @contextmanager
    def hooks(
        self,
        fwd_hooks: Sequence[NamedHook] = (),
        bwd_hooks: Sequence[NamedHook] = (),
        *args: Any,
        **kwargs: Any,
    ) -> Iterator[OptInHooks]:
        """Functions on hooks for as long as the `with` block runs.

        Raises:
            InputError: A hook is switched off.
        """
        self._refuse_switched_off([*fwd_hooks, *bwd_hooks])
        with super().hooks(list(fwd_hooks), list(bwd_hooks), *args, **kwargs) as model:
            yield model

    def get_caching_hooks(self, *args: Any, **kwargs: Any) -> tuple[dict, list, list]:
        """The functions that fill a cache, for every hook that fires."""
        cache, fwd_hooks, bwd_hooks = super().get_caching_hooks(*args, **kwargs)
        off = self._switched_off()
        return (
            cache,
            [hook for hook in fwd_hooks if hook[0] not in off],
            [hook for hook in bwd_hooks if hook[0] not in off],
        )

    def _opt_in(self, flag: str, value: bool, part: str, present: int) -> None:
        """Set a flag of `cfg` that the parts read, refusing hooks of a part that is not there."""
        if value and not present:
            raise InputError(f"{self.cfg.model_name} has no {part}, so {flag} has nothing to show")
        setattr(self.cfg, flag, value)

    def _switched_off(self) -> dict[str, str]:
        """The hooks that do not fire now, each with the flag that would make it."""
        return {
            hook.name: hook.opt_in
            for hook in hook_table(self.config)
            if hook.opt_in and not getattr(self.cfg, hook.opt_in)
        }

    def _refuse_switched_off(self, hooks: Sequence[NamedHook]) -> None:
        off = self._switched_off()
        for name, _ in hooks:
            # a hook point knows its own name, by whatever alias it was asked for
            point = self.mod_dict.get(name) if isinstance(name, str) else None
            flag = off.get(getattr(point, "name", None) or "")
            if flag:
                raise InputError(
                    f"the hook {name} is switched off; call model.set_{flag}(True) before using it"
                )
