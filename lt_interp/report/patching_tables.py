"""The tables of the activation patching page, as markdown."""

from __future__ import annotations

import pandas as pd

from lt_interp.figures.activation_patching import part_label
from lt_interp.figures.labels import stage_label
from lt_interp.report.markdown import code, plain, table
from lt_interp.report.numbers import MISSING, count, ends, nats, percent, small, with_ends

TOP = 5  # parts of each stage on the page; all are in the .csv


def accuracy_table(accuracy: pd.DataFrame) -> str:
    """How often every stage is right, and on how many pairs it was patched."""
    headers = ["stage", "pairs", "right", "95% interval", "untrained", "logit difference, clean",
               "corrupt", "pairs patched"]  # fmt: skip
    rows = [
        [
            plain(stage_label(row.stage)), count(row.n_pairs), percent(row.share_right),
            ends(row.low, row.high, percent),
            with_ends(row.untrained_share_right, row.untrained_low, row.untrained_high, percent),
            nats(row.clean_nats), nats(row.corrupt_nats), count(row.kept),
        ]
        for row in accuracy.itertuples()
    ]  # fmt: skip
    return table(headers, rows, align="lrrrrrrr")


def templates_table(pairs: pd.DataFrame) -> str:
    """One pair of every template."""
    rows = []
    for template, group in pairs.groupby("template", sort=False):
        first = group.iloc[0]
        answers = f"{code(first['clean_answer'])} / {code(first['corrupt_answer'])}"
        rows.append(
            [plain(str(template)), plain(first["kind"]), code(first["clean"]),
             code(first["corrupt"]), answers, count(len(group))]
        )  # fmt: skip
    headers = ["template", "swapped", "clean", "corrupt", "answers", "pairs"]
    return table(headers, rows, align="lllllr")


def important_table(important: pd.DataFrame) -> str:
    """The strongest parts of every stage."""
    headers = ["stage", "part", "restored", "95% interval", "wrong donor", "lost when destroyed",
               "by template", "q", "pairs"]  # fmt: skip
    rows = [
        [
            plain(stage_label(row.stage)),
            plain(part_label(row.component, row.layer, row.head, row.position_role)),
            f"**{percent(row.recovery)}**", ends(row.low, row.high, percent),
            percent(row.donor_recovery),
            percent(1 - row.noising_recovery),
            ends(row.template_low, row.template_high, percent), small(row.q), count(row.n_pairs),
        ]
        for row in important[important["rank"] <= TOP].itertuples()
    ]  # fmt: skip
    return table(headers, rows, align="llrrrrrrr")


def experts_table(experts: pd.DataFrame) -> str:
    """Every patch of a router or an expert."""
    headers = ["stage", "patched", "layer", "expert", "positions", "direction", "recovery",
               "95% interval", "wrong donor", "KL (nats)", "changed", "q", "pairs"]  # fmt: skip
    rows = [
        [
            plain(stage_label(row.stage)), plain(row.patched), plain(str(row.layer)),
            MISSING if pd.isna(row.expert) else str(int(row.expert)), plain(row.position_role),
            plain(row.direction), percent(row.recovery), ends(row.low, row.high, percent),
            with_ends(row.donor_recovery, row.donor_low, row.donor_high, percent),
            small(row.kl_nats), percent(row.share_changed), small(row.q), count(row.n_pairs),
        ]
        for row in experts.itertuples()
    ]  # fmt: skip
    return table(headers, rows, align="llrrllrrrrrrr")
