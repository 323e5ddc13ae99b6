"""The page of the logit lens: what each layer would predict, and who adds what."""

from __future__ import annotations

from functools import partial
from typing import Any

from lt_interp.figures.attribution import (
    attribution_by_part,
    attribution_size,
    prompt_attribution,
    prompt_attribution_size,
)
from lt_interp.figures.labels import stage_label
from lt_interp.figures.lens_heatmap import heatmap_size, lens_heatmap
from lt_interp.figures.logit_lens import (
    chain_losses,
    chain_size,
    chains,
    loss_and_accuracy,
    streams,
)
from lt_interp.methods.result import Result
from lt_interp.report import logit_lens_tables as tables
from lt_interp.report import logit_lens_text as text
from lt_interp.report.absent import absent_table
from lt_interp.report.markdown import code
from lt_interp.report.page import Drawing, Page

__all__ = ["LOGIT_LENS"]


def _shown(result: Result) -> list[tuple[str, str]]:
    """Which heatmaps the page has: the first prompt on every stage, the best stage on every one."""
    prompts = result.tables["lens_prompts"]
    pairs = list(prompts[["stage", "prompt"]].drop_duplicates().itertuples(index=False, name=None))
    if not pairs:
        return []
    first, best = pairs[0][1], text.best_stream(result.tables["lens_corpus"])
    return [(stage, prompt) for stage, prompt in pairs if prompt == first or stage == best]


def _file(result: Result, stage: str, prompt: str, kind: str) -> str:
    number = list(result.tables["lens_prompts"]["prompt"].unique()).index(prompt) + 1
    return f"{kind}_{stage}_{number}.svg"


def _drawings(result: Result) -> dict[str, Drawing]:
    drawings: dict[str, Drawing] = {}
    corpus = result.tables["lens_corpus"]
    if len(streams(corpus)):
        draw = partial(loss_and_accuracy, result)
        drawings["loss_by_point.svg"] = Drawing(draw, (13.0, 5.2), panels=(1, 2))
    if len(chains(corpus)):
        draw_chains = partial(chain_losses, result)
        drawings["loss_without_stream.svg"] = Drawing(draw_chains, chain_size(result))
    for stage, prompt in _shown(result):
        drawings[_file(result, stage, prompt, "lens")] = Drawing(
            partial(lens_heatmap, result, stage=stage, prompt=prompt),
            heatmap_size(result, stage=stage, prompt=prompt),
        )
    if len(result.tables["attribution"]):
        drawings["attribution.svg"] = Drawing(
            partial(attribution_by_part, result), attribution_size(result), panels=(2, 1)
        )
    for stage, prompt in _attributed(result):
        drawings[_file(result, stage, prompt, "attribution")] = Drawing(
            partial(prompt_attribution, result, stage=stage, prompt=prompt),
            prompt_attribution_size(result, stage=stage, prompt=prompt),
        )
    return drawings


def _attributed(result: Result) -> list[tuple[str, str]]:
    """The prompts whose logits are split on the page: those of the best stage."""
    table = result.tables["attribution_prompts"]
    pairs = table[["stage", "prompt"]].drop_duplicates().itertuples(index=False, name=None)
    best = text.best_stream(result.tables["lens_corpus"])
    return [(stage, prompt) for stage, prompt in pairs if stage == best]


def _context(result: Result) -> dict[str, Any]:
    corpus, baselines = result.tables["lens_corpus"], result.tables["lens_baselines"]
    attribution, applies = result.tables["attribution"], result.tables["attribution_applies"]
    best = text.best_stream(corpus)
    return {
        "answer": text.answer_sentence(corpus, baselines) if len(corpus) else "",
        "steps": text.steps_sentence(corpus),
        "chains": text.chains_sentence(corpus, baselines),
        "untrained": text.untrained_sentence(corpus, baselines) if len(corpus) else "",
        "has_streams": bool(len(streams(corpus))),
        "has_chains": bool(len(chains(corpus))),
        "heatmaps": [_heatmap(result, stage, prompt) for stage, prompt in _shown(result)],
        "left_out": text.left_out_sentence(result.tables["prompts_left_out"]),
        "corpus_table": tables.corpus_table(corpus),
        "baselines": tables.baselines_table(baselines),
        "absent": absent_table(result.tables["applies"]),
        "attribution": tables.attribution_table(attribution) if len(attribution) else "",
        "attribution_answer": text.attribution_sentence(attribution, applies, best) if best else "",
        "refused_sentence": text.refused_sentence(applies),
        "refused": tables.refused_table(applies),
        "attributed": [
            {"file": _file(result, stage, prompt, "attribution"), "prompt": code(prompt),
             "stage": stage_label(stage)}
            for stage, prompt in _attributed(result)
        ],
    }  # fmt: skip


def _heatmap(result: Result, stage: str, prompt: str) -> dict[str, str]:
    """The part of the page on one heatmap."""
    prompts = result.tables["lens_prompts"]
    best = stage == text.best_stream(result.tables["lens_corpus"])
    return {
        "stage": stage_label(stage),
        "file": _file(result, stage, prompt, "lens"),
        "sentence": text.prompt_sentence(prompts, stage, prompt),
        "ranks": tables.prompt_table(prompts, stage, prompt) if best else "",
    }


def _headline(result: Result) -> str:
    corpus, baselines = result.tables["lens_corpus"], result.tables["lens_baselines"]
    if corpus.empty:
        return "None of the stages measured here can be read before its end."
    return text.answer_sentence(corpus, baselines)


LOGIT_LENS = Page(
    title="Logit lens",
    template="logit_lens.md.j2",
    context=_context,
    drawings=_drawings,
    headline=_headline,
)
