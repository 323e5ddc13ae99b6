"""What a page was measured on, said in plain language, and how it can be made again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from lt_interp.corpus.sources import EMBEDDED
from lt_interp.figures.labels import stage_label
from lt_interp.report.markdown import code, plain, table
from lt_interp.report.numbers import MISSING, count, perplexity, perplexity_of
from lt_interp.stages import LADDER, STAGES

_OTHER_STORIES = (
    "They are **not** TinyStories' validation split, on which the article's figures were measured, "
    "so its figures stand beside ours for orientation and are no like-for-like comparison."
)
_OTHER_SPLIT = (
    "The article's perplexities are of all 18,616 rows of TinyStories' own validation split; where "
    "these stories are others, the figures differ for that too."
)
SHORT = 12  # hexadecimal digits of a hash that is only there to tell files apart


def corpus_sentences(meta: dict[str, Any]) -> str:
    """Which stories a result was measured on, and what that means for a comparison."""
    corpus = meta["corpus"]
    size = f"{count(corpus['n_stories'])} stories, {count(corpus['n_rows'])} rows of tokens"
    if corpus["name"] == EMBEDDED:
        said = (
            f"**Measured on the embedded stories** ({size}): children's stories that come with the "
            f"package. {_seen_in_training(meta)}"
        )
        return f"{said} {_OTHER_STORIES}" if _of_ladder(meta) else said
    part = {
        "all": "the whole of it",
        "validation": "its validation split",
        "train": "its training split",
    }.get(corpus["split"], f"its split {plain(corpus['split'])}")
    said = f"**Measured on {code(corpus['name'])}**, {part} ({size})."
    theirs = f" {_OTHER_SPLIT}" if _of_ladder(meta) else ""
    return f"{said}{theirs} {_seen_in_training(meta)}"


def of_ladder(stages: Iterable[str]) -> bool:
    """Whether a stage is of the ladder, whose article has figures of the same kind."""
    return any(stage not in STAGES or stage in LADDER for stage in stages)


def _of_ladder(meta: dict[str, Any]) -> bool:
    return of_ladder(model["stage"] for model in meta["models"].values())


def _seen_in_training(meta: dict[str, Any]) -> str:
    """Whether a model is on record as trained on what it is measured on.

    That is so if the stories are the same to the byte, or both are of one named corpus and it is
    not its validation split that is measured.
    """
    corpus = meta["corpus"]
    whole = corpus["split"] != "validation"
    seen = [
        name
        for name, model in meta["models"].items()
        if model["trained_on"]["sha256"] == corpus["sha256"]
        or (whole and model["trained_on"]["name"] == corpus["name"])
    ]
    if not seen:
        return f"No model here is on record as trained on these stories.{_not_on_record(meta)}"
    names = ", ".join(code(name) for name in seen)
    return (
        f"**{names} trained on stories of this very corpus**, so those figures also show what was "
        f"memorised.{_not_on_record(meta)}"
    )


def _not_on_record(meta: dict[str, Any]) -> str:
    """Which models came from somebody's file; nobody here knows what they were trained on."""
    names = [code(name) for name, model in meta["models"].items() if "converted_from" in model]
    if not names:
        return ""
    what = f"What {', '.join(names)} trained on is not on record"
    return f" {what}: converted from a file, it may have been these stories."


def how_made(meta: dict[str, Any]) -> dict[str, str]:
    """The parts of a page's last section, as markdown."""
    corpus = meta["corpus"]
    return {
        "command": code(meta["command"]),
        "corpus": f"{code(corpus['name'])}, split {plain(corpus['split'])}, "
        f"sha256 {code(corpus['sha256'])}",
        "seed": plain(str(meta["seed"])),
        "versions": versions(meta),
        "made_on": plain(str(meta["made_on"])),
        "notes": "\n".join(f"- {plain(note)}" for note in _notes(meta)),
        "checkpoints": _checkpoints(meta["models"]),
    }


def versions(meta: dict[str, Any]) -> str:
    """Of what the numbers can depend on."""
    return ", ".join(f"{plain(name)} {plain(v)}" for name, v in meta["versions"].items())


def _notes(meta: dict[str, Any]) -> list[str]:
    """Remarks of the analysis: named ones, a list of them, a single one, or none."""
    notes = meta.get("notes") or []
    if isinstance(notes, dict):
        return [f"{key.replace('_', ' ')}: {_value(value)}" for key, value in notes.items()]
    return [notes] if isinstance(notes, str) else [_value(note) for note in notes]


def _value(value: Any) -> str:
    """A remark's value as text; anything nested as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _or_dash(value: Any) -> Any:
    """The value; a dash for what is not on record of a model in memory."""
    return MISSING if value is None else value


def _recipe(card: dict[str, Any]) -> str:
    """How a model was trained, or the file it was converted from."""
    file = card.get("converted_from")
    if file:
        return f"converted from {code(file['file'])}, sha256 {code(file['sha256'][:SHORT])}"
    return plain(str(_or_dash(card["recipe"])))


def _checkpoints(models: dict[str, dict[str, Any]]) -> str:
    """A table of the weights that were opened."""
    headers = ["checkpoint", "stage", "weights sha256", "recipe", "seed", "tokens seen",
               "perplexity when trained"]  # fmt: skip
    rows = [
        [
            code(name),
            plain(stage_label(card["stage"])),
            code(card["weights_sha256"][:SHORT]),
            _recipe(card),
            plain(str(_or_dash(card["seed"]))),
            count(card["tokens_seen"]),
            perplexity(perplexity_of(card["val_loss_nats"])),
        ]
        for name, card in models.items()
    ]
    return table(headers, rows, align="llllrrr")
