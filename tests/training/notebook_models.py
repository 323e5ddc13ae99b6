"""The article's models in plain torch, over state dicts with the keys that its notebooks write."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

D_MODEL, D_FF, N_CTX = 16, 24, 12
STAGES = [
    "01_bag_of_words", "02_bow_position", "03_bigram", "03b_trigram", "03b_fourgram",
    "04_attention", "05_attn_position", "06_ffn", "07_block", "08_two_blocks", "09_multi_head",
    "10_moe", "10_moe_gated",
]  # fmt: skip
_WINDOW = {"03b_trigram": 2, "03b_fourgram": 3}
_EMBEDDING = ("01", "03", "04")  # notebooks whose only table is `embedding`

State = dict[str, Tensor]


def window(stage: str) -> int:
    return _WINDOW.get(stage, 1)


def n_heads(stage: str) -> int:
    return 2 if stage.startswith(("09", "10")) else 1


def prefixes(stage: str) -> list[str]:
    """What stands before the parts of each block; none of the first notebooks has a block."""
    number = stage[:2]
    if number in ("01", "02", "03"):
        return []
    if number in ("04", "05", "06"):
        return [""]
    return ["block."] if number == "07" else ["blocks.0.", "blocks.1."]


def notebook_state(stage: str, d_vocab: int, *, seed: int = 0) -> State:
    """Random weights, masks included."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator) * 0.4

    state: State = {}

    def linear(name: str, d_in: int, d_out: int, *, bias: bool = True) -> None:
        state[f"{name}.weight"] = draw(d_out, d_in)
        if bias:
            state[f"{name}.bias"] = draw(d_out)

    def norm(name: str) -> None:
        state[f"{name}.weight"], state[f"{name}.bias"] = 1 + draw(D_MODEL), draw(D_MODEL)

    only_tokens = stage.startswith(_EMBEDDING)
    state["embedding.weight" if only_tokens else "token_embedding.weight"] = draw(d_vocab, D_MODEL)
    if not only_tokens:
        state["position_embedding.weight"] = draw(N_CTX, D_MODEL)
    for prefix in prefixes(stage):
        if stage[:2] >= "07":
            norm(f"{prefix}ln1")
            norm(f"{prefix}ln2")
        for letter in "qkvo":
            linear(f"{prefix}attention.W_{letter}", D_MODEL, D_MODEL, bias=False)
        state[f"{prefix}attention.mask"] = torch.ones(N_CTX, N_CTX).triu(diagonal=1).bool()
        if stage.startswith("10"):
            for expert in (0, 1):
                linear(f"{prefix}moe.experts.{expert}.linear1", D_MODEL, D_FF)
                linear(f"{prefix}moe.experts.{expert}.linear2", D_FF, D_MODEL)
            linear(f"{prefix}moe.router", D_MODEL, 2, bias=False)
        elif stage[:2] >= "06":
            linear(f"{prefix}ffn.linear1", D_MODEL, D_FF)
            linear(f"{prefix}ffn.linear2", D_FF, D_MODEL)
    if stage[:2] >= "07":
        norm("ln_final")
    linear("unembed", window(stage) * D_MODEL, d_vocab)
    return state


def notebook_logits(stage: str, state: State, ids: list[int]) -> Tensor:
    """What the notebook's model says after the last of `ids` [d_vocab], in double precision."""
    w = {key: t.double() for key, t in state.items()}
    table = w["embedding.weight"] if "embedding.weight" in w else w["token_embedding.weight"]
    x = table[ids]
    if "position_embedding.weight" in w:
        x = x + w["position_embedding.weight"][: len(ids)]
    if stage[:2] in ("01", "02"):
        x = x.mean(dim=0)
    elif stage[:2] == "03":
        x = x[len(ids) - window(stage) :].flatten()
    else:
        x = _blocks(stage, w, x)[-1]
    return w["unembed.weight"] @ x + w["unembed.bias"]


def _blocks(stage: str, w: State, x: Tensor) -> Tensor:
    residual = stage[:2] >= "07"
    for prefix in prefixes(stage):
        read = _norm(w, f"{prefix}ln1", x) if residual else x
        attended = _attention(w, f"{prefix}attention", read, n_heads(stage))
        x = x + attended if residual else attended
        if stage[:2] < "06":
            continue
        read = _norm(w, f"{prefix}ln2", x) if residual else x
        thought = torch.stack([_think(stage, w, prefix, row) for row in read])
        x = x + thought if residual else thought
    return _norm(w, "ln_final", x) if residual else x


def _attention(w: State, name: str, x: Tensor, heads: int) -> Tensor:
    """A head and a query at a time, over the keys up to it."""
    width = D_MODEL // heads
    q, k, v = (x @ w[f"{name}.W_{letter}.weight"].T for letter in "qkv")
    outputs = []
    for t in range(len(x)):
        z = []
        for head in range(heads):
            part = slice(head * width, (head + 1) * width)
            scores = k[: t + 1, part] @ q[t, part] / math.sqrt(width)
            z.append(scores.softmax(dim=0) @ v[: t + 1, part])
        outputs.append(w[f"{name}.W_o.weight"] @ torch.cat(z))
    return torch.stack(outputs)


def _think(stage: str, w: State, prefix: str, row: Tensor) -> Tensor:
    if not stage.startswith("10"):
        return _feed_forward(w, f"{prefix}ffn", row)
    shares = (w[f"{prefix}moe.router.weight"] @ row).softmax(dim=0)
    expert = int(shares.argmax())
    output = _feed_forward(w, f"{prefix}moe.experts.{expert}", row)
    return output * shares[expert] if stage == "10_moe_gated" else output


def _feed_forward(w: State, name: str, row: Tensor) -> Tensor:
    wide = w[f"{name}.linear1.weight"] @ row + w[f"{name}.linear1.bias"]
    return w[f"{name}.linear2.weight"] @ wide.clamp(min=0) + w[f"{name}.linear2.bias"]


def _norm(w: State, name: str, x: Tensor) -> Tensor:
    return F.layer_norm(x, (D_MODEL,), w[f"{name}.weight"], w[f"{name}.bias"])
