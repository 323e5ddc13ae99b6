"""What a stage writes when it is left to continue a prompt."""

from __future__ import annotations

from collections.abc import Sequence

from lt_interp.errors import InputError
from lt_interp.model.stage_model import StageModel

TEMPERATURE = 0.8
NEW_TOKENS = 25


def samples(
    model: StageModel,
    prompts: Sequence[str],
    *,
    seed: int,
    temperature: float = TEMPERATURE,
    max_new_tokens: int = NEW_TOKENS,
) -> list[str]:
    """Continue each prompt once.

    Args:
        model: A stage with a tokenizer.
        prompts: What to continue.
        seed: Of the sampling, the same for every prompt, so that a sample does not depend on the
            other prompts.
        temperature: Divides the logits; 0 takes the likeliest token.
        max_new_tokens: Tokens to add, at most; the end of the story ends the sample.

    Returns:
        What was added to each prompt, without the prompt and without `<eos>`.

    Raises:
        InputError: The model has no tokenizer, or a prompt does not fit it.
    """
    if model.tokenizer is None:
        raise InputError("this model has no tokenizer; build it with one to sample text")
    continuations = []
    for prompt in prompts:
        tokens = model.input_to_tokens(prompt)
        written = model.generate(
            tokens, max_new_tokens, temperature=temperature, seed=seed, stop_at_eos=True
        )
        added = written[0, tokens.shape[1] :].tolist()
        if added and added[-1] == model.tokenizer.eos_id:
            added.pop()
        continuations.append(model.tokenizer.decode(added))
    return continuations
