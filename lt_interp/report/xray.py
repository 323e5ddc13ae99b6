"""The page of an X-ray: a prompt's way through a model as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lt_interp.methods.result import Result
from lt_interp.methods.xray import NUMBERS
from lt_interp.report.markdown import code, listing, plain, table
from lt_interp.report.numbers import MISSING, percent
from lt_interp.report.render import render


def xray_page(result: Result) -> str:
    """The markdown page of what `lt_interp.methods.xray` found."""
    tokens, pos = result.rows("tokens"), result.meta["pos"]
    context = {
        "prompt": code("".join(token["token"] for token in tokens)),
        "stage": code(result.meta["stage"]),
        "pos": pos,
        "token": code(tokens[pos]["token"]),
        "tokens": _tokens(tokens, pos),
        "steps": _steps(result.rows("steps")),
        "reads": _reads(result.rows("reads")),
        "drawn": drawn_text(result.meta, code(result.meta["next_token"])),
        "next": _next(result.rows("next")),
    }
    return render("xray.md.j2", context)


def drawn_text(meta: Mapping[str, Any], token: str) -> str:
    """How the next token was drawn, and from how many.

    Args:
        meta: Of the result.
        token: The one that was drawn, ready to stand in the sentence.
    """
    return (
        f"At temperature {meta['temperature']:g} and top-p {meta['top_p']:g}, {meta['n_kept']:,} "
        f"of {meta['d_vocab']:,} tokens are left to draw from; seed {meta['seed']} draws {token}."
    )


def _tokens(tokens: list[dict[str, Any]], pos: int) -> str:
    rows = []
    for token in tokens:
        mark = "**" if token["pos"] == pos else ""
        rows.append([f"{mark}{token['pos']}{mark}", str(token["id"]), code(token["token"])])
    return table(["position", "id", "token"], rows, align="rrl")


def _steps(steps: list[dict[str, Any]]) -> str:
    rows = [
        [
            plain(step["step"]),
            code(step["hook"]) if step["hook"] else "",
            plain(step["what"]),
            plain(step["axes"]),
            plain(step["shape"]),
            MISSING if step["norm"] is None else figure(step["norm"]),
            first_numbers(step),
        ]
        for step in steps
    ]
    headers = ["step", "hook", "what it carries", "axes", "shape", "norm", "first numbers"]
    return table(headers, rows, align="lllllrl")


def _reads(reads: list[dict[str, Any]]) -> str:
    """A line for every head, or nothing where there is none."""
    heads: dict[tuple[int, int], list[str]] = {}
    for read in reads:
        cell = f"{code(read['token'])} at {read['key_pos']}: {percent(read['weight'])}"
        heads.setdefault((read["layer"], read["head"]), []).append(cell)
    rows = [[f"L{layer}H{head}", listing(cells)] for (layer, head), cells in heads.items()]
    return table(["head", "reads"], rows, align="ll") if rows else ""


def _next(likeliest: list[dict[str, Any]]) -> str:
    rows = [
        [
            str(token["rank"]),
            str(token["id"]),
            code(token["token"]),
            figure(token["logit"]),
            percent(token["probability"]),
            percent(token["drawn_with"]) if token["drawn_with"] else MISSING,
        ]
        for token in likeliest
    ]
    headers = ["rank", "id", "token", "logit", "probability", "drawn with"]
    return table(headers, rows, align="rrlrrr")


def first_numbers(step: Mapping[str, Any]) -> str:
    """What a step carries first."""
    return ", ".join(figure(step[name]) for name in NUMBERS if step[name] is not None)


def figure(value: float) -> str:
    """A number with four significant figures."""
    return f"{value:.4g}"
