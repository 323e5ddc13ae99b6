"""Ours beside theirs: logits, loss and every activation, by name."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from lt_interp.model.config import ModelConfig
from lt_interp.model.stage_model import StageModel

from .cases import Case, rows_of, write_case

THEIRS = Path(__file__).with_name("theirs.py")
TOLERANCE = 1e-4
OF_THE_LARGEST = 1e-5  # of an activation's largest value, where that allows more: float32's digits
SECONDS = 1200


@dataclass(kw_only=True)
class Finding:
    """What came of one model.

    Attributes:
        case: The model.
        n_stories: Rows of tokens that were run.
        n_tokens: Tokens in them.
        version: Of their transformer-lens.
        differences: The largest absolute difference of logits, loss and each activation, by name.
        sizes: The largest absolute value of each, on their side; masked scores left out.
        gaps: Hooks that one of the two lacks, each with the reason; `None` where there is none.
    """

    case: Case
    n_stories: int
    n_tokens: int
    version: str
    differences: dict[str, float] = field(default_factory=dict)
    sizes: dict[str, float] = field(default_factory=dict)
    gaps: dict[str, str | None] = field(default_factory=dict)

    @property
    def hooks(self) -> dict[str, float]:
        """The differences of activations alone."""
        return {k: v for k, v in self.differences.items() if k not in ("logits", "loss")}

    @property
    def agrees(self) -> bool:
        """Whether every gap has a reason and no difference is above the tolerance."""
        near = all(apart <= self.allowed(name) for name, apart in self.differences.items())
        return near and all(self.gaps.values())

    def allowed(self, name: str) -> float:
        """How far logits, loss or an activation may be apart."""
        if name in ("logits", "loss"):
            return TOLERANCE
        return max(TOLERANCE, OF_THE_LARGEST * self.sizes[name])


def own_names(model: StageModel) -> set[str]:
    """The model's hooks, each once: some have second names for parts of TransformerLens 4."""
    return {name for name, point in model.hook_dict.items() if point.name == name}


def compare(cases: Sequence[Case], python: Path, stories: Sequence[str]) -> list[Finding]:
    """Run models in both environments; their activations are on disk until the last is compared.

    Args:
        cases: The models.
        python: The second environment's interpreter.
        stories: The texts, for models that have a tokenizer.
    """
    models = [case.open() for case in cases]
    with tempfile.TemporaryDirectory(prefix="lt-interp-oracle-") as name:
        folders = [Path(name, str(i)) for i in range(len(cases))]
        for case, model, folder in zip(cases, models, folders, strict=True):
            write_case(case, model, rows_of(model, stories), folder)
        run_theirs(python, THEIRS, *folders)
        compared = zip(cases, models, folders, strict=True)
        return [_compare_one(case, model, folder) for case, model, folder in compared]


def _compare_one(case: Case, model: StageModel, folder: Path) -> Finding:
    """Ours beside what theirs wrote."""
    rows = load_file(folder / "tokens.safetensors")
    about = json.loads((folder / "hooks.json").read_text(encoding="utf-8"))
    finding = Finding(
        case=case,
        n_stories=len(rows),
        n_tokens=sum(row.numel() for row in rows.values()),
        version=about["version"],
        gaps={
            name: reason_of_gap(name, model.config)
            for name in sorted(own_names(model) ^ set(about["hooks"]))
        },
    )
    for story, tokens in rows.items():
        _add(finding, run(model, tokens), load_file(folder / f"{story}.safetensors"))
        with opted_in(model):
            _add(finding, run(model, tokens), load_file(folder / f"{story}-opt-in.safetensors"))
    silent = own_names(model) - finding.gaps.keys() - finding.differences.keys()
    assert not silent, f"hooks that never fired: {sorted(silent)}"
    return finding


def reason_of_gap(name: str, config: ModelConfig) -> str | None:
    """Why a hook is on one side only."""
    if not config.d_mlp and re.search(r"\.hook_mlp_(in|out)$", name):
        return "its blocks keep this place without a feed-forward layer too, and it never fires"
    if not config.positions and name == "hook_pos_embed":
        return "its blocks need positions that are added or rotated; those added here are zeros"
    return None


def run(model: StageModel, tokens: Tensor) -> dict[str, Tensor]:
    """Logits, loss and activations by name, as `theirs.py` writes them."""
    with torch.no_grad():
        logits, cache = model.run_with_cache(tokens)
        return {"logits": logits, "loss": model(tokens, return_type="loss"), **cache}


@contextmanager
def opted_in(model: StageModel) -> Iterator[None]:
    """All optional hooks of the parts that the model has, switched on."""
    attention = ("attn_result", "split_qkv_input", "attn_in") if model.config.n_heads else ()
    flags = (*attention, "hook_mlp_in") if model.config.d_mlp else attention
    for flag in flags:
        getattr(model, f"set_use_{flag}")(True)
    yield
    for flag in flags:
        getattr(model, f"set_use_{flag}")(False)


def difference(ours: Tensor, theirs: Tensor) -> float:
    """The largest absolute difference; minus infinity agrees with itself, and nan with nothing."""
    assert ours.shape == theirs.shape, f"{tuple(ours.shape)} and {tuple(theirs.shape)}"
    apart = torch.where(ours == theirs, 0.0, (ours - theirs).abs())
    return apart.nan_to_num(nan=torch.inf, posinf=torch.inf).max().item() if apart.numel() else 0.0


def size_of(values: Tensor) -> float:
    """The largest absolute value that is finite."""
    finite = values[values.isfinite()]
    return finite.abs().max().item() if finite.numel() else 0.0


def in_their_layout(ours: dict[str, Tensor]) -> dict[str, Tensor]:
    """The activations of a mixture as TransformerLens lays them out.

    The router's have batch and position in one axis there, and an expert's hooks carry the tokens
    it was given and no others.
    """
    found = dict(ours)
    for name, value in ours.items():
        if "hook_expert_" in name:
            found[name] = value.flatten(0, 1)
        elif match := re.fullmatch(r"(.*\.mlp)\.experts\.(\d+)\.hook_\w+", name):
            chosen = ours[f"{match[1]}.hook_expert_indices"][..., 0]
            found[name] = value[chosen == int(match[2])]
    return found


def _add(finding: Finding, ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    """Note the differences of one run; both sides must have fired the same hooks."""
    if finding.case.kind == "composed":
        ours = in_their_layout(ours)
    fired_once = (ours.keys() ^ theirs.keys()) - finding.gaps.keys()
    assert not fired_once, f"hooks of both that fired in one: {sorted(fired_once)}"
    for name in sorted(ours.keys() & theirs.keys()):  # the page names the first of equals
        apart = difference(ours[name], theirs[name])
        finding.differences[name] = max(finding.differences.get(name, 0.0), apart)
        size = size_of(theirs[name])
        finding.sizes[name] = max(finding.sizes.get(name, 0.0), size)


def run_theirs(python: Path, script: Path, *folders: Path) -> None:
    """Run a script in the second environment, which sees nothing of this one."""
    done = subprocess.run(
        [python, "-I", script, *folders],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr[-4000:]
