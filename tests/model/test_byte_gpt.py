"""The NumPy GPT against its own definition in NumPy: predictions, gradients, and what it draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from lt_interp.corpus.simple_tokenizers import ByteTokenizer
from lt_interp.model.initialisation import initialise_normal
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import get_stage

TEXT = "The cat sat on the mat. The dog sat on the log. "
PROMPT = TEXT[:17]  # 16 predictions


@pytest.fixture(scope="module")
def model() -> StageModel:
    """In float64, since finite differences in float32 would be rounding alone."""
    built = StageModel(get_stage("byte_gpt").config, tokenizer=ByteTokenizer(), name="byte_gpt")
    initialise_normal(built, torch.Generator().manual_seed(5))
    return built.to(torch.float64)


def softmax(x: np.ndarray) -> np.ndarray:
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def rms_norm(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-6) * weight


def numpy_logits(weights: dict[str, np.ndarray], ids: list[int]) -> np.ndarray:
    """The article's definition, a head at a time [pos d_vocab]."""
    n = len(ids)
    x = weights["embed.W_E"][ids] + weights["pos_embed.W_pos"][:n]
    future = np.triu(np.full((n, n), -1e9), k=1)
    for layer in range(4):
        part = {
            name.removeprefix(f"blocks.{layer}."): value
            for name, value in weights.items()
            if name.startswith(f"blocks.{layer}.")
        }
        normed = rms_norm(x, part["ln1.w"])
        for head in range(4):
            q, k, v = (normed @ part[f"attn.W_{letter}"][head] for letter in "QKV")
            pattern = softmax(q @ k.T / math.sqrt(16) + future)
            x = x + pattern @ v @ part["attn.W_O"][head]
        normed = rms_norm(x, part["ln2.w"])
        gate = normed @ part["mlp.W_gate"]
        x = x + (gate / (1 + np.exp(-gate)) * (normed @ part["mlp.W_in"])) @ part["mlp.W_out"]
    return rms_norm(x, weights["ln_final.w"]) @ weights["embed.W_E"].T


def numpy_loss(weights: dict[str, np.ndarray], ids: list[int]) -> float:
    """Mean cross-entropy of every next byte, in nats."""
    probabilities = softmax(numpy_logits(weights, ids[:-1]))
    return float(-np.log(probabilities[np.arange(len(ids) - 1), ids[1:]]).mean())


def weights_of(model: StageModel) -> dict[str, np.ndarray]:
    return {name: weight.detach().numpy().copy() for name, weight in model.named_parameters()}


def test_predictions_are_those_of_the_definition(model: StageModel) -> None:
    ids = list(PROMPT.encode())
    with torch.no_grad():
        ours = model(torch.tensor(ids))[0].numpy()
    np.testing.assert_allclose(ours, numpy_logits(weights_of(model), ids), rtol=1e-9, atol=1e-12)


def test_the_loss_begins_at_that_of_guessing(model: StageModel) -> None:
    loss = numpy_loss(weights_of(model), list(TEXT.encode()))
    assert loss == pytest.approx(math.log(256), abs=0.05)
    assert math.log(256) == pytest.approx(5.55, abs=0.005)


def test_finite_differences_of_the_definition_are_autograds_gradients(model: StageModel) -> None:
    """A few numbers of every parameter, moved by a little each way."""
    ids, step = list(PROMPT.encode()), 1e-5
    model.zero_grad()
    model(torch.tensor(ids), return_type="loss").backward()
    weights, generator = weights_of(model), np.random.default_rng(0)
    for name, parameter in model.named_parameters():
        flat, gradient = weights[name].reshape(-1), parameter.grad.reshape(-1)
        largest = int(gradient.abs().argmax())
        for place in {largest, *generator.integers(flat.size, size=2).tolist()}:
            held, losses = flat[place], []
            for moved in (held + step, held - step):
                flat[place] = moved
                losses.append(numpy_loss(weights, ids))
            flat[place] = held
            slope = (losses[0] - losses[1]) / (2 * step)
            assert slope == pytest.approx(float(gradient[place]), rel=1e-5, abs=1e-9), name


def test_generation_stays_among_the_likeliest_bytes_that_reach_the_share(
    model: StageModel,
) -> None:
    tokens = model.generate(
        model.to_tokens("The cat"), 20, temperature=0.8, top_p=0.9, seed=1, stop_at_eos=False
    )
    for end in range(7, 27):
        with torch.no_grad():
            logits = model(tokens[:, :end])[0, -1].numpy()
        probabilities = softmax(logits / 0.8)
        drawn = probabilities[int(tokens[0, end])]
        # what is likelier than a byte of the nucleus does not reach the share by itself
        assert probabilities[probabilities > drawn].sum() < 0.9
