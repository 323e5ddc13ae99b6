"""Hand-made tables of shuffled prefixes and swapped neighbours, with numbers easy to find again."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

WINDOWS = {"03b_trigram": 2, "03b_fourgram": 3}
BLIND = ("01_bag_of_words", "02_bow_position", "03_bigram", "04_attention")
DISTANCES = (1, 2, 8, 48)
BOUND = 0.002


def verdict(stage: str) -> str:
    """What the architecture forces."""
    if stage in BLIND:
        return "blind by construction"
    window = WINDOWS.get(stage)
    return f"reads only a window of {window}" if window else "order-sensitive"


def order_tables(stages: Sequence[str]) -> dict[str, pd.DataFrame]:
    """`verdicts`, `permutations` and `swaps` of some stages, trained and untrained."""
    asked = [(stage, weights) for stage in stages for weights in ("trained", "untrained")]
    return {
        "verdicts": pd.DataFrame([_verdict(*one) for one in asked]).astype(
            {"window_tokens": "Int64", "n_prefixes_behind_window": "Int64"}
        ),
        "permutations": pd.DataFrame([_permutation(*one) for one in asked]),
        "swaps": pd.DataFrame([_swap(*one, d) for one in asked for d in DISTANCES]),
    }


def _verdict(stage: str, weights: str) -> dict:
    blind, window = stage in BLIND, WINDOWS.get(stage)
    share = 0.6 if weights == "trained" else 0.3
    known = stage != "03_bigram"
    return {
        "stage": stage, "weights": weights, "verdict": verdict(stage), "expected": verdict(stage),
        "window_tokens": window,
        "sensitivity": (0.0 if blind else share) if known else None,
        "sensitivity_low": (0.0 if blind else share - 0.1) if known else None,
        "sensitivity_high": (0.0 if blind else share + 0.1) if known else None,
        "max_abs_difference_behind_window": 3e-14 if blind or window else None,
        "bound_behind_window": 4e-12 if blind or window else None,
        "n_prefixes_behind_window": 200 if blind or window else None,
    }  # fmt: skip


def _permutation(stage: str, weights: str) -> dict:
    blind = stage in BLIND
    kl = 1e-14 if blind else 0.9 if weights == "trained" else 0.003
    reference = 0.0 if stage == "03_bigram" else 1.5
    return {
        "stage": stage, "weights": weights, "n_prefixes": 205, "n_permutations": 1640,
        "n_stories": 204, "n_excluded": 3, "max_abs_logit_difference": 4e-6 if blind else 11.0,
        "bound": BOUND, "within_rounding": blind, "kl_nats": kl, "kl_low": 0.9 * kl,
        "kl_high": 1.2 * kl, "kl_bound_nats": BOUND**2 / 2, "top1_agreement": 1.0 if blind else 0.4,
        "top1_low": 1.0 if blind else 0.35, "top1_high": 1.0 if blind else 0.45,
        "loss_change_nats": 0.0 if blind else 0.8, "loss_change_low": 0.0 if blind else 0.7,
        "loss_change_high": 0.0 if blind else 0.9, "reference_kl_nats": reference,
        "reference_low": 0.9 * reference, "reference_high": 1.1 * reference, "n_reference": 201,
    }  # fmt: skip


def _swap(stage: str, weights: str, distance: int) -> dict:
    read = stage not in BLIND and distance < WINDOWS.get(stage, 99)
    kl = (0.08 if weights == "trained" else 0.0008) / distance if read else 1e-14
    return {
        "stage": stage, "weights": weights, "distance": distance, "kl_nats": kl, "low": 0.8 * kl,
        "high": 1.3 * kl, "max_abs_logit_difference": 2.0 if read else 1e-6, "bound": BOUND,
        "n_prefixes": 200 - distance, "n_stories": 199 - distance,
    }  # fmt: skip
