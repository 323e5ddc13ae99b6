"""Every hook of a model in one table: its name, its shape and what it carries."""

from __future__ import annotations

from dataclasses import dataclass

from lt_interp.model.config import ACTIVATION_NAMES, NORM_NAMES, ModelConfig


@dataclass(frozen=True)
class Hook:
    """One place where activations can be read and replaced.

    Attributes:
        name: As in `model.hook_dict`.
        shape: TransformerLens's words for its axes, e.g. `"batch head query key"`.
        meaning: What it carries.
        opt_in: The flag that makes it fire, set by `model.set_<flag>(True)`; `None` if it always
            fires.
    """

    name: str
    shape: str
    meaning: str
    opt_in: str | None = None


def hook_table(config: ModelConfig) -> list[Hook]:
    """The hooks of a model in the order in which they fire; none for a part that is absent."""
    stream = "batch pos d_model"
    hooks = [Hook("hook_embed", stream, "embedding of each token")]
    if config.embeds_positions:
        hooks.append(Hook("hook_pos_embed", stream, "position embedding, repeated along the batch"))
    if config.average:
        hooks.append(Hook("hook_pooled", "batch pos d_in", "mean of the embeddings at 0..pos"))
    if config.window > 1:
        pooled = f"embeddings of the last {config.window} tokens side by side, oldest first"
        hooks.append(Hook("hook_pooled", "batch pos d_in", pooled))
    for layer in range(config.depth):
        hooks += _block(config, f"blocks.{layer}.")
    if config.final_norm:
        hooks += _norm("ln_final.", "before the unembedding", config)
    return [
        *hooks,
        Hook("unembed.hook_in", "batch pos d_in", "what the scores are read from"),
        Hook("unembed.hook_out", "batch pos d_vocab", "the logits"),
    ]


def _block(config: ModelConfig, block: str) -> list[Hook]:
    stream = "batch pos d_model"
    hooks: list[Hook] = []
    if config.wiring.residual:
        hooks.append(Hook(f"{block}hook_resid_pre", stream, "residual stream before the block"))
    after = _norm if config.wiring.norm_after else _nothing
    if config.n_heads:
        hooks += _attention(config, block)
        hooks += after(f"{block}ln1.", "after attention is added", config)
    if config.wiring.residual and config.n_heads and config.d_mlp:
        hooks.append(Hook(f"{block}hook_resid_mid", stream, "residual stream after attention"))
    if config.d_mlp:
        hooks += _feed_forward(config, block)
        hooks += after(f"{block}ln2.", "after the feed-forward layer is added", config)
    if config.wiring.residual:
        hooks.append(Hook(f"{block}hook_resid_post", stream, "residual stream after the block"))
    return hooks


def _attention(config: ModelConfig, block: str) -> list[Hook]:
    fork, head = "batch pos head d_model", "batch pos head d_head"
    split = "use_split_qkv_input"
    hooks = [
        Hook(f"{block}hook_attn_in", fork, "attention's input, a copy for each head", "use_attn_in")
    ]
    for letter, word in (("q", "query"), ("k", "key"), ("v", "value")):
        copy = f"input of each head's {word}, a copy for each head"
        hooks.append(Hook(f"{block}hook_{letter}_input", fork, copy, split))
    if config.wiring.norm and not config.wiring.norm_after:
        where = "before attention; a head axis before the last when split"
        hooks += _norm(f"{block}ln1.", where, config)
    for letter, word in (("q", "queries"), ("k", "keys"), ("v", "values")):
        hooks.append(Hook(f"{block}attn.hook_{letter}", head, word))
    if config.positions == "rotary":
        for letter, word in (("q", "queries"), ("k", "keys")):
            turned = f"{word}, turned by their positions"
            hooks.append(Hook(f"{block}attn.hook_rot_{letter}", head, turned))
    scores = "scores before the softmax, -inf where the key is after the query"
    square = "batch head query key"
    return [
        *hooks,
        Hook(f"{block}attn.hook_attn_scores", square, scores),
        Hook(f"{block}attn.hook_pattern", square, "attention: how much a query reads of each key"),
        Hook(f"{block}attn.hook_z", head, "mean of the values, weighted by the pattern"),
        Hook(f"{block}attn.hook_result", fork, "what each head adds", "use_attn_result"),
        Hook(f"{block}hook_attn_out", "batch pos d_model", "attention's output, all heads"),
    ]


def _feed_forward(config: ModelConfig, block: str) -> list[Hook]:
    stream = "batch pos d_model"
    own = "the feed-forward layer's own copy of its input"
    hooks = [Hook(f"{block}hook_mlp_in", stream, own, "use_hook_mlp_in")]
    if config.wiring.norm and not config.wiring.norm_after:
        hooks += _norm(f"{block}ln2.", "before the feed-forward layer", config)
    if config.experts:
        weights = "the router's probabilities"
        indices = "the expert that each token goes to"
        hooks.append(Hook(f"{block}mlp.hook_expert_weights", "batch pos expert", weights))
        hooks.append(Hook(f"{block}mlp.hook_expert_indices", "batch pos 1", indices))
        layers = [
            (f"{block}mlp.experts.{e}.", f" of expert {e}, of every token, its own or not")
            for e in range(config.experts.count)
        ]
    else:
        layers = [(f"{block}mlp.", "")]
    for layer, whose in layers:
        hooks += _neurons(layer, whose, config)
    return [*hooks, Hook(f"{block}hook_mlp_out", stream, "the feed-forward layer's output")]


def _neurons(layer: str, whose: str, config: ModelConfig) -> list[Hook]:
    """The inside of one feed-forward layer."""
    neurons = "batch pos d_mlp"
    if config.activation == "swiglu":
        return [
            Hook(f"{layer}hook_pre", neurons, f"the gate before its SiLU{whose}"),
            Hook(f"{layer}hook_pre_linear", neurons, f"neurons beside the gate{whose}"),
            Hook(f"{layer}hook_post", neurons, f"gate times neurons{whose}"),
        ]
    bend = ACTIVATION_NAMES[config.activation]
    return [
        Hook(f"{layer}hook_pre", neurons, f"neurons before the {bend}{whose}"),
        Hook(f"{layer}hook_post", neurons, f"neurons after the {bend}{whose}"),
    ]


def _norm(norm: str, where: str, config: ModelConfig) -> list[Hook]:
    assert config.wiring.norm is not None
    kind = NORM_NAMES[config.wiring.norm]
    shift, factors = ("centred and ", "w and b") if kind == "LayerNorm" else ("", "w")
    quotient = f"{kind}'s input, {shift}divided by it, before {factors}, {where}"
    return [
        Hook(f"{norm}hook_scale", "batch pos 1", f"{kind}'s divisor {where}"),
        Hook(f"{norm}hook_normalized", "batch pos d_model", quotient),
    ]


def _nothing(*_: object) -> list[Hook]:
    return []
