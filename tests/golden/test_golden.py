"""The shipped checkpoints still give what they gave."""

from __future__ import annotations

import pytest

from lt_interp.files import sha256_file
from lt_interp.reading import read_json
from lt_interp.training.run_folder import WEIGHTS, shipped_checkpoints, shipped_folder

from .measure import PINNED, measure

# Two machines sum in another order: a loss moves by some 1e-6, and a router that is undecided may
# send one of a thousand tokens elsewhere.
TOLERANCE = {"loss_nats": 1e-4, "share": 3e-3}


def test_every_shipped_checkpoint_is_pinned() -> None:
    assert set(read_json(PINNED)) == set(shipped_checkpoints())


@pytest.mark.parametrize("name", shipped_checkpoints())
def test_its_figures_have_not_moved(name: str) -> None:
    pinned = read_json(PINNED)[name]
    stored = sha256_file(shipped_folder(name) / WEIGHTS)
    assert pinned.pop("weights_sha256") == stored, "new weights: python -m tests.golden"
    found = measure(name)
    assert found.keys() == pinned.keys()
    assert found.pop("sample") == pinned.pop("sample")
    for key, value in found.items():
        tolerance = TOLERANCE["loss_nats" if key == "loss_nats" else "share"]
        assert value == pytest.approx(pinned[key], abs=tolerance), key
