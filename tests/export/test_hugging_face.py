"""GPT-2 and OPT with a stage's weights against the stage, in double precision and as opened."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline

from lt_interp.export.folder import export, why_not_hugging_face
from lt_interp.export.gpt2 import to_gpt2
from lt_interp.export.opt import to_opt
from lt_interp.model.config import PRE_NORM_RESIDUAL, Experts, ModelConfig, Wiring
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import STAGES
from lt_interp.training.checkpoint import load

Build = Callable[..., StageModel]
WHOLE: dict[str, Any] = {
    "positions": "learned",
    "n_heads": 3,
    "d_mlp": 20,
    "wiring": PRE_NORM_RESIDUAL,
}
IDS = {"eos_token_id": 2, "bos_token_id": 2, "pad_token_id": 0}
TEXT = "once upon a time. the dog ran to a cat"


@pytest.mark.parametrize(
    "change", [{"activation": "gelu"}, {"mlp_bias": False}, {"tied": True}, {"unembed_bias": False}]
)
def test_gpt2_computes_other_kinds_of_parts_too(
    change: dict[str, Any], build: Build, tokens: Tensor
) -> None:
    model = build(**WHOLE | change)
    with torch.no_grad():
        theirs = to_gpt2(model, **IDS)(tokens).logits
        torch.testing.assert_close(theirs, model(tokens), atol=1e-5, rtol=0)


@pytest.mark.parametrize("positions", ["learned", None])
@pytest.mark.parametrize("d_mlp", [48, 5])
def test_gpt2_computes_what_the_stage_computes(
    positions: str | None, d_mlp: int, build: Build, tokens: Tensor
) -> None:
    model = build(**WHOLE | {"positions": positions, "d_mlp": d_mlp})
    gpt2 = to_gpt2(model, **IDS)
    with torch.no_grad():
        torch.testing.assert_close(gpt2(tokens).logits, model(tokens), atol=1e-5, rtol=0)
        loss = gpt2(tokens, labels=tokens).loss
    torch.testing.assert_close(loss, model(tokens, return_type="loss").detach())


def test_the_bias_of_the_unembedding_lies_where_no_normalised_vector_points(build: Build) -> None:
    model = build(**WHOLE)
    gpt2 = to_gpt2(model, **IDS)
    head = gpt2.lm_head.weight.double()
    constant = model.ln_final.b.double() @ model.W_U.double() + model.b_U.double()
    torch.testing.assert_close(head.sum(dim=1), constant, atol=1e-5, rtol=0)
    with torch.no_grad():
        model.b_U.add_(3.0)
    moved = to_gpt2(model, **IDS).lm_head.weight.double() - head
    torch.testing.assert_close(moved, torch.full_like(moved, 3.0 / 12), atol=1e-6, rtol=0)


def test_all_heads_and_layers_attend_as_ours_do(build: Build, tokens: Tensor) -> None:
    model = build(**WHOLE)
    gpt2 = to_gpt2(model, **IDS)
    gpt2.set_attn_implementation("eager")
    with torch.no_grad():
        patterns = gpt2(tokens, output_attentions=True).attentions
    cache = model.run_with_cache(tokens)[1]
    for layer, pattern in enumerate(patterns):
        torch.testing.assert_close(pattern, cache["pattern", layer].detach(), atol=1e-6, rtol=0)


@pytest.mark.parametrize("positions", ["learned", None])
def test_opt_without_layers_computes_what_a_stage_without_blocks_does(
    positions: str | None, build: Build, tokens: Tensor
) -> None:
    model = build(positions=positions)
    with torch.no_grad():
        logits = to_opt(model, **IDS)(tokens).logits
        torch.testing.assert_close(logits, model(tokens), atol=1e-6, rtol=0)


@pytest.mark.parametrize("parts", [WHOLE, {}], ids=["gpt2", "opt"])
def test_the_folder_opens_whole_and_continues_as_we_do(
    parts: dict[str, Any], build: Build, tokens: Tensor, tmp_path: Path
) -> None:
    model = build(**parts)
    folder = export(model, format="hf", out=tmp_path / "hf")
    opened, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values()), info
    assert opened.dtype == torch.float32
    with torch.no_grad():
        torch.testing.assert_close(opened(tokens).logits, model(tokens), atol=1e-5, rtol=0)
        opened.train()  # nothing is dropped out even then
        torch.testing.assert_close(opened(tokens).logits, model(tokens), atol=1e-5, rtol=0)
    say = pipeline("text-generation", str(folder))
    prompts = ["once upon", "a"]
    theirs = say(prompts, do_sample=False, max_new_tokens=8, batch_size=2)
    ours = [model.generate(model.to_tokens(p), 8, temperature=0)[0] for p in prompts]
    # a pipeline leaves special tokens out of its text
    spoken = [model.to_string(ids[ids > 2]) for ids in ours]
    assert [one[0]["generated_text"] for one in theirs] == spoken
    torch.manual_seed(0)
    sampled = say("a", return_tensors=True, eos_token_id=-1)[0]["generated_token_ids"]
    assert len(sampled) == model.cfg.n_ctx, "without a word on length, it ends with the context"


def test_its_tokenizer_cuts_text_as_ours_does(build: Build, tmp_path: Path) -> None:
    model = build()
    opened = AutoTokenizer.from_pretrained(export(model, format="hf", out=tmp_path / "hf"))
    assert model.tokenizer is not None
    ids = opened(TEXT + "<eos>Q")["input_ids"]
    assert ids == model.tokenizer.encode(TEXT + "<eos>Q")
    assert opened(TEXT, truncation=True)["input_ids"] == ids[: model.cfg.n_ctx]
    assert opened.decode(ids[: len(TEXT)]) == TEXT
    assert (opened.pad_token_id, opened.unk_token_id, opened.eos_token_id) == (0, 1, 2)


WITHOUT_THIS_PACKAGE = """
import sys
sys.modules["lt_interp"] = sys.modules["transformer_lens"] = None
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer
torch.set_num_threads(1)
text, *folders = sys.argv[1:]
for folder in folders:
    ids = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt").input_ids
    with torch.no_grad():
        logits = AutoModelForCausalLM.from_pretrained(folder)(ids).logits
    save_file({"ids": ids, "logits": logits}, folder + "/found")
