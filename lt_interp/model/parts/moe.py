"""A mixture of experts: a router sends every token to one of several feed-forward layers."""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils import skip_init
from transformer_lens.hook_points import HookPoint

from lt_interp.model.config import Experts, ModelConfig
from lt_interp.model.parts.feedforward import MLP
from lt_interp.model.parts.unseen import unseen


class MixtureOfExperts(nn.Module):
    """Top-1 routing over equal experts.

    `hook_expert_weights` [batch pos expert] carries the router's probabilities and
    `hook_expert_indices` [batch pos 1] the expert that a token goes to; writing to the latter
    sends the token elsewhere.

    Every expert computes every token and the router selects among the results, so that
    `experts.{e}.hook_pre` and `hook_post` [batch pos d_mlp] also show what an expert would have
    made of the tokens it does not get. Fused, it computes its own.
    """

    def __init__(self, config: ModelConfig, experts: Experts) -> None:
        super().__init__()
        self.gated = experts.gated
        # its first weights come with all others, not from the global generator
        self.router = skip_init(nn.Linear, config.d_model, experts.count, bias=False)
        self.experts = nn.ModuleList(MLP(config) for _ in range(experts.count))
        self.hook_expert_weights = HookPoint()
        self.hook_expert_indices = HookPoint()

    def forward(self, x: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"]:
        """Send each token to its expert.

        Ungated, the output depends on the router only through an argmax, which has no gradient:
        the router stays as it was initialised.
        """
        weights = self.hook_expert_weights(self.router(x).softmax(dim=-1))
        indices = self.hook_expert_indices(weights.argmax(dim=-1, keepdim=True))
        inside = (module for module in self.experts.modules() if isinstance(module, HookPoint))
        output = (self.dispatch if unseen(*inside) else self.select)(x, indices)
        return output * weights.gather(2, indices) if self.gated else output

    def select(
        self, x: Float[Tensor, "batch pos d_model"], indices: Int[Tensor, "batch pos 1"]
    ) -> Float[Tensor, "batch pos d_model"]:
        """Every expert's output for every token, and of these the chosen."""
        outputs = torch.stack([expert(x) for expert in self.experts], dim=2)
        chosen = rearrange(indices, "batch pos k -> batch pos k 1")
        return outputs.gather(2, chosen.expand(-1, -1, -1, x.shape[-1])).squeeze(2)

    def dispatch(
        self, x: Float[Tensor, "batch pos d_model"], indices: Int[Tensor, "batch pos 1"]
    ) -> Float[Tensor, "batch pos d_model"]:
        """The same, each expert computing its own tokens alone."""
        output = torch.empty_like(x)
        for number, expert in enumerate(self.experts):
            mine = (indices == number).squeeze(-1)
            output[mine] = expert(x[mine][None])[0].to(output.dtype)
        return output
