"""`python -m tests.oracle`: compare with HookedTransformer and transformers, and write the page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from lt_interp.corpus.sources import open_corpus
from lt_interp.files import write_text

from .cases import all_cases, first_stories
from .compare import Finding, compare
from .compare_transformers import compare_transformers
from .page import page

ROOT = Path(__file__).parents[2]


def main() -> int:
    """Run everything; the status is 1 if anything differs."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--theirs", type=Path, required=True, help="python of the environment")
    options.add_argument("--corpus", default="embedded", help="where the stories come from")
    options.add_argument("--stories", type=int, default=50)
    options.add_argument("--out", type=Path, default=ROOT / "runs" / "oracle.md")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    corpus = open_corpus(chosen.corpus)
    stories = first_stories(corpus, chosen.stories)
    findings: list[Finding] = []
    # a stage at a time: its activations of 50 stories take a gigabyte of disk
    small = [case for case in all_cases() if case.kind == "random"]
    for cases in (small, *([case] for case in all_cases() if case.kind != "random")):
        found = compare(cases, chosen.theirs, stories)
        findings += found
        for one in found:
            print(f"{one.case.name}: largest {max(one.differences.values()):.1e}", flush=True)
    opened = compare_transformers(chosen.theirs, stories)
    write_text(chosen.out, page(findings, opened, corpus))
    agree = all(found.agrees for found in (*findings, *opened))
    print(f"{chosen.out}: {'everything agrees' if agree else 'NOT everything agrees'}")
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
