"""Hooks that cost memory and therefore fire only when they are switched on."""

from __future__ import annotations

from typing import Any

from transformer_lens.config import TransformerLensConfig
from transformer_lens.hook_points import HookPoint
from transformer_lens.HookedRootModule import HookedRootModule

from lt_interp.errors import InputError
from lt_interp.model.config import ModelConfig
from lt_interp.model.hook_table import hook_table


class OptInHooks(HookedRootModule):
    """The `set_use_*` part of HookedTransformer's surface.

    A hook function put by name on a hook that is switched off would never run, and what it was to
    change would stay as it is without a word; that is refused here.
    """

    config: ModelConfig
    cfg: TransformerLensConfig

    def setup(self) -> None:
        """Name the hook points, and note which of them a flag switches on."""
        super().setup()
        self.opt_in = {hook.name: hook.opt_in for hook in hook_table(self.config) if hook.opt_in}

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

    def check_hooks_to_add(
        self, hook_point: HookPoint, hook_point_name: str, hook: Any, **kwargs: Any
    ) -> None:
        """Let a function onto a hook only if the hook fires; TransformerLens asks before adding.

        Raises:
            InputError: The hook is switched off.
        """
        flag = self.flag_to_set(hook_point)
        if flag:
            raise InputError(
                f"the hook {hook_point_name} is switched off; call model.set_{flag}(True) before "
                "using it"
            )

    def flag_to_set(self, hook_point: HookPoint) -> str | None:
        """The flag that would make a hook fire, or `None` where it fires as things are."""
        # a hook point knows its own name, by whatever second name it was asked for
        flag = self.opt_in.get(hook_point.name or "")
        return flag if flag and not getattr(self.cfg, flag) else None

    def _opt_in(self, flag: str, value: bool, part: str, present: int) -> None:
        """Set a flag of `cfg` that the parts read, refusing hooks of a part that is not there."""
        if value and not present:
            raise InputError(f"{self.cfg.model_name} has no {part}, so {flag} has nothing to show")
        setattr(self.cfg, flag, value)
