"""The page of activation patching: which parts carry an answer from one prompt to another."""

from __future__ import annotations

from functools import partial
from typing import Any

from lt_interp.figures import activation_patching as charts
from lt_interp.figures import patching_heatmaps as heatmaps
from lt_interp.figures.labels import stage_label
from lt_interp.methods.result import Result
from lt_interp.report import patching_tables as tables
from lt_interp.report import patching_text as text
from lt_interp.report.absent import absent_table
from lt_interp.report.markdown import plain
from lt_interp.report.numbers import count
from lt_interp.report.page import Drawing, Page

__all__ = ["ACTIVATION_PATCHING"]


def _drawings(result: Result) -> dict[str, Drawing]:
    drawings: dict[str, Drawing] = {}
    if len(result.tables["clean_accuracy"]):
        draw = partial(charts.accuracy_chart, result)
        drawings["accuracy.svg"] = Drawing(draw, charts.accuracy_size(result))
    if len(charts.focus_parts(result)):
        draw_parts = partial(charts.parts_chart, result)
        drawings["parts.svg"] = Drawing(draw_parts, charts.parts_size(result))
    if charts.stream_stages(result):
        panels = heatmaps.stage_panels(result)
        drawings["roles.svg"] = Drawing(
            partial(heatmaps.roles_heatmaps, result), heatmaps.roles_size(result), panels
        )
        if result.tables["cells"]["head"].notna().any():
            drawings["heads.svg"] = Drawing(
                partial(heatmaps.heads_heatmaps, result), heatmaps.heads_size(result), panels
            )
    if heatmaps.example_templates(result):
        drawings["positions.svg"] = Drawing(
            partial(heatmaps.positions_heatmaps, result),
            heatmaps.positions_size(result),
            heatmaps.positions_panels(result),
        )
    return drawings


def _context(result: Result) -> dict[str, Any]:
    found = result.tables
    stage = charts.focus_stage(result)
    return {
        "accuracy": text.accuracy_sentence(found["clean_accuracy"]),
        "path": text.path_sentence(result),
        "head": text.head_sentence(result),
        "reading": text.reading_sentence(result),
        "direction": text.direction_sentence(result) if stage else "",
        "experts": text.expert_sentences(found["experts"]),
        "focus": plain(stage_label(stage)) if stage else "",
        "n_pairs": count(len(found["pairs"])),
        "n_templates": count(found["pairs"]["template"].nunique()),
        "figures": set(_drawings(result)),
        "accuracy_table": tables.accuracy_table(found["clean_accuracy"]),
        "templates": tables.templates_table(found["pairs"]),
        "important": tables.important_table(found["important"]),
        "n_important": len(found["important"]),
        "top": tables.TOP,
        "experts_table": tables.experts_table(found["experts"]),
        "absent": absent_table(found["applies"]),
    }


ACTIVATION_PATCHING = Page(
    title="Activation patching",
    template="activation_patching.md.j2",
    context=_context,
    drawings=_drawings,
    headline=text.headline,
)
