"""How a stage is trained: every choice in one place, two recipes by name."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from lt_interp.errors import InputError
from lt_interp.stages import get_stage

MOST_STEPS = 10**9  # of a run: years, so a slip of the keyboard

# What the numbers of a recipe may be; a rate of 0 leaves those parameters as they began.
_ABOVE_0 = ("epochs", "batch_rows", "lr", "validate_every", "log_every")
_NOT_BELOW_0 = (
    "lr_embed", "lr_unembed", "weight_decay", "warmup_steps", "clip_norm", "balance_weight",
)  # fmt: skip
_LEAST = {"max_steps": 1, "row_tokens": 2}  # where they are given: a row is read to predict one


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A way to train.

    Attributes:
        name: What the command line calls it.
        epochs: Passes over the training rows.
        max_steps: End after so many steps even if epochs are left.
        batch_rows: Rows a step.
        accumulate: Parts that a step's rows are read in, their gradients added: less memory, and
            the same step (but for `balance_weight`, which then balances each part).
        row_tokens: Tokens of a row, where they are fewer than the stage's context.
        optimizer: `"adamw"` for every parameter, or `"muon"` for the matrices inside blocks and
            AdamW for the rest (embeddings, unembedding, biases, norms, router).
        lr: Peak learning rate of matrices inside blocks.
        lr_embed: Peak learning rate of token and position embeddings.
        lr_unembed: Peak learning rate of all other parameters.
        betas: AdamW's.
        weight_decay: Decoupled. `"adamw"` decays every parameter, `"muon"` matrices other than
            embeddings (a rare token's would fade away between its occurrences).
        warmup_steps: Steps of linear rise to the peak.
        schedule: What follows: `"constant"`, or `"linear"` down to zero at the last step.
        decay_share: Share of the run, at its end, over which it falls; before that it is constant,
            so that runs of different lengths share their beginning (arXiv 2405.18392).
        clip_norm: Largest gradient norm; 0 for no clipping.
        initialisation: `"pytorch"`, `"fan_in"`, `"unit_length"` or `"normal"`
            (`lt_interp.model.initialisation`).
        precision: `"float32"`, or `"auto"`: bfloat16 products where the processor has them.
        last_token_only: Predict only the last token of each row.
        balance_weight: Weight of the load-balancing loss of gated experts.
        validate_every: Steps between validations.
        log_every: Steps between lines of metrics.
    """

    name: str
    epochs: float = 1
    max_steps: int | None = None
    batch_rows: int
    accumulate: int = 1
    row_tokens: int | None = None
    optimizer: Literal["adamw", "muon"]
    lr: float
    lr_embed: float
    lr_unembed: float
    betas: tuple[float, float]
    weight_decay: float
    warmup_steps: int
    schedule: Literal["constant", "linear"]
    decay_share: float = 1.0
    clip_norm: float
    initialisation: Literal["pytorch", "fan_in", "unit_length", "normal"]
    precision: Literal["float32", "auto"]
    last_token_only: bool = False
    balance_weight: float = 0.0
    validate_every: int = 500
    log_every: int = 50

    def __post_init__(self) -> None:
        """Refuse what cannot run."""
        self._check_choices()
        self._check_numbers()
        if self.accumulate < 1 or self.batch_rows % self.accumulate:
            raise InputError(
                f"accumulate must part batch_rows {self.batch_rows} equally, not {self.accumulate}"
            )
        if not 0 < self.decay_share <= 1:
            raise InputError(f"decay_share must be above 0 and at most 1, not {self.decay_share}")
        if self.validate_every % self.log_every:
            raise InputError("validate_every must be a multiple of log_every")

    def _check_choices(self) -> None:
        for name, type_ in get_type_hints(type(self)).items():
            if get_origin(type_) is Literal and getattr(self, name) not in get_args(type_):
                allowed = ", ".join(map(repr, get_args(type_)))
                raise InputError(f"{name} is {getattr(self, name)!r}; allowed: {allowed}")

    def _check_numbers(self) -> None:
        for name in _ABOVE_0:
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"{name} must be above 0 and finite, not {getattr(self, name)}")
        for name in _NOT_BELOW_0:
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"{name} must be 0 or more and finite, not {getattr(self, name)}")
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"{name} must be {least} or more, not {value}")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise InputError(
                f"betas must be two numbers of 0 or more and below 1, not {self.betas}"
            )

    def total_steps(self, n_rows: int) -> int:
        """Steps of the whole run over a corpus of so many rows."""
        steps = self.epochs * (n_rows // self.batch_rows)
        if steps < 1:
            raise InputError(
                f"{n_rows} rows make no batch of {self.batch_rows} rows in {self.epochs} epochs; "
                "take a larger corpus, more epochs or a smaller batch"
            )
        steps = min(steps, self.max_steps or math.inf)
        if steps > MOST_STEPS:
            raise InputError(
                f"{self.epochs:g} epochs are more than {MOST_STEPS:,} steps; take fewer epochs"
            )
        return math.floor(steps)

    def lr_scale(self, step: int, total_steps: int) -> float:
        """The learning rate of a step as a share of its peak.

        Warm-up takes a tenth of a run at most, so that a short one has a peak too.
        """
        warmup_steps = min(self.warmup_steps, total_steps // 10)
        warm = min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
        if self.schedule == "constant":
            return warm
        return warm * min(1.0, (1 - step / total_steps) / self.decay_share)

    def to_dict(self) -> dict[str, Any]:
        """The recipe as plain JSON values."""
        return {**dataclasses.asdict(self), "betas": list(self.betas)}


ARTICLE = Recipe(
    name="article",
    batch_rows=64,
    optimizer="adamw",
    lr=1e-3,
    lr_embed=1e-3,
    lr_unembed=1e-3,
    betas=(0.9, 0.999),
    weight_decay=0.01,
    warmup_steps=0,
    schedule="constant",
    clip_norm=0.0,
    initialisation="pytorch",
    precision="float32",
)

LADDER = Recipe(
    name="ladder",
    batch_rows=8,
    optimizer="muon",
    lr=1e-2,
    lr_embed=3e-2,
    lr_unembed=1e-2,
    betas=(0.9, 0.999),
    weight_decay=0.1,
    warmup_steps=100,
    schedule="linear",
    clip_norm=1.0,
    initialisation="unit_length",
    precision="auto",
)

MANY = 1_000_000  # epochs of a run that its steps end

# What the article's notebooks did differently for some stages.
_ARTICLE_EXCEPTIONS: dict[str, dict[str, Any]] = {
    "01_bag_of_words": {"batch_rows": 256, "epochs": 3, "last_token_only": True},
    "02_bow_position": {"batch_rows": 256, "epochs": 3, "last_token_only": True},
    "03b_trigram": {"epochs": MANY, "max_steps": 5000},
    "03b_fourgram": {"epochs": MANY, "max_steps": 5000},
    "04_attention": {"epochs": 3},
}


def _one_rate(lr: float) -> dict[str, float]:
    """The same learning rate for every parameter."""
    return {"lr": lr, "lr_embed": lr, "lr_unembed": lr}


# What the other articles did. The NumPy GPT: Adam, a slice of 33 bytes a step. The ablations: what
# the code does that their article links (see the stages). The four-layer GPT: its notebooks show
# one step of AdamW at 1e-4, and 16 times 8 rows accumulated for it; N(0, 1) for an embedding that
# is the unembedding too would begin at a loss of some 200 nats.
_ARTICLE_FAMILIES: dict[str, dict[str, Any]] = {
    "ladder": {},
    "numpy_gpt": {
        **_one_rate(3e-4),
        "weight_decay": 0.0,
        "batch_rows": 1,
        "row_tokens": 33,
        "epochs": MANY,
        "max_steps": 50,
        "initialisation": "normal",
        "validate_every": 10,
        "log_every": 10,
    },
    "char_ablations": {
        **_one_rate(3e-4),
        "batch_rows": 32,
        "epochs": MANY,
        "max_steps": 10_000,
        "initialisation": "normal",
        "validate_every": 250,
    },
    "four_layer_gpt": {
        **_one_rate(1e-4),
        "batch_rows": 128,
        "accumulate": 16,
        "initialisation": "normal",
    },
}
# How the other articles' models were trained, before the ladder's rule was what it is.
_LADDER_OF_OTHERS: dict[str, Any] = {
    "epochs": 0.4,
    "lr_embed": 1e-1,
    "betas": (0.9, 0.98),
    "initialisation": "fan_in",
}
# What has not learned all it can in one pass reads the text more often, at lower rates
# (docs/training.md).
_PASSES = {
    "03_bigram": 2,
    "04_attention": 2,
    "05_attn_position": 2,
    "06_ffn": 2,
    "07_block": 7,
    "08_two_blocks": 7,
    "09_multi_head": 7,
}
_LOWER: dict[str, Any] = {"lr": 5e-3, "lr_embed": 1.5e-2, "lr_unembed": 5e-3}
_LONGER = {stage_id: {"epochs": passes, **_LOWER} for stage_id, passes in _PASSES.items()}
# Switch Transformer's weight of the load-balancing loss (arXiv 2101.03961, section 2.2).
_LADDER_EXCEPTIONS: dict[str, dict[str, Any]] = {
    "10_moe_gated": {"balance_weight": 0.01},
}

RECIPES = ("article", "ladder")


def recipe_for(name: str, stage_id: str, **changes: Any) -> Recipe:
    """The recipe of that name for a stage, its exceptions included.

    Args:
        name: `"article"` or `"ladder"`.
        stage_id: The stage to train.
        changes: Fields to set otherwise; `None` leaves the recipe's own. Asked for another number
            of epochs, a stage that reads the text several times has the rates of one pass.

    Raises:
        InputError: There is no such recipe.
    """
    if name not in RECIPES:
        raise InputError(f"there is no recipe {name!r}; allowed: {', '.join(RECIPES)}")
    wanted = {key: value for key, value in changes.items() if value is not None}
    family = get_stage(stage_id).family
    if name == "ladder":
        base = _LONGER.get(stage_id, {}) if family == "ladder" else _LADDER_OF_OTHERS
        if stage_id in _LONGER and wanted.get("epochs", base["epochs"]) != base["epochs"]:
            base = {}
        exceptions = _LADDER_EXCEPTIONS.get(stage_id, {})
        return dataclasses.replace(LADDER, **{**base, **exceptions, **wanted})
    exceptions = _ARTICLE_EXCEPTIONS.get(stage_id, {})
    return dataclasses.replace(ARTICLE, **{**_ARTICLE_FAMILIES[family], **exceptions, **wanted})
