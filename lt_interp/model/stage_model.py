"""The one model of the project, a HookedTransformer to whoever uses it."""

from __future__ import annotations

from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformer_lens.ActivationCache import ActivationCache
from transformer_lens.hook_points import HookPoint
from transformer_lens.utilities import Slice

from lt_interp.corpus.tokenizer import Tokenizer
from lt_interp.errors import InputError
from lt_interp.model.cache import StreamlessCache
from lt_interp.model.cfg import transformer_lens_config
from lt_interp.model.config import ModelConfig
from lt_interp.model.description import describe
from lt_interp.model.generation import Generation
from lt_interp.model.hook_names import NamedHooks
from lt_interp.model.initialisation import initialise_pytorch_default
from lt_interp.model.parts.block import Block
from lt_interp.model.parts.embedding import Embed, PosEmbed
from lt_interp.model.parts.norm import NORMS
from lt_interp.model.parts.past import Past
from lt_interp.model.parts.pool import PrefixMean, Window
from lt_interp.model.parts.unembed import TiedUnembed, Unembed
from lt_interp.model.text import Text
from lt_interp.model.weights import Weights

ReturnType = Literal["logits", "loss", "both"] | None


class StageModel(Text, Weights, Generation, NamedHooks):
    """Any stage of the ladder: parts that the config switches on, hook points inside them.

    It takes what HookedTransformer takes and names what HookedTransformer names. A part that the
    stage lacks is missing from `hook_dict` too.
    """

    def __init__(
        self,
        config: ModelConfig,
        *,
        tokenizer: Tokenizer | None = None,
        name: str = "lt_interp",
        seed: int = 0,
    ) -> None:
        """Build the parts with PyTorch's default random weights.

        Args:
            config: What the model is built from.
            tokenizer: What turns text into ids; without one the model takes ids only.
            name: What `model.cfg.model_name` says, usually the stage's id.
            seed: Seed of the random weights.

        Raises:
            InputError: The tokenizer's vocabulary is not the config's.
        """
        super().__init__()
        if tokenizer and tokenizer.d_vocab != config.d_vocab:
            raise InputError(
                f"the tokenizer has {tokenizer.d_vocab} ids and the model {config.d_vocab}; "
                "load the tokenizer that the model was trained with"
            )
        self.config = config
        self.tokenizer = tokenizer
        self.cfg = transformer_lens_config(config, name=name)
        self.embed = Embed(config.d_vocab, config.d_model)
        self.hook_embed = HookPoint()
        if config.embeds_positions:
            self.pos_embed = PosEmbed(config.n_ctx, config.d_model)
            self.hook_pos_embed = HookPoint()
        if config.average:
            self.pool = PrefixMean()
        if config.window > 1:
            self.window = Window(config.window)
        if config.average or config.window > 1:
            self.hook_pooled = HookPoint()
        layers = range(config.depth)
        self.blocks = nn.ModuleList(Block(config, self.cfg, layer=layer) for layer in layers)
        if config.final_norm:
            self.ln_final = NORMS[config.final_norm](config.d_model)
        self.dropout = nn.Dropout(config.dropout)
        self.unembed = _unembed(config, self.embed)
        if not self.embed.W_E.is_meta:
            initialise_pytorch_default(self, torch.Generator().manual_seed(seed))
        self.eval()
        self.setup()

    def forward(
        self,
        input: str | list[str] | Int[Tensor, "batch pos"] | Int[Tensor, "pos"] | Tensor,
        return_type: ReturnType = "logits",
        loss_per_token: bool = False,
        prepend_bos: bool | None = None,
        *,
        start_at_layer: int | None = None,
        tokens: Int[Tensor, "batch pos"] | None = None,
        stop_at_layer: int | None = None,
    ) -> Any:
        """Predict the token after every position.

        Args:
            input: Text, a list of texts, or token ids; with `start_at_layer` what that block reads
                [batch pos d_model].
            return_type: `"logits"` [batch pos d_vocab], `"loss"` (mean cross-entropy of the next
                token in nats), `"both"` as a pair, or `None` to run for the hooks alone.
            loss_per_token: The loss of every predicted token [batch pos-1] instead of the mean.
            prepend_bos: Put `<eos>`, which precedes every story but the first, before text.
            start_at_layer: The first block to run; negative numbers count from the end.
            tokens: The ids behind an `input` that is none, for a loss.
            stop_at_layer: The first block not to run: what it would read is returned
                [batch pos d_model], whatever `return_type` says. `n_layers` runs all blocks.

        Raises:
            InputError: The input is longer than `n_ctx`, empty, or holds ids outside the
                vocabulary, there is no such layer, or `return_type` is none of the above.
        """
        if return_type not in ("logits", "loss", "both", None):
            raise InputError(f"return_type {return_type!r}; allowed: logits, loss, both, None")
        blocks = self.blocks[self._layer(start_at_layer) : self._layer(stop_at_layer)]
        if start_at_layer is None:
            tokens = self.input_to_tokens(input, prepend_bos=prepend_bos)
            x = self.embedded(tokens)
        else:
            x = self._stream(input)
        for block in blocks:
            x = block(x)
        if stop_at_layer is not None:
            return x
        logits = self.unembed(self.normalised(x))
        if return_type is None:
            return None
        if return_type == "logits":
            return logits
        if tokens is None:
            raise InputError("the loss needs the ids of the text; give them as tokens")
        loss = self.loss_fn(logits, tokens, per_token=loss_per_token)
        return loss if return_type == "loss" else (logits, loss)

    def _layer(self, layer: int | None) -> int | None:
        """A layer as the place of its block, `n_layers` for after the last."""
        n_layers = len(self.blocks)
        if layer is not None and not -n_layers <= layer <= n_layers:
            raise InputError(f"layer {layer} is not among {-n_layers}..{n_layers}")
        return layer

    def _stream(self, input: Any) -> Float[Tensor, "batch pos d_in"]:
        """What the first of some blocks reads, checked."""
        shape, d_in = list(getattr(input, "shape", ())), self.W_U.shape[0]
        if len(shape) != 3 or shape[2] != d_in or not 1 <= shape[1] <= self.cfg.n_ctx:
            raise InputError(
                "with start_at_layer the input is what that block reads, [batch pos d_model] with "
                f"1 to {self.cfg.n_ctx} positions of {d_in} numbers, not "
                f"{shape or type(input).__name__}"
            )
        return input.to(self.W_E.device)

    @property
    def hooked(self) -> bool:
        """Whether functions are on its hooks; what they are to see must be a whole run."""
        return any(hook.has_hooks() for hook in self.hook_dict.values())

    def hidden(
        self, tokens: Int[Tensor, "batch pos"], *, past: Past | None = None
    ) -> Float[Tensor, "batch pos d_in"]:
        """Everything before the unembedding; a loss over a large vocabulary continues from here.

        Args:
            tokens: What is read.
            past: What was read before it, which is extended.

        Raises:
            InputError: There is a past, and the stage has no attention that would keep any.
        """
        if past and not self.config.n_heads:
            raise InputError(
                f"{self.cfg.model_name} has no attention, so no keys and values to keep"
            )
        x = self.embedded(tokens, past=past)
        for block in self.blocks:
            x = block(x, past)
        return self.normalised(x)

    def normalised(self, x: Float[Tensor, "batch pos d_in"]) -> Float[Tensor, "batch pos d_in"]:
        """What the unembedding reads: the last block's output, normalised where the stage does."""
        return self.ln_final(x) if self.config.final_norm else x

    def embedded(
        self, tokens: Int[Tensor, "batch pos"], *, past: Past | None = None
    ) -> Float[Tensor, "batch pos d_in"]:
        """What the first block reads, or without blocks the unembedding.

        Args:
            tokens: What is read, from any device.
            past: What was read before it.
        """
        tokens = tokens.to(self.W_E.device)
        x = self.hook_embed(self.embed(tokens))
        if self.config.embeds_positions:
            x = x + self.hook_pos_embed(self.pos_embed(tokens, first=past.length if past else 0))
        if self.config.average:
            x = self.hook_pooled(self.pool(x))
        if self.config.window > 1:
            x = self.hook_pooled(self.window(x, self.embed.W_E[self.config.eos_id]))
        return self.dropout(x)

    def loss_fn(
        self,
        logits: Float[Tensor, "batch pos d_vocab"],
        tokens: Int[Tensor, "batch pos"],
        *,
        per_token: bool = False,
    ) -> Float[Tensor, ""] | Float[Tensor, "batch pos_minus_1"]:
        """Cross-entropy in nats of each token under the logits before it."""
        losses = nn.functional.cross_entropy(
            logits[:, :-1].transpose(1, 2), tokens[:, 1:].long(), reduction="none"
        )
        return losses if per_token else losses.mean()

    def run_with_cache(
        self, *model_args: Any, return_cache_object: bool = True, **kwargs: Any
    ) -> tuple[Any, ActivationCache | dict[str, Tensor]]:
        """Run and keep every activation.

        Args:
            model_args: What `forward` takes.
            return_cache_object: An `ActivationCache`, or the plain dictionary if false.
            kwargs: What `forward` takes by keyword, and `names_filter`, `remove_batch_dim`,
                `pos_slice`, `incl_bwd`, `device` as in HookedTransformer.

        Returns:
            The model's output and the cache. `remove_batch_dim` takes the batch axis off the cache.
        """
        remove_batch_dim = kwargs.pop("remove_batch_dim", False)
        heads_apart = self.cfg.use_attn_in or self.cfg.use_split_qkv_input
        cut_after = Slice.unwrap(kwargs.pop("pos_slice", None) if heads_apart else None)
        input_ = model_args[0] if model_args else kwargs.pop("input")
        if kwargs.get("start_at_layer") is None:
            input_ = self.input_to_tokens(input_, prepend_bos=kwargs.pop("prepend_bos", None))
        output, cache = super().run_with_cache(
            input_, *model_args[1:], remove_batch_dim=remove_batch_dim, **kwargs
        )
        for name, activation in cache.items():  # HookedRootModule would cut inputs' head axis
            by_head = name.removesuffix("_grad").endswith(("hook_attn_scores", "hook_pattern"))
            cache[name] = cut_after.apply(activation, dim=1 + by_head - remove_batch_dim)
        if not return_cache_object:
            return output, cache
        kind = ActivationCache if self.config.has_stream else StreamlessCache
        return output, kind(cache, self, has_batch_dim=not remove_batch_dim)

    def _apply(self, fn: Any, recurse: bool = True) -> StageModel:
        """Whatever moves or casts a module ends here: keep `cfg.device` and `cfg.dtype` true."""
        super()._apply(fn, recurse)
        self.cfg.device = str(self.W_E.device)
        self.cfg.dtype = self.W_E.dtype
        return self

    def __repr__(self) -> str:
        """What it is, in a few lines instead of a tree of modules."""
        return describe(
            self.config,
            name=self.cfg.model_name,
            n_parameters=sum(p.numel() for p in self.parameters()),
            tokenizer=self.tokenizer,
        )


def _unembed(config: ModelConfig, embed: Embed) -> Unembed | TiedUnembed:
    """The unembedding that the description asks for."""
    if config.tied:
        return TiedUnembed(embed)
    return Unembed(config.window * config.d_model, config.d_vocab, bias=config.unembed_bias)
