"""A cache is as large as its formula says, and changes no logit."""

from __future__ import annotations

import pytest
import torch

from lt_interp.errors import InputError
from lt_interp.methods.kv_cache import kv_cache
from lt_interp.model.parts.past import Past
from lt_interp.model.stage_model import StageModel
from lt_interp.stages import STAGES


def test_the_same_logits_from_two_vectors_a_token_and_block() -> None:
    result = kv_cache(("byte_gpt", "char_gpt"), lengths=(5, 40, 200), repeats=1)
    table = result.tables["tokens"]
    # the byte model's context ends at 128
    assert list(zip(table["stage"], table["length"], strict=True)) == [
        ("byte_gpt", 5), ("byte_gpt", 40), ("char_gpt", 5), ("char_gpt", 40), ("char_gpt", 200),
    ]  # fmt: skip
    for row in table.itertuples():
        config = STAGES[row.stage].config
        assert row.cache_bytes == 2 * config.n_layers * row.length * config.d_model * 4
        assert row.max_abs_logit_difference < 1e-5 * row.largest_logit
    machine = result.meta["notes"]["machine"]  # a time without one says little
    assert machine.endswith(torch.backends.cpu.get_cpu_capability())
    assert " cores, " in machine


@pytest.mark.parametrize("lengths", [(0, 5), (128,), ()])
def test_lengths_that_nothing_can_read_are_refused(lengths: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="take 1 or more"):
        kv_cache(("byte_gpt",), lengths=lengths)


def test_a_copy_goes_on_without_changing_the_past() -> None:
    model = StageModel(STAGES["byte_gpt"].config, seed=1)
    tokens = torch.arange(10)[None]
    past = Past(model.config.depth)
    model.hidden(tokens[:, :6], past=past)
    kept = past.n_bytes
    first = model.hidden(tokens[:, 6:], past=past.copy())
    assert (past.length, past.n_bytes) == (6, kept)
    torch.testing.assert_close(model.hidden(tokens[:, 6:], past=past.copy()), first)
