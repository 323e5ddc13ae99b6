"""Which prompts a model can read: nobody's is passed over in silence, the article's may be."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from jaxtyping import Int
from torch import Tensor

from lt_interp.errors import InputError
from lt_interp.model.stage_model import StageModel


def readable_prompts(
    model: StageModel, prompts: Iterable[str], *, spared: Collection[str]
) -> tuple[dict[str, Int[Tensor, "1 pos"]], list[dict[str, Any]]]:
    """The ids of the prompts that a model can read, and why it cannot read the others.

    Args:
        model: A stage.
        prompts: What to read.
        spared: Those that are left out where they cannot be read, instead of refused.

    Returns:
        Ids by prompt, and `prompt` and `reason` of each that is left out.

    Raises:
        InputError: A prompt that is not spared has no tokens or too many, or the model no
            tokenizer.
    """
    readable, left_out = {}, []
    for prompt in prompts:
        try:
            readable[prompt] = model.input_to_tokens(prompt)
        except InputError as error:
            if prompt not in spared:
                raise InputError(f"prompt {prompt!r}: {error}") from None
            left_out.append({"prompt": prompt, "reason": str(error)})
    return readable, left_out
