"""The cache of a model without a residual stream."""

from __future__ import annotations

from typing import Any

from transformer_lens.ActivationCache import ActivationCache

from lt_interp.errors import InputError


class StreamlessCache(ActivationCache):
    """Activations of a stage whose parts form a chain.

    Such a stage has embeddings and outputs of parts under the usual names, but its last
    activation is not their sum, so TransformerLens would decompose it without a word, and wrongly.
    """

    def decompose_resid(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse.

        Raises:
            InputError: Always.
        """
        raise InputError(
            f"{self.model.cfg.model_name} has no residual stream that only adds up, so its output "
            "is not a sum of its parts' outputs; take a stage from 07_block on"
        )

    accumulated_resid = decompose_resid
