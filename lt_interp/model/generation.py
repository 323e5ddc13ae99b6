"""Text from a model, one sampled token after another."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lt_interp.errors import InputError
from lt_interp.model.parts.past import Past
from lt_interp.model.parts.unseen import fused

if TYPE_CHECKING:
    from transformer_lens.config import TransformerLensConfig

SMALLEST = 1e-6  # of temperatures above 0 and of top_p; below it float32 divides by nothing


class Generation:
    """The `generate` method of a model."""

    cfg: TransformerLensConfig

    @fused()
    def generate(
        self,
        input: str | list[str] | Int[Tensor, "batch pos"],
        max_new_tokens: int = 40,
        *,
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
        stop_at_eos: bool = True,
        use_past_kv_cache: bool = True,
        prepend_bos: bool | None = None,
    ) -> Any:
        """Continue a text or rows of ids.

        A model reads the last `n_ctx - 1` tokens at most: rows of `n_ctx` tokens have that many
        inputs, so the last position of all is one that training never reaches.

        Args:
            input: A text, texts of one length in tokens, or ids.
            max_new_tokens: Tokens to add, at most.
            temperature: Divides the logits; 0 takes the likeliest token.
            top_k: Sample among this many likeliest tokens.
            top_p: Sample among the likeliest tokens that together reach this probability.
            seed: Seed of the sampling.
            use_past_kv_cache: Keep keys and values instead of reading the whole context for every
                token. Not done while a function is on a hook, which sees every position each time,
                nor once the context is full, from where on its positions move.
            stop_at_eos: End once every row has produced `<eos>`.
            prepend_bos: Put `<eos>` before a text.

        Returns:
            Text for a text, ids [batch pos] for texts and ids; prompt included.

        Raises:
            InputError: An option is out of range, or the input does not fit the model.
        """
        if max_new_tokens < 0:
            raise InputError(f"max_new_tokens must be 0 or more, not {max_new_tokens}")
        check_sampling(temperature, top_k, top_p)
        tokens = self.input_to_tokens(input, prepend_bos=prepend_bos)  # type: ignore[attr-defined]
        if isinstance(input, list):
            self._refuse_unequal(input)
        generator = torch.Generator(device=tokens.device).manual_seed(seed)
        pick = partial(
            sample, temperature=temperature, top_k=top_k, top_p=top_p, generator=generator
        )
        eos = self.tokenizer.eos_id if self.tokenizer else self.config.eos_id  # type: ignore[attr-defined]
        past = self._past(tokens.shape[1] + max_new_tokens) if use_past_kv_cache else None
        last = eos if stop_at_eos else None
        # a hook may keep what it sees, and use it where gradients are wanted
        with torch.inference_mode(not self.hooked), torch.no_grad():  # type: ignore[attr-defined]
            tokens = self._continued(tokens, max_new_tokens, pick, last, past)
        tokens = tokens.clone()  # may be trained on, which tensors of inference mode may not
        return self.to_string(tokens[0]) if isinstance(input, str) else tokens  # type: ignore[attr-defined]

    def _continued(
        self,
        tokens: Int[Tensor, "batch pos"],
        n_new: int,
        pick: Callable[[Float[Tensor, "batch d_vocab"]], Int[Tensor, "batch"]],
        last: int | None,
        past: Past | None,
    ) -> Int[Tensor, "batch longer"]:
        """Rows with that many tokens more, or until each has had its last."""
        done = torch.zeros(len(tokens), dtype=torch.bool, device=tokens.device)
        for _ in range(n_new):
            logits = self._next_logits(tokens, past)
            # both are NaN if a logit is
            if not all(math.isfinite(extreme) for extreme in logits.aminmax()):
                raise InputError("a logit holds NaN or infinity; load or train the model again")
            next_ = pick(logits)
            if last is not None:
                next_ = torch.where(done, last, next_)
                done = done | (next_ == last)
            tokens = torch.cat([tokens, next_[:, None]], dim=1)
            if last is not None and done.all():
                break
        return tokens

    def _refuse_unequal(self, texts: list[str]) -> None:
        """Refuse texts that `<pad>` would have to fill: the model would go on after it."""
        lengths = {len(self.tokenizer.encode(text)) for text in texts}  # type: ignore[attr-defined]
        if len(lengths) > 1:
            raise InputError(
                f"the texts have {', '.join(map(str, sorted(lengths)))} tokens; to be continued "
                "together they need as many each: give them one at a time"
            )

    def _past(self, length: int) -> Past | None:
        """Where to keep keys and values; nowhere without attention, or while hooks are in use."""
        if not self.cfg.n_heads or self.hooked:  # type: ignore[attr-defined]
            return None
        return Past(self.cfg.n_layers, room=min(length, self._context))

    @property
    def _context(self) -> int:
        """The most tokens that are read at once."""
        return max(1, self.cfg.n_ctx - 1)

    def _next_logits(
        self, tokens: Int[Tensor, "batch pos"], past: Past | None
    ) -> Float[Tensor, "batch d_vocab"]:
        """The prediction after the last token."""
        if past and tokens.shape[1] <= self._context:
            hidden = self.hidden(tokens[:, past.length :], past=past)  # type: ignore[attr-defined]
        else:
            hidden = self.hidden(tokens[:, -self._context :])  # type: ignore[attr-defined]
        return self.unembed(hidden[:, -1:])[:, 0]  # type: ignore[attr-defined]


def sample(
    logits: Float[Tensor, "batch d_vocab"],
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    generator: torch.Generator,
) -> Int[Tensor, "batch"]:
    """One token a row."""
    return draw(next_token_probabilities(logits, temperature, top_k, top_p), generator)


def draw(
    probabilities: Float[Tensor, "batch d_vocab"], generator: torch.Generator
) -> Int[Tensor, "batch"]:
    """One token a row: where a uniform number falls among the probabilities laid end to end.

    One number a row; `torch.multinomial` draws one for every token of the vocabulary.
    """
    ends = probabilities.cumsum(dim=-1, dtype=torch.float64)
    shape = (len(ends), 1)
    uniform = torch.rand(shape, generator=generator, dtype=ends.dtype, device=ends.device)
    # below 1, so the product is below the last end, and no token past it or of no width is drawn
    return torch.searchsorted(ends, uniform * ends[:, -1:], right=True)[:, 0]


def next_token_probabilities(
    logits: Float[Tensor, "batch d_vocab"],
    temperature: float,
    top_k: int | None,
    top_p: float | None,
) -> Float[Tensor, "batch d_vocab"]:
    """With which probability each token is drawn; at temperature 0, the likeliest for certain.

    `top_p` is the nucleus of Holtzman et al. (arXiv 1904.09751): the smallest set of likeliest
    tokens whose probabilities reach it; the likeliest token is always in.
    """
    if temperature == 0:
        return nn.functional.one_hot(logits.argmax(dim=-1), logits.shape[-1]).to(logits.dtype)
    # the likeliest token at 0 first: a tiny temperature then overflows to -inf, never to inf
    logits = (logits - logits.amax(dim=-1, keepdim=True)) / temperature
    if top_k is not None:
        kth = logits.topk(min(top_k, logits.shape[-1])).values[:, -1:]
        logits = logits.masked_fill(logits < kth, -torch.inf)
    if top_p is not None:
        ordered, order = logits.softmax(dim=-1).sort(dim=-1, descending=True)
        before = ordered.cumsum(dim=-1) - ordered
        outside = torch.zeros_like(before, dtype=torch.bool).scatter(1, order, before >= top_p)
        logits = logits.masked_fill(outside, -torch.inf)
    return logits.softmax(dim=-1)


def check_sampling(temperature: float, top_k: int | None, top_p: float | None) -> None:
    """Refuse what nothing can be drawn with.

    Raises:
        InputError: An option is out of range.
    """
    if temperature != 0 and not SMALLEST < temperature < float("inf"):
        raise InputError(f"temperature must be 0 or more than {SMALLEST:g}, not {temperature}")
    if top_k is not None and top_k < 1:
        raise InputError(f"top_k must be 1 or more, not {top_k}")
    if top_p is not None and not SMALLEST <= top_p <= 1:
        raise InputError(f"top_p must be at least {SMALLEST:g} and at most 1, not {top_p}")
