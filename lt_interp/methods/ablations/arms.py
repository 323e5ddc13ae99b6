"""What is trained: the arms of the experiments, each a stage, an initialisation and a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lt_interp.training.recipe import Recipe, recipe_for


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to train a small GPT.

    Attributes:
        name: Of its runs' folders.
        stage: What is trained.
        says: What it is, in a figure's legend.
        initialisation: `"normal"`, N(0, 0.02) for every weight, or `"pytorch"`, whose embeddings
            are N(0, 1).
        few_stories: Only the first stories, so few that they are read many times over.
    """

    name: str
    stage: str
    says: str
    initialisation: Literal["normal", "pytorch"] = "normal"
    few_stories: bool = False


ARMS: dict[str, Arm] = {
    arm.name: arm
    for arm in (
        Arm(name="gpt", stage="char_gpt", says="all parts, N(0, 0.02)"),
        Arm(
            name="pytorch_default",
            stage="char_gpt",
            says="PyTorch's default, embeddings N(0, 1)",
            initialisation="pytorch",
        ),
        Arm(name="no_positions", stage="char_no_positions", says="no position embeddings"),
        Arm(name="untied", stage="char_untied", says="untied"),
        Arm(name="post_norm", stage="char_post_norm", says="post-norm"),
        Arm(name="no_residual_1", stage="char_no_residual_1", says="no residuals, 1 block"),
        Arm(name="no_residual_2", stage="char_no_residual_2", says="no residuals, 2 blocks"),
        Arm(name="no_residual_3", stage="char_no_residual_3", says="no residuals, 3 blocks"),
        Arm(name="few", stage="char_gpt", says="all parts, few stories", few_stories=True),
        Arm(
            name="few_no_positions",
            stage="char_no_positions",
            says="no position embeddings, few stories",
            few_stories=True,
        ),
    )
}
"""By name; each differs from `gpt`, or `few_no_positions` from `few`, in one thing."""

BATCH_ROWS = 4
ROW_TOKENS = 129  # 128 predictions a row


def recipe_of(arm: Arm, steps: int) -> Recipe:
    """The article's recipe on smaller batches, so that two cores train a run in minutes.

    The code that the article links takes 10,000 steps of 32 rows of 512 characters.
    """
    return recipe_for(
        "article",
        arm.stage,
        batch_rows=BATCH_ROWS,
        row_tokens=ROW_TOKENS,
        max_steps=steps,
        initialisation=arm.initialisation,
        log_every=1,
        validate_every=200,
    )