"""


def test_shipped_stages_open_where_this_package_is_not(tmp_path: Path) -> None:
    models = {name: load(name) for name in ("03_bigram", "07_block", "09_multi_head")}
    folders = [export(m, format="hf", out=tmp_path / name) for name, m in models.items()]
    command = [sys.executable, "-c", WITHOUT_THIS_PACKAGE, TEXT, *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for model, folder in zip(models.values(), folders):
        found, tokens = load_file(folder / "found"), model.to_tokens(TEXT)
        assert found["ids"].equal(tokens)
        with torch.no_grad():
            torch.testing.assert_close(found["logits"], model(tokens), atol=1e-4, rtol=0)


@pytest.mark.parametrize("stage_id", STAGES)
def test_every_stage_is_taken_or_has_its_reason(stage_id: str) -> None:
    reasons = {
        "01": "mean of the embeddings",
        "02": "mean of the embeddings",
        "03b": "concatenated",
        "04": "chain",
        "05": "chain",
        "06": "chain",
        "10": "experts and learned position embeddings",
        "byte": "its norms are others",
        "char_post_norm": "its norms are others",
        "char_no_residual": "chain",
        "gpt_alibi": "ALiBi",
        "gpt_rope": "RoPE",
    }
    named = (start for start in reasons if stage_id.startswith(start))
    part = reasons.get(next(named, ""))
    reason = why_not_hugging_face(STAGES[stage_id].config)
    assert reason is None if part is None else part in (reason or "")


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"wiring": Wiring(residual=True)}, "no LayerNorm"),
        ({"d_mlp": 0}, "lack"),
        ({"n_heads": 0}, "lack"),
        ({"experts": Experts(count=2, gated=True)}, "experts"),
        ({"wiring": Wiring(norm="LN")}, "chain"),
        ({"wiring": Wiring(residual=True, norm="RMS")}, "its norms are others"),
        ({"wiring": Wiring(residual=True, norm="LN", norm_after=True)}, "its norms are others"),
        ({"positions": "rotary"}, "RoPE"),
        ({"positions": "alibi"}, "ALiBi"),
        ({"activation": "swiglu", "mlp_bias": False}, "SwiGLU"),
    ],
)
def test_what_gpt2_lacks_is_said(change: dict[str, Any], part: str) -> None:
    assert part in (why_not_hugging_face(ModelConfig(d_model=12, **WHOLE | change)) or "")
