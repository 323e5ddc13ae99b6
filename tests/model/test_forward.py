"""The forward pass of every stage against an independent account of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from lt_interp.model.parts.norm import LayerNorm
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import STAGES

Build = Callable[..., StageModel]


@pytest.mark.parametrize("stage_id", STAGES)
def test_future_tokens_never_change_earlier_logits(
    stage_id: str, small_model: Build, tokens: Tensor
) -> None:
    model = small_model(stage_id)
    logits = model(tokens)
    assert logits.shape == (3, 10, model.cfg.d_vocab)
    for cut in (1, 5, 9):
        changed = tokens.clone()
        changed[:, cut:] = (changed[:, cut:] + 1) % model.cfg.d_vocab
        other = model(changed)
        torch.testing.assert_close(other[:, :cut], logits[:, :cut])
        assert (other[:, cut:] - logits[:, cut:]).abs().amax(dim=-1).min() > 1e-4
        torch.testing.assert_close(model(tokens[:, :cut]), logits[:, :cut])


@pytest.mark.parametrize("stage_id", ["01_bag_of_words", "02_bow_position"])
def test_a_bag_of_words_reads_the_mean_of_its_prefix(
    stage_id: str, small_model: Build, tokens: Tensor
) -> None:
    model = small_model(stage_id)
    embed = model.W_E[tokens]
    if stage_id == "02_bow_position":
        embed = embed + model.W_pos[:10]
    direct = embed.mean(dim=1) @ model.W_U + model.b_U
    torch.testing.assert_close(model(tokens)[:, -1], direct)
    torch.testing.assert_close(
        model(tokens)[:, 3], embed[:, :4].mean(dim=1) @ model.W_U + model.b_U
    )


@pytest.mark.parametrize(("stage_id", "size"), [("03b_trigram", 2), ("03b_fourgram", 3)])
def test_an_ngram_reads_the_last_tokens_with_eos_left_of_the_row(
    stage_id: str, size: int, small_model: Build, tokens: Tensor
) -> None:
    model = small_model(stage_id)
    logits = model(tokens)
    for row in range(3):
        for pos in range(10):
            read = []
            for place in range(pos - size + 1, pos + 1):
                token = tokens[row, place].item() if place >= 0 else model.tokenizer.eos_id
                read.append(model.W_E[token])
            expected = torch.cat(read) @ model.W_U + model.b_U
            torch.testing.assert_close(logits[row, pos], expected)


def test_a_bigram_reads_one_token(small_model: Build, tokens: Tensor) -> None:
    model = small_model("03_bigram")
    table = model.W_E @ model.W_U + model.b_U
    torch.testing.assert_close(model(tokens), table[tokens])


def test_layer_norm_is_torchs() -> None:
    generator = torch.Generator().manual_seed(0)
    norm = LayerNorm(16)
    norm.w.data = torch.randn(16, generator=generator)
    norm.b.data = torch.randn(16, generator=generator)
    x = 5 + 3 * torch.randn(2, 7, 16, generator=generator)
    torch.testing.assert_close(norm(x), F.layer_norm(x, (16,), norm.w, norm.b, eps=1e-5))


@pytest.mark.parametrize("stage_id", ["04_attention", "09_multi_head"])
def test_attention_is_torchs(stage_id: str, small_model: Build) -> None:
    attention = small_model(stage_id).blocks[0].attn
    x = torch.randn(2, 9, 16, generator=torch.Generator().manual_seed(0))
    q, k, v = (
        torch.stack([x @ weight[head] for head in range(len(weight))], dim=1)
        for weight in (attention.W_Q, attention.W_K, attention.W_V)
    )
    heads = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    expected = sum(heads[:, head] @ attention.W_O[head] for head in range(heads.shape[1]))
    torch.testing.assert_close(attention(x, x, x), expected)


@pytest.mark.parametrize("stage_id", ["04_attention", "05_attn_position", "06_ffn"])
def test_a_chain_is_its_parts_one_after_the_other(
    stage_id: str, small_model: Build, tokens: Tensor
) -> None:
    model = small_model(stage_id)
    block = model.blocks[0]
    x = F.embedding(tokens, model.W_E)
    if stage_id != "04_attention":
        x = x + model.W_pos[:10]
    q, k, v = (x @ w[0] for w in (block.attn.W_Q, block.attn.W_K, block.attn.W_V))
    scores = q @ k.mT / 16**0.5
    scores = scores.masked_fill(torch.ones(10, 10, dtype=torch.bool).triu(1), -torch.inf)
    x = scores.softmax(dim=-1) @ v @ block.attn.W_O[0]
    if stage_id == "06_ffn":
        x = F.relu(x @ block.mlp.W_in + block.mlp.b_in) @ block.mlp.W_out + block.mlp.b_out
    torch.testing.assert_close(model(tokens), x @ model.W_U + model.b_U)


class PlainBlock(nn.Module):
    """A pre-norm block as a textbook writes it."""

    def __init__(self, d_model: int, d_mlp: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.ln1, self.ln2 = nn.LayerNorm(d_model), nn.LayerNorm(d_model)
        self.q, self.k, self.v, self.o = (nn.Linear(d_model, d_model, bias=False) for _ in range(4))
        self.up, self.down = nn.Linear(d_model, d_mlp), nn.Linear(d_mlp, d_model)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.ln1(x)
        q, k, v = (
            rearrange(part(normed), "b p (h d) -> b h p d", h=self.n_heads)
            for part in (self.q, self.k, self.v)
        )
        z = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(rearrange(z, "b h p d -> b p (h d)"))
        return x + self.down(F.relu(self.up(self.ln2(x))))

    def copy(self, block: nn.Module) -> None:
        for plain, ours in ((self.ln1, block.ln1), (self.ln2, block.ln2)):
            plain.weight.data, plain.bias.data = ours.w.data, ours.b.data
        for letter in "qkv":
            ours = getattr(block.attn, f"W_{letter.upper()}").data
            getattr(self, letter).weight.data = rearrange(ours, "h m d -> (h d) m")
        self.o.weight.data = rearrange(block.attn.W_O.data, "h d m -> m (h d)")
        self.up.weight.data, self.up.bias.data = block.mlp.W_in.data.T, block.mlp.b_in.data
        self.down.weight.data, self.down.bias.data = block.mlp.W_out.data.T, block.mlp.b_out.data


@pytest.mark.parametrize("stage_id", ["07_block", "08_two_blocks", "09_multi_head"])
def test_a_transformer_is_the_textbooks(stage_id: str, small_model: Build, tokens: Tensor) -> None:
    model = small_model(stage_id)
    config = model.config
    final, unembed = nn.LayerNorm(16), nn.Linear(16, config.d_vocab)
    final.weight.data, final.bias.data = model.ln_final.w.data, model.ln_final.b.data
    unembed.weight.data, unembed.bias.data = model.W_U.data.T, model.b_U.data
    x = model.W_E[tokens] + model.W_pos[:10]
    for block in model.blocks:
        plain = PlainBlock(16, config.d_mlp, config.n_heads)
        plain.copy(block)
        x = plain(x)
    torch.testing.assert_close(model(tokens), unembed(final(x)))
