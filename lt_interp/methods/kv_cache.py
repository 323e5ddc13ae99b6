"""What keeping keys and values saves and costs: the same logits, in time and memory."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lt_interp.errors import InputError
from lt_interp.methods.checkpoints import versions
from lt_interp.methods.result import Progress, Result, make_table
from lt_interp.methods.timing import seconds
from lt_interp.model.parts.past import Past
from lt_interp.model.parts.unseen import fused
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import get_stage

STAGES = ("char_gpt", "byte_gpt", "gpt_learned")
LENGTHS = (16, 32, 64, 127, 256, 384, 511)
REPEATS = 25
TOKENS = {
    "stage": str,
    "length": int,
    "kept_seconds": float,
    "read_again_seconds": float,
    "ratio": float,
    "cache_bytes": int,
    "max_abs_logit_difference": float,
    "largest_logit": float,
}


def kv_cache(
    stages: Sequence[str] = STAGES,
    *,
    lengths: Sequence[int] = LENGTHS,
    repeats: int = REPEATS,
    seed: int = 0,
    progress: Progress | None = None,
    command: str = "",
) -> Result:
    """The next token's logits after texts of several lengths, with and without a cache.

    Neither times nor sizes depend on what the weights are, so the stages are untrained.

    Args:
        stages: Which.
        lengths: Tokens before the one that is read; those beyond a stage's context are left out.
        repeats: Timings of each, the two ways in turn; their median is kept. Each round times all
            lengths once, so that a machine's drift meets them alike.
        seed: Of weights and tokens.
        progress: Called with how much is done, how much there is, and what is done.
        command: What repeats it.

    Returns:
        A table `tokens`: seconds of one further token, bytes of the cache, and how far the logits
        of the two ways lie apart.

    Raises:
        InputError: There is no such stage, or no length that it can read.
    """
    cells = [(s, n) for s in stages for n in lengths if n < get_stage(s).config.n_ctx]
    if not cells or min(lengths) < 1:
        raise InputError(
            f"lengths {', '.join(map(str, lengths))}: take 1 or more, and less than a context"
        )
    models = {s: StageModel(get_stage(s).config, name=s, seed=seed) for s, _ in cells}
    texts = [_Text.of(models[stage], length, seed=seed) for stage, length in cells]
    times: list[list[tuple[float, float]]] = [[] for _ in texts]
    for done in range(repeats):
        if progress is not None:
            progress(done, repeats, "times")
        for text, pairs in zip(texts, times, strict=True):
            pairs.append(text.seconds())
    rows = [text.row(pairs) for text, pairs in zip(texts, times, strict=True)]
    n_threads = torch.get_num_threads()
    notes = {
        "times": f"median of {repeats} rounds over all lengths, the two ways in turn, "
        f"{n_threads} threads",
        "machine": _machine(),
        "weights": "untrained: neither times nor sizes depend on them",
    }
    meta = {"command": command, "seed": seed, "versions": versions(), "notes": notes}
    return Result(name="kv_cache", tables={"tokens": make_table(TOKENS, rows)}, meta=meta)


def _machine() -> str:
    """What the times are of."""
    processor = platform.processor() or platform.machine()
    return f"{processor}, {os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()}"


@dataclass(frozen=True)
class _Text:
    """A text of one length before a stage, and what the stage keeps of it."""

    model: StageModel
    tokens: Int[Tensor, "1 pos"]
    past: Past

    @classmethod
    @torch.no_grad()
    def of(cls, model: StageModel, length: int, *, seed: int) -> _Text:
        """Random tokens, all but the last of them read."""
        generator = torch.Generator().manual_seed(seed)
        tokens = torch.randint(model.config.d_vocab, (1, length + 1), generator=generator)
        past = Past(model.config.depth)
        with fused():
            model.hidden(tokens[:, :-1], past=past)
        return cls(model, tokens, past)

    @torch.no_grad()
    @fused()
    def kept(self) -> Float[Tensor, "1 1 d_vocab"]:
        """The next token's logits; what is kept is copied, which `generate` avoids."""
        return self.model.unembed(self.model.hidden(self.tokens[:, -1:], past=self.past.copy()))

    @torch.no_grad()
    @fused()
    def read_again(self) -> Float[Tensor, "1 1 d_vocab"]:
        """The same without what is kept."""
        return self.model.unembed(self.model.hidden(self.tokens)[:, -1:])

    def seconds(self) -> tuple[float, float]:
        """Of both ways, one after the other, the weights read once before."""
        self.kept()
        return seconds(self.kept), seconds(self.read_again)

    def row(self, pairs: Sequence[tuple[float, float]]) -> dict[str, Any]:
        """What the table says of it."""
        after, whole = self.kept(), self.read_again()
        return {
            "stage": self.model.cfg.model_name,
            "length": self.tokens.shape[1] - 1,
            "kept_seconds": median(once for once, _ in pairs),
            "read_again_seconds": median(again for _, again in pairs),
            "ratio": median(again / once for once, again in pairs),
            "cache_bytes": self.past.n_bytes,
            "max_abs_logit_difference": float((after - whole).abs().max()),
            "largest_logit": float(whole.abs().max()),
        }
