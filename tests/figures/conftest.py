"""Small results with numbers that are easy to find again in a figure."""

from __future__ import annotations

import pandas as pd
import pytest
from matplotlib.figure import Figure

from lt_interp.figures.save import style
from lt_interp.methods.result import Result


@pytest.fixture
def ax():
    with style():
        yield Figure().subplots()


@pytest.fixture
def evolution() -> Result:
    ladder = pd.DataFrame({
        "stage": ["01_bag_of_words", "10_moe", "10_moe", "10_moe_gated"],
        "perplexity": [250.0, 9.0, 9.5, 8.5],
        "perplexity_low": [240.0, 8.7, 9.2, 8.3],
        "perplexity_high": [270.0, 9.4, 9.9, 8.8],
        "perplexity_last_token": [260.0, 9.1, 9.6, 8.6],
        "article_perplexity": [270.8, 8.1, 8.1, None],
        "article_scored_on": ["last token of each row", "every position", "every position", None],
    })  # fmt: skip
    pairs = pd.DataFrame({
        "stage": ["04_attention", "05_attn_position"], "previous": ["03_bigram", "04_attention"],
        "difference_nats": [-0.01, -0.4], "low": [-0.03, -0.45], "high": [0.02, -0.38],
    })  # fmt: skip
    curves = pd.DataFrame({
        "stage": ["05_attn_position"] * 3 + ["06_ffn"], "seed": [0, 0, 1, 0],
        "tokens_seen": [8_000_000, 16_000_000, 8_000_000, 8_000_000],
        "perplexity": [70.0, 45.0, 71.0, 1.0],
    })  # fmt: skip
    article_curves = pd.DataFrame({
        "stage": ["05_attn_position", "05_attn_position", "09_multi_head"],
        "tokens_seen": [8_160_000, 465_120_000, 8_160_000], "perplexity": [72.6, 17.7, 37.5],
    })  # fmt: skip
    tables = {"ladder": ladder, "pairs": pairs, "curves": curves, "article_curves": article_curves}
    return Result(name="evolution", tables=tables)


@pytest.fixture
def blindness() -> Result:
    rows = [
        ("03_bigram", "trained", "as printed", 2.0, 0.001),
        ("03_bigram", "untrained", "as printed", 3.0, 0.002),
        ("03_bigram", "trained", "with a common last token", 0.0, 0.001),
        ("05_attn_position", "trained", "as printed", 4.0, 0.003),
        ("05_attn_position", "untrained", "as printed", 5.0, 0.004),
        ("05_attn_position", "trained", "with a common last token", 1.5, 0.003),
    ]
    columns = ["stage", "weights", "variant", "max_abs_logit_difference", "bound"]
    differences = pd.DataFrame(rows, columns=columns)
    differences["reference_low"], differences["reference_high"] = 5.0, 12.0
    return Result(name="position_blindness", tables={"differences": differences})
