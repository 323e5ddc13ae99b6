"""The text half of HookedTransformer's surface: strings in, ids and strings out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from lt_interp.corpus.tokenizer import Tokenizer
from lt_interp.errors import InputError

if TYPE_CHECKING:
    from transformer_lens.config import TransformerLensConfig

SHOWN = 40  # characters of a text that an error repeats

TextOrTokens = str | list[str] | Tensor


class Text:
    """Methods of a model that turn text into ids and back with its `tokenizer`."""

    tokenizer: Tokenizer | None
    cfg: TransformerLensConfig

    def input_to_tokens(
        self, input: TextOrTokens, *, prepend_bos: bool | None = None
    ) -> Int[Tensor, "batch pos"]:
        """Ids of whatever `forward` was given, checked against the model.

        Raises:
            InputError: The input is empty, longer than `n_ctx`, holds ids outside the vocabulary,
                or is text without a single token of the vocabulary.
        """
        if isinstance(input, Tensor):
            tokens = input[None] if input.ndim == 1 else input
        else:
            tokens = self.to_tokens(input, prepend_bos=prepend_bos, truncate=False)
            self._refuse_unknown([input] if isinstance(input, str) else input)
        if tokens.ndim != 2 or tokens.is_floating_point():
            raise InputError(
                f"token ids must be integers [batch pos], not {tokens.dtype} {list(tokens.shape)}"
            )
        if tokens.numel() == 0:
            raise InputError("the input has no tokens; give at least one")
        if tokens.shape[1] > self.cfg.n_ctx:
            raise InputError(
                f"the input has {tokens.shape[1]} tokens and the context {self.cfg.n_ctx}; "
                "shorten it"
            )
        low, high = int(tokens.min()), int(tokens.max())
        if low < 0 or high >= self.cfg.d_vocab:
            wrong = low if low < 0 else high
            raise InputError(f"token id {wrong} is not in the vocabulary 0..{self.cfg.d_vocab - 1}")
        return tokens.to(self.cfg.device).long()

    def to_tokens(
        self,
        input: str | list[str],
        prepend_bos: bool | None = None,
        padding_side: Literal["left", "right"] = "right",
        move_to_device: bool = True,
        truncate: bool = True,
    ) -> Int[Tensor, "batch pos"]:
        """Encode text; shorter texts of a list are filled with `<pad>`.

        Args:
            input: A text or a list of texts.
            prepend_bos: Put `<eos>` first; `None` means `cfg.default_prepend_bos` (false).
            padding_side: Where `<pad>` goes. Right padding changes nothing for a causal model.
            move_to_device: Put the ids where the model is.
            truncate: Cut to `n_ctx`; without it, a text that is too long fails in `forward`.
        """
        tokenizer = self._need_tokenizer()
        if prepend_bos is None:
            prepend_bos = self.cfg.default_prepend_bos
        bos = [tokenizer.eos_id] if prepend_bos else []
        texts = [input] if isinstance(input, str) else input
        rows = [bos + tokenizer.encode(text) for text in texts]
        width = max((len(row) for row in rows), default=0)
        pad = tokenizer.eos_id if tokenizer.pad_id is None else tokenizer.pad_id
        fills = [[pad] * (width - len(row)) for row in rows]
        right = padding_side == "right"
        full = [row + fill if right else fill + row for row, fill in zip(rows, fills, strict=True)]
        tokens = torch.tensor(full, dtype=torch.long).reshape(len(texts), width)
        tokens = tokens[:, : self.cfg.n_ctx] if truncate else tokens
        return tokens.to(self.cfg.device) if move_to_device else tokens

    def to_string(self, tokens: Tensor | np.ndarray | list) -> str | list[str]:
        """Decode ids: one text for one row, a list for a batch."""
        tokenizer = self._need_tokenizer()
        ids = torch.as_tensor(np.asarray(tokens) if isinstance(tokens, list) else tokens)
        if ids.ndim == 2:
            return [tokenizer.decode(row) for row in ids.tolist()]
        return tokenizer.decode(ids.reshape(-1).tolist())

    def to_str_tokens(
        self,
        input: str | Tensor | np.ndarray | list,
        prepend_bos: bool | None = None,
        padding_side: Literal["left", "right"] = "right",
    ) -> list[str] | list[list[str]]:
        """The text of each token by itself, for labels: a list, or one a row for a batch.

        Raises:
            InputError: An id is not in the vocabulary.
        """
        label = self.to_single_str_token
        if isinstance(input, list) and input and isinstance(input[0], str):
            rows = [self.to_tokens(text, prepend_bos, truncate=False)[0] for text in input]
            return [[label(id) for id in row.tolist()] for row in rows]
        if isinstance(input, str):
            ids = self.to_tokens(input, prepend_bos, padding_side, truncate=False)[0]
        else:
            ids = torch.as_tensor(input)
        if ids.ndim == 2 and ids.shape[0] != 1:
            return [[label(id) for id in row] for row in ids.tolist()]
        return [label(id) for id in ids.reshape(-1).tolist()]

    def to_single_token(self, string: str) -> int:
        """The id of a text that is one token.

        Raises:
            InputError: It is several tokens, none, or not in the vocabulary.
        """
        tokenizer = self._need_tokenizer()
        ids = tokenizer.encode(string)
        if len(ids) != 1:
            raise InputError(f"{string!r} is {len(ids)} tokens, not one")
        if ids[0] == tokenizer.unk_id:
            raise InputError(f"{string!r} is not in the vocabulary of {tokenizer.d_vocab} tokens")
        return ids[0]

    def to_single_str_token(self, int_token: int) -> str:
        """The text of one id."""
        if not 0 <= int_token < self.cfg.d_vocab:
            raise InputError(f"token id {int_token} is not in 0..{self.cfg.d_vocab - 1}")
        return self._need_tokenizer().str_tokens[int_token]

    def get_token_position(
        self,
        single_token: str | int,
        input: str | Tensor,
        mode: Literal["first", "last"] = "first",
        prepend_bos: bool | None = None,
        padding_side: Literal["left", "right"] = "right",
    ) -> int:
        """Where a token stands in a text or a row of ids.

        Raises:
            InputError: It does not occur, or `mode` is neither first nor last.
        """
        if mode not in ("first", "last"):
            raise InputError(f"mode {mode!r}; allowed: first, last")
        tokens = self.input_to_tokens(input, prepend_bos=prepend_bos)
        if tokens.shape[0] != 1:
            raise InputError("give one text or one row of ids, not a batch")
        id = self.to_single_token(single_token) if isinstance(single_token, str) else single_token
        places = (tokens[0] == id).nonzero().flatten().tolist()
        if not places:
            raise InputError(f"the token {single_token!r} does not occur in the input")
        return places[0] if mode == "first" else places[-1]

    def _refuse_unknown(self, texts: list[str]) -> None:
        """Refuse a text that says nothing to the model: each of its tokens would be `<unk>`."""
        tokenizer = self._need_tokenizer()
        for text in texts if tokenizer.unk_id is not None else []:
            ids = tokenizer.encode(text)
            if ids and set(ids) == {tokenizer.unk_id}:
                shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
                raise InputError(
                    f"no token of {shown!r} is in the vocabulary of {tokenizer.d_vocab} tokens; "
                    "use words that the model was trained on"
                )

    def _need_tokenizer(self) -> Tokenizer:
        if self.tokenizer is None:
            raise InputError("this model has no tokenizer; pass token ids, or build it with one")
        return self.tokenizer
