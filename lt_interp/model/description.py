"""What a model says of itself: a few lines on its parts, its size and what it reads."""

from __future__ import annotations

from lt_interp.corpus.tokenizer import Tokenizer
from lt_interp.model.config import ACTIVATION_NAMES, NORM_NAMES, POSITION_NAMES, ModelConfig


def describe(
    config: ModelConfig, *, name: str, n_parameters: int, tokenizer: Tokenizer | None
) -> str:
    """A line for each thing that a user asks of a model before using it.

    Args:
        config: What the model is built from.
        name: What it is called, usually its stage.
        n_parameters: Counted from its weights.
        tokenizer: What turns text into ids for it, if anything does.

    Example:
        >>> from lt_interp.model.config import ModelConfig
        >>> print(describe(ModelConfig(), name="03_bigram", n_parameters=5, tokenizer=None))
        StageModel 03_bigram, 5 parameters
          reads     up to 256 tokens of a vocabulary of 4,096 (ids only, no tokenizer)
          embeds    tokens, 128 wide
          predicts  from the token alone
    """
    lines = {"reads": _reads(config, tokenizer), "embeds": _embeds(config)}
    if config.has_blocks:
        lines |= {"blocks": f"{config.n_layers} of {_parts(config)}", "joins": _wiring(config)}
    tied = ", by the token embedding itself" if config.tied else ""
    lines["predicts"] = f"from {_source(config)}{tied}"
    body = "".join(f"\n  {word:<8}  {text}" for word, text in lines.items())
    return f"StageModel {name}, {n_parameters:,} parameters{body}"


def _reads(config: ModelConfig, tokenizer: Tokenizer | None) -> str:
    kind = tokenizer.kind if tokenizer else "ids only, no tokenizer"
    return f"up to {config.n_ctx} tokens of a vocabulary of {config.d_vocab:,} ({kind})"


def _embeds(config: ModelConfig) -> str:
    what = "tokens and positions" if config.embeds_positions else "tokens"
    return f"{what}, {config.d_model} wide"


def _parts(config: ModelConfig) -> str:
    """What follows what in a block."""
    parts = []
    if config.n_heads:
        heads = "1 head" if config.n_heads == 1 else f"{config.n_heads} heads"
        inside = config.positions if not config.embeds_positions else None
        distance = f", {POSITION_NAMES[inside]}" if inside else ""
        parts.append(f"attention ({heads}, {config.d_head} wide{distance})")
    if config.experts:
        kind = "gated" if config.experts.gated else "not gated"
        parts.append(f"1 of {config.experts.count} experts ({_neurons(config)} each, {kind})")
    elif config.d_mlp:
        parts.append(f"feed-forward ({_neurons(config)})")
    return " and ".join(parts)


def _neurons(config: ModelConfig) -> str:
    """How many there are, and their kind unless it is the common one."""
    kind = "" if config.activation == "relu" else f"{ACTIVATION_NAMES[config.activation]} "
    return f"{config.d_mlp} {kind}neurons"


def _wiring(config: ModelConfig) -> str:
    place = "after each sum" if config.wiring.norm_after else "before each part"
    norm = f"{NORM_NAMES[config.wiring.norm]} {place}; " if config.wiring.norm else ""
    joined = "a part adds to the residual stream" if config.wiring.residual else "a chain of parts"
    return f"{norm}{joined}"


def _source(config: ModelConfig) -> str:
    """What the unembedding reads."""
    if config.average:
        return "the mean of the embeddings so far"
    if config.window > 1:
        return f"the last {config.window} tokens, side by side"
    if not config.has_blocks:
        return "the token and its position" if config.embeds_positions else "the token alone"
    if config.final_norm:
        return f"the stream after a last {NORM_NAMES[config.final_norm]}"
    return "the end of the blocks"
