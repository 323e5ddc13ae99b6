"""What a model is built from: one frozen description for every stage."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from types import NoneType
from typing import Any

from lt_interp.errors import InputError

# The kinds of parts, by the words of a description, each with its usual name.
NORM_NAMES = {"LN": "LayerNorm", "RMS": "RMSNorm"}
POSITION_NAMES = {"learned": "learned", "alibi": "ALiBi", "rotary": "RoPE"}
MOST_LAYERS = 1_000  # each takes time and memory before any weight is read
LARGEST = 2**31 - 1  # of any size
ACTIVATION_NAMES = {"relu": "ReLU", "gelu": "GELU", "swiglu": "SwiGLU"}


def _check_choice(name: str, value: Any, allowed: tuple[Any, ...], rule: str = "") -> None:
    if value not in allowed:
        why = f"; {rule}" if rule else ""
        raise InputError(f"{name} is {value!r}{why}; allowed: {', '.join(map(repr, allowed))}")


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """How a part is joined to what flows past it.

    Attributes:
        residual: `x + part(x)` when true, `part(x)` when false.
        norm: `"LN"` puts a LayerNorm before every part and one before the unembedding (pre-norm),
            `"RMS"` an RMSNorm; `None` leaves activations as they are.
        norm_after: The norm stands after the sum instead, `norm(x + part(x))`, and none before the
            unembedding (post-norm, as in arXiv 1706.03762).
    """

    residual: bool = False
    norm: str | None = None
    norm_after: bool = False

    def __post_init__(self) -> None:
        """Refuse an unknown norm, and a place for one that is not there."""
        _check_choice("norm", self.norm, (None, *NORM_NAMES))
        if self.norm_after and not (self.norm and self.residual):
            raise InputError("norm_after normalises a sum: give wiring a norm and residual=True")


CHAIN = Wiring()
PRE_NORM_RESIDUAL = Wiring(residual=True, norm="LN")


@dataclass(frozen=True, kw_only=True)
class Experts:
    """A mixture of experts in place of each feed-forward layer, one expert a token (top-1).

    Attributes:
        count: Number of experts a block.
        gated: Multiply the chosen expert's output by its router probability (Switch Transformer,
            arXiv 2101.03961). Ungated, no gradient reaches the router at all.
    """

    count: int
    gated: bool

    def __post_init__(self) -> None:
        """Refuse a mixture of fewer than two."""
        if self.count < 2:
            raise InputError(f"a mixture needs 2 experts or more, not {self.count}")
        if self.count > MOST_LAYERS:
            raise InputError(f"a mixture has at most {MOST_LAYERS:,} experts")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """One model, part by part; a part that is absent has the value that means absent.

    Attributes:
        d_vocab: Number of token ids.
        n_ctx: Longest sequence in tokens.
        d_model: Width of an embedding.
        average: The unembedding reads the mean of the embeddings at positions 0..t.
        window: The unembedding reads the concatenated embeddings of the last `window` tokens.
        positions: `"learned"` adds a trained vector a position to the embedding; `"alibi"` lowers
            attention scores with distance, `"rotary"` turns queries and keys by their positions
            (`lt_interp.model.parts.distance`).
        n_layers: Number of blocks, if a block has any part.
        n_heads: Causal attention heads a block, each `d_model / n_heads` wide; 0 for no attention.
        d_mlp: Width of the feed-forward layer of a block; 0 for none.
        activation: Of the feed-forward layer; `"swiglu"` gates it and has a third matrix.
        mlp_bias: Whether feed-forward layers have biases.
        wiring: How the parts of a block are joined.
        experts: A mixture of experts in place of the feed-forward layer.
        tied: The unembedding is the token embedding, transposed, and has no bias.
        unembed_bias: Whether an unembedding of its own has a bias.
        dropout: Share of activations that training sets to zero: of embeddings, attention patterns
            and what the parts of a block write.
        eos_id: The id that stands for what lies left of a row in a window.
    """

    d_vocab: int = 4096
    n_ctx: int = 256
    d_model: int = 128
    average: bool = False
    window: int = 1
    positions: str | None = None
    n_layers: int = 1
    n_heads: int = 0
    d_mlp: int = 0
    activation: str = "relu"
    mlp_bias: bool = True
    wiring: Wiring = CHAIN
    experts: Experts | None = None
    tied: bool = False
    unembed_bias: bool = True
    dropout: float = 0.0
    eos_id: int = 2

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        kinds = (None, *POSITION_NAMES)
        _check_choice("positions", self.positions, kinds, "a model has one kind of them")
        _check_choice("activation", self.activation, tuple(ACTIVATION_NAMES))
        object.__setattr__(self, "dropout", float(self.dropout))
        for name in ("d_vocab", "n_ctx", "d_model", "window", "n_layers"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be 1 or more, not {getattr(self, name)}")
        for name, value in vars(self).items():
            if type(value) is int and value > LARGEST:
                raise InputError(f"{name} must be at most {LARGEST:,}")
        if self.n_layers > MOST_LAYERS:
            raise InputError(f"n_layers must be at most {MOST_LAYERS:,}, not {self.n_layers:,}")
        if self.n_heads < 0 or self.d_mlp < 0:
            raise InputError("n_heads and d_mlp must be 0 (absent) or more")
        if self.n_heads and self.d_model % self.n_heads:
            raise InputError(
                f"n_heads {self.n_heads} does not divide d_model {self.d_model}: heads share it in "
                "equal parts; choose a divisor"
            )
        if self.experts and not self.d_mlp:
            raise InputError("experts are feed-forward layers: give d_mlp their width")
        if (self.average or self.window > 1) and self.has_blocks:
            raise InputError("average and window stand in place of blocks: drop n_heads and d_mlp")
        if self.positions in ("alibi", "rotary") and not self.n_heads:
            raise InputError(f"{self.positions} positions act inside attention: give n_heads")
        if self.positions == "rotary" and self.d_head % 2:
            raise InputError(
                f"rotary positions turn pairs of coordinates; d_head {self.d_head} is odd: choose "
                "n_heads so that d_model / n_heads is even"
            )
        if self.activation == "swiglu" and self.mlp_bias:
            raise InputError("a SwiGLU layer has no biases: give mlp_bias=False")
        if self.tied and self.window > 1:
            raise InputError(
                f"a tied unembedding reads d_model numbers, a window of {self.window} tokens gives "
                f"{self.window * self.d_model}; drop tied or the window"
            )
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout must be 0 or more and below 1, not {self.dropout}")
        if not 0 <= self.eos_id < self.d_vocab:
            raise InputError(f"eos_id {self.eos_id} is not an id below d_vocab {self.d_vocab}")

    @property
    def has_blocks(self) -> bool:
        """Whether any part of a block is present."""
        return bool(self.n_heads or self.d_mlp)

    @property
    def depth(self) -> int:
        """Number of blocks that are built: `n_layers`, or 0 where a block would be empty."""
        return self.n_layers if self.has_blocks else 0

    @property
    def d_head(self) -> int:
        """Width of one head, 0 without attention."""
        return self.d_model // self.n_heads if self.n_heads else 0

    @property
    def has_residual(self) -> bool:
        """Whether parts are added to what they read, which has hooks (`hook_resid_pre`, ...)."""
        return self.has_blocks and self.wiring.residual

    @property
    def has_stream(self) -> bool:
        """Whether the last activation is a sum: blocks add to a stream and no norm rewrites it.

        A post-norm model has the hooks of a stream, and what they carry is no such sum.
        """
        return self.has_residual and not self.wiring.norm_after

    @property
    def embeds_positions(self) -> bool:
        """Whether a vector for the position is added to the embedding."""
        return self.positions == "learned"

    @property
    def final_norm(self) -> str | None:
        """The norm before the unembedding."""
        return self.wiring.norm if self.has_blocks and not self.wiring.norm_after else None

    def lengthened(self, n_ctx: int) -> ModelConfig:
        """The same model for sequences of up to `n_ctx` tokens, if its own are shorter.

        Raises:
            InputError: `n_ctx` is below 1, or positions are learned, so that there are none for
                tokens beyond its context.
        """
        if n_ctx < 1:
            raise InputError(f"n_ctx must be 1 or more, not {n_ctx}")
        if n_ctx > self.n_ctx and self.embeds_positions:
            raise InputError(
                f"positions are learned up to {self.n_ctx} tokens, and there is no vector for the "
                f"others of {n_ctx}; take {self.n_ctx} or fewer, or a model with alibi, rotary or "
                "no positions"
            )
        return dataclasses.replace(self, n_ctx=max(n_ctx, self.n_ctx))

    def to_dict(self) -> dict[str, Any]:
        """The description as plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Any) -> ModelConfig:
        """Read a description back, checking every name and type.

        Raises:
            InputError: A field is unknown, or its value has the wrong type or is out of range.
        """
        values = _checked(cls, values, "the model's config")
        if "wiring" in values:
            values["wiring"] = Wiring(**_checked(Wiring, values["wiring"], "wiring"))
        if values.get("experts") is not None:
            values["experts"] = Experts(**_checked(Experts, values["experts"], "experts"))
        return cls(**values)


_TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,), "bool": (bool,), "float": (float,), "str": (str,), "str | None": (str, NoneType),
}  # fmt: skip


def _checked(cls: type, values: Any, what: str) -> dict[str, Any]:
    """A dictionary whose keys are fields of `cls` and whose plain values have the fields' types."""
    fields = {field.name: str(field.type) for field in dataclasses.fields(cls)}
    if not isinstance(values, dict):
        raise InputError(f"{what} must be an object of {', '.join(fields)}")
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise InputError(f"{what} has unknown fields {', '.join(unknown)}; known: {list(fields)}")
    needed = [f.name for f in dataclasses.fields(cls) if f.default is dataclasses.MISSING]
    if lacking := [name for name in needed if name not in values]:
        raise InputError(f"{what} lacks {', '.join(lacking)}")
    for name, value in values.items():
        wanted = _TYPES.get(fields[name])
        if wanted and type(value) not in wanted:
            raise InputError(f"{what}: {name} must be of type {fields[name]}, not {value!r}")
    return dict(values)
