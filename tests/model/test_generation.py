"""Sampling against its definition, and generation token by token."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lt_interp.errors import InputError
from lt_interp.model.generation import draw, sample
from lt_interp.model.stage_model import StageModel

Build = Callable[..., StageModel]
LOGITS = torch.tensor([2.0, -1.0, 1.5, 0.3, 2.2, -3.0])
DRAWS = 20_000


def frequencies(**options: object) -> Tensor:
    """How often each of six tokens is drawn."""
    settings = {"temperature": 1.0, "top_k": None, "top_p": None} | options
    generator = torch.Generator().manual_seed(0)
    drawn = sample(LOGITS.expand(DRAWS, -1), generator=generator, **settings)
    return torch.bincount(drawn, minlength=6) / DRAWS


def kept(probabilities: Tensor, allowed: set[int]) -> Tensor:
    """Probabilities of some tokens, the rest impossible."""
    keep = torch.tensor([i in allowed for i in range(len(probabilities))])
    return (probabilities * keep) / (probabilities * keep).sum()


def nucleus(probabilities: Tensor, top_p: float) -> set[int]:
    """The fewest likeliest tokens that together reach `top_p`, by counting up."""
    allowed: set[int] = set()
    total = 0.0
    for i in sorted(range(len(probabilities)), key=lambda i: -probabilities[i].item()):
        allowed.add(i)
        total += probabilities[i].item()
        if total >= top_p:
            break
    return allowed


def assert_drawn_from(drawn: Tensor, expected: Tensor) -> None:
    """Frequencies within five standard errors, and exactly zero where impossible."""
    error = 5 * (expected * (1 - expected) / DRAWS).sqrt()
    assert ((drawn - expected).abs() <= error).all()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_temperature(temperature: float) -> None:
    expected = (LOGITS / temperature).softmax(dim=-1)
    assert_drawn_from(frequencies(temperature=temperature), expected)


@pytest.mark.parametrize(("uniform", "drawn"), [(0.0, 1), (0.5, 2), (1 - 2**-53, 2)])
def test_the_ends_of_the_unit_interval_draw_what_is_possible(
    uniform: float, drawn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        torch, "rand", lambda shape, **_: torch.full(shape, uniform, dtype=torch.double)
    )
    probabilities = torch.tensor([[0.0, 0.5, 0.5, 0.0]])
    assert draw(probabilities, torch.Generator()).tolist() == [drawn]


def test_top_k() -> None:
    assert_drawn_from(frequencies(top_k=3), kept(LOGITS.softmax(dim=-1), {4, 0, 2}))
    assert frequencies(top_k=1)[4] == 1
    assert_drawn_from(frequencies(top_k=99), LOGITS.softmax(dim=-1))


@pytest.mark.parametrize("top_p", [0.01, 0.3, 0.5, 0.8, 0.95, 1.0])
def test_top_p_is_the_nucleus(top_p: float) -> None:
    probabilities = LOGITS.softmax(dim=-1)
    assert_drawn_from(frequencies(top_p=top_p), kept(probabilities, nucleus(probabilities, top_p)))


def test_top_k_comes_before_top_p() -> None:
    probabilities = kept(LOGITS.softmax(dim=-1), {4, 0, 2})
    expected = kept(probabilities, nucleus(probabilities, 0.7))
    assert_drawn_from(frequencies(top_k=3, top_p=0.7), expected)


@pytest.mark.parametrize("temperature", [0.0, 1e-30])
def test_no_temperature_is_the_likeliest_token(temperature: float) -> None:
    assert frequencies(temperature=temperature)[4] == 1


def test_zero_temperature_is_argmax_at_every_step(small_model: Build) -> None:
    model = small_model("09_multi_head")
    tokens = model.to_tokens("the dog")
    for _ in range(12):
        next_ = model(tokens)[:, -1].argmax(dim=-1)
        tokens = torch.cat([tokens, next_[:, None]], dim=1)
    options = {"max_new_tokens": 12, "stop_at_eos": False}
    assert model.generate("the dog", temperature=0, **options) == model.to_string(tokens[0])
    assert torch.equal(model.generate(tokens[:, :7], top_k=1, **options), tokens)


def test_a_seed_fixes_the_text(small_model: Build) -> None:
    model = small_model("03_bigram")
    texts = {seed: model.generate("the", 20, seed=seed, stop_at_eos=False) for seed in range(3)}
    assert len(set(texts.values())) == 3
    assert model.generate("the", 20, seed=1, stop_at_eos=False) == texts[1]


@pytest.mark.parametrize("stage_id", ["02_bow_position", "05_attn_position"])
def test_longer_than_the_context(stage_id: str, small_model: Build) -> None:
    model = small_model(stage_id)
    tokens = model.generate(torch.tensor([[4, 5, 6]]), 40, temperature=0, stop_at_eos=False)
    assert tokens.shape == (1, 43)
    for end in (30, 43):
        window = tokens[:, end - 1 - 23 : end - 1]
        assert model(window)[0, -1].argmax() == tokens[0, end - 1]


def test_texts_of_one_length_are_continued_and_others_refused(small_model: Build) -> None:
    model = small_model("05_attn_position")
    both = model.generate(["ab", "cd"], 5, temperature=0)
    assert both[1].tolist() == model.generate(model.to_tokens("cd"), 5, temperature=0)[0].tolist()
    with pytest.raises(InputError, match="the texts have 1, 2 tokens"):
        model.generate(["ab", "c"], 5)


def test_every_row_stops_at_its_own_eos(small_model: Build) -> None:
    """A bigram whose table says: a -> b -> <eos>, and c -> <eos>."""
    model = small_model("03_bigram")
    with torch.no_grad():
        model.W_E.zero_()
        model.W_U.zero_()
        model.b_U.zero_()
        for token, then in ((4, 5), (5, 2), (6, 2), (2, 7)):
            model.W_E[token, token] = 1
            model.W_U[token, then] = 9
    rows = torch.tensor([[4], [6]])
    assert model.generate(rows, 9, temperature=0).tolist() == [[4, 5, 2], [6, 2, 2]]
    free = model.generate(rows, 3, temperature=0, stop_at_eos=False)
    assert free.tolist()[1][:3] == [6, 2, 7]
    assert model.generate("a", 9, temperature=0) == "ab<eos>"
    assert model.generate("a", 0) == "a"


def test_what_generation_gives_may_be_trained_on(small_model: Build) -> None:
    """Its tokens, and what a hook has seen on the way."""
    model, seen = small_model("09_multi_head"), []
    tokens = model.generate(model.to_tokens("the"), 5, stop_at_eos=False)
    model(tokens, return_type="loss").backward()
    assert model.W_E.grad.abs().sum() > 0
    with model.hooks([("hook_embed", lambda act, hook: seen.append(act))]):
        model.generate("the", 5, stop_at_eos=False)
    probe = torch.ones(model.cfg.d_model, requires_grad=True)
    assert not seen[-1].requires_grad
    (seen[-1] @ probe).sum().backward()
    torch.testing.assert_close(probe.grad, seen[-1].sum(dim=(0, 1)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_new_tokens": -1}, "max_new_tokens must be 0 or more"),
        ({"temperature": -0.1}, "temperature must be 0 or more than 1e-06"),
        ({"temperature": 1e-320}, "temperature must be 0 or more than 1e-06"),
        ({"temperature": float("nan")}, "temperature must be 0 or more than 1e-06"),
        ({"top_k": 0}, "top_k must be 1 or more"),
        ({"top_p": 0.0}, "top_p must be at least"),
        ({"top_p": 1.1}, "top_p must be at least"),
    ],
)
def test_options_out_of_range(options: dict[str, float], message: str, small_model: Build) -> None:
    with pytest.raises(InputError, match=message):
        small_model("03_bigram").generate("a", **options)
