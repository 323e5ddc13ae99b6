"""Every arm trained from every seed, side by side, into folders that can continue."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path

from lt_interp.corpus.sources import Corpus, open_corpus
from lt_interp.corpus.tokenizer import named_tokenizer
from lt_interp.corpus.windows import open_rows
from lt_interp.methods.ablations.arms import ROW_TOKENS, Arm, recipe_of
from lt_interp.methods.result import Progress
from lt_interp.methods.workers import Share, Workers, do_all
from lt_interp.stages import get_stage
from lt_interp.training.batches import Data
from lt_interp.training.loop import train

FEW_CHARACTERS = 5_000


@dataclasses.dataclass(frozen=True)
class ArmRun:
    """One training run: an arm from a seed.

    Attributes:
        arm: What is trained.
        seed: Of weights and order.
    """

    arm: Arm
    seed: int

    def folder(self, runs: Path) -> Path:
        """Where it is, under the folder of all runs."""
        return runs / f"{self.arm.name}-seed{self.seed}"


def train_arms(
    runs: Sequence[ArmRun],
    out: Path,
    *,
    corpus: str,
    steps: int,
    workers: Workers | None = None,
    progress: Progress | None = None,
) -> None:
    """Train what is not trained yet.

    Args:
        runs: Which.
        out: The folder of all runs; begun again, each goes on from its last snapshot.
        corpus: The text, a name that `open_corpus` takes, split by story.
        steps: Of every run.
        workers: Processes for the runs.
        progress: Called with how much is done, how much there is, and the run.
    """

    def advance(done: float, place: int) -> None:
        if progress is not None:
            what = f"{runs[place].arm.name}, seed {runs[place].seed}"
            progress(round(done * steps), len(runs) * steps, what)

    work = partial(_train, out=out, corpus=corpus, steps=steps)
    do_all(work, runs, workers=workers, advance=advance)


def data_of(arm: Arm, corpus: str) -> Data:
    """The rows of an arm, of the characters of the whole training split."""
    training = open_corpus(corpus, split="train")
    tokenizer = named_tokenizer("character", training)
    validation = open_corpus(corpus, split="validation")
    if arm.few_stories:
        training = few_stories(training)
    return Data(
        train=open_rows(training, tokenizer, width=ROW_TOKENS),
        validation=open_rows(validation, tokenizer, width=ROW_TOKENS),
        tokenizer=tokenizer,
    )


def few_stories(corpus: Corpus, n_characters: int = FEW_CHARACTERS) -> Corpus:
    """The first stories that together have so many characters, and at least one."""
    lengths = accumulate(len(story) for story in corpus.stories())
    n = max(1, sum(length <= n_characters for length in lengths))
    stories = [story for _, story in zip(range(n), corpus.read(), strict=False)]
    text = "".join(f"{story}\n<|endoftext|>\n" for story in stories)
    return dataclasses.replace(
        corpus, name=f"the first {n} stories of {corpus.name}", n_stories=n,
        sha256=hashlib.sha256(text.encode()).hexdigest(), read=lambda: iter(stories),
    )  # fmt: skip


def _train(run: ArmRun, share: Share, *, out: Path, corpus: str, steps: int) -> None:
    """Train one run, or finish it."""
    data = data_of(run.arm, corpus)
    text = data.tokenizer
    train(
        get_stage(run.arm.stage).fitted(d_vocab=text.d_vocab, eos_id=text.eos_id),
        data, recipe_of(run.arm, steps), seed=run.seed, out=run.folder(out),
        on_step=lambda done, total, _: share(done, total),
    )  # fmt: skip
