"""The findings as a page; every sentence that states a result is computed from them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lt_interp.corpus.sources import Corpus
from lt_interp.export.folder import FORMATS
from lt_interp.export.hooked_transformer import why_not_hooked_transformer
from lt_interp.report.markdown import listing, table
from lt_interp.stages import LADDER

from .compare import OF_THE_LARGEST, TOLERANCE, Finding
from .compare_transformers import Opened

TEMPLATE = "page.md.j2"


def page(findings: Sequence[Finding], opened: Sequence[Opened], corpus: Corpus) -> str:
    """The markdown of `docs/oracle.md`."""
    by_kind = {
        kind: [f for f in findings if f.case.kind == kind]
        for kind in ("shipped", "random", "composed")
    }
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return templates.get_template(TEMPLATE).render(
        ours=version("transformer-lens"),
        theirs=listing(sorted({f.version for f in findings})),
        corpus=corpus,
        n_stories=max(f.n_stories for f in by_kind["shipped"]),
        n_tokens=max(f.n_tokens for f in by_kind["shipped"]),
        tolerance=f"{TOLERANCE:.0e}",
        of_the_largest=f"{OF_THE_LARGEST:.0e}",
        large=f"{TOLERANCE / OF_THE_LARGEST:g}",
        verdict=_verdict(findings, opened),
        tables={kind: _agreement(found) for kind, found in by_kind.items()},
        gaps={kind: _gaps(found) for kind, found in by_kind.items()},
        by_hook=_by_hook([*by_kind["shipped"], *by_kind["composed"]]),
        opened=_opened(opened),
        able=_able(opened),
        unable=_unable(),
        why_no_experts=why_not_hooked_transformer(LADDER["10_moe"].config),
    )


def _verdict(findings: Sequence[Finding], opened: Sequence[Opened]) -> str:
    names = [f.case.name for f in findings if not f.agrees]
    names += [f"{o.name} in transformers" for o in opened if not o.agrees]
    if names:
        return f"**Not so: {listing(names)}.**"
    worst = max(max(f.differences.values()) for f in findings)
    return f"So it is for every model below; the largest difference of any value is {worst:.1e}."


def _agreement(findings: Sequence[Finding]) -> str:
    headers = ["model", "hooks", "logits", "loss", "activations", "largest at", "values up to"]
    headers.append("on one side only")
    rows = []
    for found in findings:
        where = max(found.hooks, key=lambda name: found.hooks[name])
        rows.append(
            [
                found.case.name,
                str(len(found.hooks)),
                f"{found.differences['logits']:.1e}",
                f"{found.differences['loss']:.1e}",
                f"{found.hooks[where]:.1e}",
                f"`{where}`",
                f"{found.sizes[where]:.3g}",
                str(len(found.gaps)),
            ]
        )
    return table(headers, rows, align="lrrrrlrr")


def _gaps(findings: Sequence[Finding]) -> list[str]:
    """Every hook that only one side has, with its reason."""
    kinds: dict[tuple[str, str, str], None] = {}
    for found in findings:
        for name, reason in found.gaps.items():
            pattern = re.sub(r"^blocks\.\d+\.", "blocks.*.", name)
            kinds[found.case.name, pattern, reason or "**no reason is known**"] = None
    return [f"{name}, `{hook}`: {reason}" for name, hook, reason in kinds]


def _by_hook(findings: Sequence[Finding]) -> str:
    """The largest difference of each kind of hook, all layers and experts together."""
    kinds: dict[str, dict[str, float]] = {}
    for found in findings:
        for name, apart in found.hooks.items():
            kind = re.sub(r"\.\d+\.", ".*.", name)
            column = kinds.setdefault(kind, {})
            column[found.case.name] = max(apart, column.get(found.case.name, 0.0))
    names = [found.case.name for found in findings]
    rows = [
        [f"`{kind}`", *(f"{of[name]:.0e}" if name in of else "–" for name in names)]
        for kind, of in sorted(kinds.items())
    ]
    return table(["hook", *names], rows, align="l" + "r" * len(names))


def _opened(opened: Sequence[Opened]) -> str:
    rows = [
        [o.name, o.architecture, f"{o.logits:.1e}", _yes(o.same_tokens), _yes(o.same_text)]
        for o in opened
    ]
    headers = ["stage", "opened as", "logits", "same tokens", "same greedy text"]
    return table(headers, rows, align="llrll")


def _able(opened: Sequence[Opened]) -> str:
    return listing([o.name for o in opened])


def _unable() -> str:
    """The stages that a format refuses, with the reasons that the command gives."""
    rows = []
    for stage in LADDER.values():
        reasons = [FORMATS[name].why_not(stage.config) for name in ("hooked-transformer", "hf")]
        if any(reasons):
            rows.append([stage.id, *(reason or "can" for reason in reasons)])
    return table(["stage", "`hooked-transformer`", "`hf`"], rows, align="lll")


def _yes(value: bool) -> str:
    return "yes" if value else "**no**"
