"""Run by the second environment: the real HookedTransformer on exported weights.

    python theirs.py FOLDER...

Each folder holds `config.json` and `model.safetensors` as exported, and `tokens.safetensors` with
one row of ids a story. Written beside them: `hooks.json`, and for every story `STORY.safetensors`
with logits, loss and every activation by name, and `STORY-opt-in.safetensors` with those of a
second run in which all optional hooks are switched on. Nothing of lt_interp is imported, or
installed there.
"""

from __future__ import annotations

import json
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

warnings.filterwarnings("ignore", category=DeprecationWarning)
from transformer_lens import HookedTransformer, HookedTransformerConfig  # noqa: E402
from transformer_lens.components.mlps.mlp import MLP  # noqa: E402

FLAGS = ("attn_result", "split_qkv_input", "attn_in", "hook_mlp_in")


def build(folder: Path) -> HookedTransformer:
    """The model as exported; every weight must find its place."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    model = HookedTransformer(HookedTransformerConfig.from_dict(config))
    if model.cfg.num_experts:
        put_relu_layers_for_experts(model)
    model.load_state_dict(load_file(folder / "model.safetensors"), strict=True)
    return model.eval()


def put_relu_layers_for_experts(model: HookedTransformer) -> None:
    """TransformerLens's own feed-forward layer in the place of its gated experts.

    What remains of its mixture is what is to be compared: how it chooses and how it weighs.
    """
    dense = HookedTransformerConfig.from_dict(
        model.cfg.to_dict() | {"num_experts": None, "experts_per_token": None}
    )
    for block in model.blocks:
        for expert in range(model.cfg.num_experts):
            block.mlp.experts[expert] = MLP(dense)
    model.setup()


def run(model: HookedTransformer, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
    """Logits, loss and activations; copies, since a file holds no shared memory."""
    with torch.no_grad():
        logits, cache = model.run_with_cache(tokens)
        found = {"logits": logits, "loss": model(tokens, return_type="loss"), **cache}
    return {name: tensor.clone().contiguous() for name, tensor in found.items()}


def main(folder: Path) -> None:
    model = build(folder)
    about = {"version": version("transformer-lens"), "hooks": list(model.hook_dict)}
    (folder / "hooks.json").write_text(json.dumps(about), encoding="utf-8")
    for story, tokens in load_file(folder / "tokens.safetensors").items():
        for on, suffix in ((False, ""), (True, "-opt-in")):
            for flag in FLAGS[:-1] if model.cfg.attn_only else FLAGS:
                getattr(model, f"set_use_{flag}")(on)
            save_file(run(model, tokens), folder / f"{story}{suffix}.safetensors")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for word in sys.argv[1:]:
        main(Path(word))
