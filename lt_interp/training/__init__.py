"""From token rows to checkpoints: recipe, optimizer, loss, loop."""
