"""What a patch replaces: one component, in one layer, at some positions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lt_interp.model.config import ModelConfig

# The hook behind each component, in TransformerLens's words; `{layer}` and `{expert}` are filled.
HOOKS = {
    "embed": "hook_embed",
    "resid_pre": "blocks.{layer}.hook_resid_pre",
    "attn_out": "blocks.{layer}.hook_attn_out",
    "resid_mid": "blocks.{layer}.hook_resid_mid",
    "mlp_out": "blocks.{layer}.hook_mlp_out",
    "resid_post": "blocks.{layer}.hook_resid_post",
    "q": "blocks.{layer}.attn.hook_q",
    "k": "blocks.{layer}.attn.hook_k",
    "v": "blocks.{layer}.attn.hook_v",
    "pattern": "blocks.{layer}.attn.hook_pattern",
    "z": "blocks.{layer}.attn.hook_z",
    "router": "blocks.{layer}.mlp.hook_expert_indices",
    "expert": "blocks.{layer}.mlp.experts.{expert}.hook_post",
}
STREAM = ("resid_pre", "attn_out", "resid_mid", "mlp_out")
HEADS = ("z", "q", "k", "v", "pattern")
# These act on their own position alone, so that in the last layer only the last position is read.
_LOCAL = {"attn_out", "resid_mid", "mlp_out", "resid_post", "q", "pattern", "z", "router", "expert"}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One patch.

    Attributes:
        component: A key of `HOOKS`.
        positions: Where it is replaced; of a pattern, the rows of queries.
        layer: Which block; `None` for the embedding.
        head: Which head, for a component that is kept by head.
        expert: Which expert, for the component `"expert"`.
    """

    component: str
    positions: tuple[int, ...]
    layer: int | None = None
    head: int | None = None
    expert: int | None = None

    @property
    def hook(self) -> str:
        """The name of its hook."""
        return HOOKS[self.component].format(layer=self.layer, expert=self.expert)

    def reaches(self, config: ModelConfig, last: int) -> bool:
        """Whether it can change the prediction after position `last` at all.

        In the last block nothing reads another position after attention has, so a patch of what is
        computed there matters at the last position only.
        """
        ends = self.layer == config.depth - 1 and self.component in _LOCAL
        return last in self.positions if ends else bool(self.positions)


def components(config: ModelConfig) -> Iterator[tuple[str, int | None]]:
    """The components that a stage has at every position, with their layers, in order of firing."""
    yield "embed", None
    for layer in range(config.depth):
        for component in STREAM:
            if _present(component, config):
                yield component, layer


def heads(config: ModelConfig) -> Iterator[tuple[str, int, int]]:
    """Component, layer and head of what a stage keeps by head."""
    for layer in range(config.depth if config.n_heads else 0):
        for component in HEADS:
            for head in range(config.n_heads):
                yield component, layer, head


def _present(component: str, config: ModelConfig) -> bool:
    attention, mlp = bool(config.n_heads), bool(config.d_mlp)
    return {
        "resid_pre": config.has_residual,
        "attn_out": attention,
        "resid_mid": config.has_residual and attention and mlp,
        "mlp_out": mlp,
    }[component]
