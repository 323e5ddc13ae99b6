"""`lt-interp generate`: a stage continues a prompt."""

from __future__ import annotations

from typing import Annotated

import typer

from lt_interp.cli.choices import LARGEST_SEED, Device
from lt_interp.cli.console import note
from lt_interp.cli.progress import bar


def generate(
    stage: Annotated[str, typer.Argument(help="A shipped checkpoint, or the folder of another.")],
    prompt: Annotated[str, typer.Argument(help="The text to continue.")],
    temperature: Annotated[
        float, typer.Option(help="Divides the logits; 0 takes the likeliest token.")
    ] = 0.8,
    top_k: Annotated[
        int | None, typer.Option(help="Sample among this many likeliest tokens.")
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(help="Sample among the likeliest tokens that reach this probability."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Seed of the sampling.")] = 0,
    max_new_tokens: Annotated[int, typer.Option(help="Tokens to add, at most.")] = 40,
    device: Device = "auto",
) -> None:
    """Continue a prompt; the text goes to standard output as it is, the prompt included."""
    with bar("generating"):
        from lt_interp.training.checkpoint import load

        model = load(stage, device=device)
        tokenizer = model.tokenizer
        assert tokenizer is not None, "load() opens no model without its tokenizer"
        given = model.input_to_tokens(prompt)
        tokens = model.generate(
            given,
            max_new_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
        )
    ids = given[0].tolist()
    n_unknown = sum(i == tokenizer.unk_id for i in ids)
    if n_unknown:
        note(f"note: {n_unknown} of the prompt's {len(ids)} tokens are unknown to the model")
    new = tokens[0, len(ids) :].tolist()
    ended = bool(new) and new[-1] == tokenizer.eos_id
    # The prompt as it was typed: decoded, an unknown word would have become <unk>.
    typer.echo(prompt + tokenizer.decode(new[:-1] if ended else new))
