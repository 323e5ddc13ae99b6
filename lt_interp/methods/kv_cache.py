"""What keeping keys and values saves and costs: the same logits, in time and memory."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

import torch
from torch import Tensor

from lt_interp.errors import InputError
from lt_interp.methods.checkpoints import versions
from lt_interp.methods.result import Progress, Result, make_table
from lt_interp.methods.timing import in_turn
from lt_interp.model.parts.past import Past
from lt_interp.model.parts.unseen import fused
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import get_stage

STAGES = ("char_gpt", "byte_gpt", "gpt_learned")
LENGTHS = (16, 32, 64, 127, 256, 384, 511)
REPEATS = 9
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
        repeats: Timings of each, the two ways in turn; their median is kept.
        seed: Of weights and tokens.
        progress: Called with how much is done, how much there is, and the stage.
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
    rows = []
    for done, (stage, length) in enumerate(cells):
        if progress is not None:
            progress(done, len(cells), stage)
        model = StageModel(get_stage(stage).config, name=stage, seed=seed)
        rows.append({"stage": stage, **_measure(model, length, repeats=repeats, seed=seed)})
    notes = {
        "times": f"median of {repeats}, the two ways in turn, {torch.get_num_threads()} threads",
        "weights": "untrained: neither times nor sizes depend on them",
    }
    meta = {"command": command, "seed": seed, "versions": versions(), "notes": notes}
    return Result(name="kv_cache", tables={"tokens": make_table(TOKENS, rows)}, meta=meta)


@torch.no_grad()
@fused()
def _measure(model: StageModel, length: int, *, repeats: int, seed: int) -> dict[str, Any]:
    """One length of one stage; what is kept is copied each time, which `generate` avoids."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(model.config.d_vocab, (1, length + 1), generator=generator)
    past = Past(model.config.depth)
    model.hidden(tokens[:, :-1], past=past)

    def kept() -> Tensor:
        return model.unembed(model.hidden(tokens[:, -1:], past=past.copy()))

    def read_again() -> Tensor:
        return model.unembed(model.hidden(tokens)[:, -1:])

    after, whole = kept(), read_again()
    times, times_again = in_turn(kept, read_again, repeats=repeats)
    return {
        "length": length,
        "kept_seconds": median(times),
        "read_again_seconds": median(times_again),
        "ratio": median(again / once for once, again in zip(times, times_again, strict=True)),
        "cache_bytes": past.n_bytes,
        "max_abs_logit_difference": float((after - whole).abs().max()),
        "largest_logit": float(whole.abs().max()),
    }
