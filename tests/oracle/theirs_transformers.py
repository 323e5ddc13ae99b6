"""Run by the second environment: what plain `transformers` makes of a folder exported as `hf`.

    python theirs_transformers.py FOLDER...

Each folder is an exported one with a `stories.json` in it, a list of texts. Written beside it:
`logits.safetensors`, the logits of each text as its own tokenizer cuts it, and `opened.json` with
the ids, the class that opened and what the pipeline makes of a prompt. Nothing of lt_interp is
imported, or installed there.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline

PROMPT = "Once upon a time"


def main(folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = json.loads((folder / "stories.json").read_text(encoding="utf-8"))
    rows = [tokenizer(text, truncation=True, return_tensors="pt")["input_ids"] for text in texts]
    with torch.no_grad():
        logits = {str(i): model(row).logits.clone() for i, row in enumerate(rows)}
    save_file(logits, folder / "logits.safetensors")
    said = pipeline("text-generation", str(folder))(PROMPT, do_sample=False)
    opened = {
        "class": type(model).__name__,
        "ids": [row[0].tolist() for row in rows],
        "prompt": PROMPT,
        "text": said[0]["generated_text"],
    }
    (folder / "opened.json").write_text(json.dumps(opened), encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for word in sys.argv[1:]:
        main(Path(word))
