"""Pin the shipped checkpoints' figures anew: `python -m tests.golden`.

For new weights only. A figure that moves while its weights stay is a change of behaviour, and to
pin it would hide that.
"""

from __future__ import annotations

from lt_interp.files import sha256_file, write_json
from lt_interp.training.run_folder import WEIGHTS, shipped_checkpoints, shipped_folder
from tests.golden.measure import PINNED, measure

write_json(
    PINNED,
    {
        name: {"weights_sha256": sha256_file(shipped_folder(name) / WEIGHTS), **measure(name)}
        for name in shipped_checkpoints()
    },
)
