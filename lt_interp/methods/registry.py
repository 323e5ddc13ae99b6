"""Every analysis by name, found without importing it."""

from __future__ import annotations

# name: (title of its page, "module:function"). A function takes the checkpoints and the token rows,
# and by keyword `seed`, `progress` and `command`; it returns a Result of the same name.
ANALYSES: dict[str, tuple[str, str]] = {
    "evolution": ("The evolution", "lt_interp.methods.evolution:evolution"),
    "position_blindness": (
        "Position blindness",
        "lt_interp.methods.position_blindness:position_blindness",
    ),
}
