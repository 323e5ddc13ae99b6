"""The training loop: same command, same bits, however often it is interrupted."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lt_interp.errors import InputError
from lt_interp.files import remove_unfinished
from lt_interp.model.device import find_device, in_one_order
from lt_interp.model.finite import activation_not_finite, weight_not_finite
from lt_interp.model.initialisation import INITIALISATIONS
from lt_interp.model.parts.unseen import fused
from lt_interp.model.stage_model import StageModel
from lt_interp.reading import place_in
from lt_interp.stages import Stage
from lt_interp.training.balance import balance_loss, is_router
from lt_interp.training.batches import Data, batch_rows
from lt_interp.training.card import identity_of, write_card
from lt_interp.training.checkpoint import is_shipped, load, load_weights, save_weights
from lt_interp.training.loss import linear_cross_entropy
from lt_interp.training.memory import kept_memory
from lt_interp.training.metrics import (
    LARGEST_LOSS,
    append_metrics,
    forget_after,
    is_sound,
    read_metrics,
)
from lt_interp.training.optimizer import block_of, build_optimizers, gradient_norms, set_lr
from lt_interp.training.recipe import Recipe
from lt_interp.training.run_folder import CARD, read_card
from lt_interp.training.run_lock import run_lock
from lt_interp.training.snapshot import (
    SNAPSHOT,
    Progress,
    load_snapshot,
    refuse_other_run,
    save_snapshot,
)
from lt_interp.training.validation import mean_loss

logger = logging.getLogger(__name__)

OnStep = Callable[[int, int, dict[str, Any]], None]


def train(
    stage: Stage,
    data: Data,
    recipe: Recipe,
    *,
    seed: int,
    out: Path,
    on_step: OnStep | None = None,
    snapshot_seconds: float = 60.0,
    device: str | torch.device = "cpu",
) -> StageModel:
    """Train a stage into a folder, or finish what an earlier call began there.

    Args:
        stage: What to train.
        data: Rows of both splits.
        recipe: How.
        seed: Of the initial weights and of the order of the rows.
        out: The run's folder: metrics and snapshots, in the end the checkpoint.
        on_step: Called with the steps done, the steps in all and the last line of metrics.
        snapshot_seconds: Time between snapshots: what an interruption can cost.
        device: Where it computes; a run goes on only on the kind of device that it began on.

    Returns:
        The model as stored.

    Raises:
        InputError: The folder holds another run, another process is training into it, the rows
            make no batch, the loss stopped being finite, or there is no such device.
    """
    place = find_device(device)
    identity = identity_of(stage, data.train, data.validation, data.tokenizer, recipe, seed, place)
    total_steps = recipe.total_steps(data.train.n_rows)
    out.mkdir(parents=True, exist_ok=True)
    place_in(out, "tokenizer")  # refused before the work, not after it
    with run_lock(out):
        if (out / CARD).exists():
            refuse_other_run(out, read_card(out)["identity"], identity)
            remove_unfinished(out, older_than_seconds=0.0)  # nobody else writes here
            (out / SNAPSHOT).unlink(missing_ok=True)  # a kill came after the card
            logger.info("%s is trained already in %s", stage.id, out)
            return load(out, device=place)
        model = StageModel(stage.config, tokenizer=data.tokenizer, name=stage.id)
        generator = torch.Generator().manual_seed(seed)
        INITIALISATIONS[recipe.initialisation](model, generator)
        model.to(place)  # with the weights that it begins with anywhere
        optimizers = build_optimizers(model, recipe)
        remove_unfinished(out, older_than_seconds=0.0)
        progress = load_snapshot(out, model, optimizers, identity)
        forget_after(out, progress.step)
        if progress.step < total_steps:
            run = _Run(model, optimizers, data, recipe, seed, total_steps, out, identity)
            with in_one_order(place), kept_memory():
                progress = run.steps(progress, on_step, snapshot_seconds)
        return _finish(model, data, progress, out, identity)


@dataclass
class _Run:
    """One run under way."""

    model: StageModel
    optimizers: list[torch.optim.Optimizer]
    data: Data
    recipe: Recipe
    seed: int
    total_steps: int
    out: Path
    identity: dict[str, Any]

    def steps(
        self, progress: Progress, on_step: OnStep | None, snapshot_seconds: float
    ) -> Progress:
        """Train to the end, writing metrics and snapshots on the way."""
        recipe, total = self.recipe, self.total_steps
        began = time.monotonic() - progress.seconds
        snapshot_at = time.monotonic() + snapshot_seconds
        losses: list[float] = []
        line: dict[str, Any] = {}
        for step in range(progress.step, total):
            losses.append(self.backward(step))
            if not losses[-1] <= LARGEST_LOSS:  # nor NaN
                raise InputError(self.stopped(step, f"the loss is {losses[-1]:,.4g}"))
            done, logs = step + 1, (step + 1) % recipe.log_every == 0 or step + 1 == total
            norms = self.gradient_norms() if logs else {}
            self.update(step)
            if logs:
                line = self.metrics(done, losses, norms, time.monotonic() - began)
                if weight_not_finite(self.model) or not is_sound(line):
                    raise InputError(self.stopped(step, "a weight, gradient or loss is too large"))
                append_metrics(self.out, line)
                losses = []
                if time.monotonic() >= snapshot_at or done == total:
                    progress = Progress(step=done, seconds=time.monotonic() - began)
                    save_snapshot(self.out, self.model, self.optimizers, progress, self.identity)
                    snapshot_at = time.monotonic() + snapshot_seconds
            if on_step:
                on_step(done, total, line)
        return progress

    def stopped(self, step: int, what: str) -> str:
        """What happened at a step, where it began, and what to do."""
        rows = batch_rows(step, self.data.train.n_rows, self.recipe.batch_rows, self.seed)
        tokens = self.tokens(np.sort(rows)[:1])[:, :-1]
        where = weight_not_finite(self.model) or activation_not_finite(self.model, tokens)
        began = f", and {where} holds NaN or infinity" if where else ""
        return (
            f"at step {step + 1} {what}{began}; {self.out} keeps the last good snapshot: train "
            "with a lower learning rate or on a cleaner corpus into another --out"
        )

    def backward(self, step: int) -> float:
        """Loss and gradients of one batch, the means over its parts of equal size.

        Returns:
            The loss in nats, without the balancing term.
        """
        rows = batch_rows(step, self.data.train.n_rows, self.recipe.batch_rows, self.seed)
        parts = np.split(np.sort(rows), self.recipe.accumulate)
        with self._dropping_out(step):
            return float(np.mean([self._add_gradients(part) for part in parts]))

    def tokens(self, rows: np.ndarray) -> Tensor:
        """Ids [rows, width] where the model is."""
        ids = torch.from_numpy(self.data.train.tokens[rows].astype(np.int64))
        return ids.to(self.model.W_U.device)

    def _add_gradients(self, rows: np.ndarray) -> float:
        """Add the gradients of some rows, by their share in the batch; the loss as above."""
        tokens = self.tokens(rows)
        fast = self.identity["precision"] == "bfloat16"
        dtype = torch.bfloat16 if fast else torch.float32
        router: dict[str, Tensor] = {}
        hooks = [(is_router, lambda act, hook: router.__setitem__(hook.name, act))]
        with (
            fused(),
            self.model.hooks(hooks if self.recipe.balance_weight else []),
            torch.autocast(tokens.device.type, dtype=torch.bfloat16, enabled=fast),
        ):
            hidden = self.model.hidden(tokens[:, :-1])
        targets = tokens[:, 1:]
        if self.recipe.last_token_only:
            hidden, targets = hidden[:, -1:], targets[:, -1:]
        loss = linear_cross_entropy(
            hidden.flatten(0, 1).float(),
            self.model.W_U,
            self.model.b_U,
            targets.flatten(),
            dtype=dtype,
        )
        balance = self.recipe.balance_weight * balance_loss(router) if router else 0.0
        ((loss + balance) / self.recipe.accumulate).backward()
        return loss.item()

    @contextmanager
    def _dropping_out(self, step: int) -> Iterator[None]:
        """The model in training mode, with draws that depend on seed and step alone."""
        if not self.model.config.dropout:
            yield
            return
        own = self.model.W_U.device
        with torch.random.fork_rng(devices=[own] if own.type == "cuda" else []):
            torch.manual_seed(int(np.random.SeedSequence([self.seed, step]).generate_state(1)[0]))
            self.model.train()
            try:
                yield
            finally:
                self.model.eval()

    def gradient_norms(self) -> dict[str, dict[str, float]]:
        """Of the step's gradient, before it is clipped: by part, and by block."""
        by_block = gradient_norms(self.model, block_of)
        return {
            "grad_norm": gradient_norms(self.model),
            **({"grad_norm_by_block": by_block} if by_block else {}),
        }

    def update(self, step: int) -> None:
        """One optimizer step."""
        if self.recipe.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip_norm)
        set_lr(self.optimizers, self.recipe.lr_scale(step, self.total_steps))
        for optimizer in self.optimizers:
            optimizer.step()
        self.model.zero_grad(set_to_none=True)

    def metrics(
        self, done: int, losses: list[float], norms: dict[str, Any], seconds: float
    ) -> dict[str, Any]:
        """One line of metrics, with a validation when it is due."""
        recipe = self.recipe
        scored = 1 if recipe.last_token_only else self.data.train.width - 1
        line = {
            "step": done,
            "tokens_seen": done * recipe.batch_rows * scored,
            "train_loss_nats": float(np.mean(losses)),
            "lr": recipe.lr * recipe.lr_scale(done - 1, self.total_steps),
            **norms,
            "seconds": round(seconds, 3),
        }
        if done % recipe.validate_every == 0 or done == self.total_steps:
            line["val_loss_nats"] = mean_loss(self.model, self.data.validation.tokens)
        return line


def _finish(
    model: StageModel, data: Data, progress: Progress, out: Path, identity: dict[str, Any]
) -> StageModel:
    """Store the weights, validate what is stored, and write the card, which ends the run."""
    lines = read_metrics(out)
    if not lines:
        raise InputError(f"{out} has lost its metrics; delete the folder and begin again")
    save_weights(model, out)
    if not is_shipped(data.tokenizer.sha256):
        data.tokenizer.save(place_in(out, "tokenizer"))
    load_weights(model, out)
    write_card(
        out,
        identity=identity,
        train=data.train,
        validation=data.validation,
        tokenizer=data.tokenizer,
        last_line=lines[-1],
        seconds=progress.seconds,
        val_loss_nats=mean_loss(model, data.validation.tokens),
    )
    (out / SNAPSHOT).unlink(missing_ok=True)
    return model
