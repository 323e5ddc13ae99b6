"""Stories in batches of bounded size, so that no corpus need fit in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

BATCH_STORIES = 1_000
BATCH_CHARACTERS = 2**21  # encoding takes some fifty times as many bytes


def batched(stories: Iterable[str]) -> Iterator[list[str]]:
    """Yield the stories in order, a list at a time.

    Args:
        stories: As many as there are.

    Yields:
        Lists of at most 1,000 stories; one is full with the story that brings it to two million
        characters.
    """
    batch: list[str] = []
    characters = 0
    for story in stories:
        batch.append(story)
        characters += len(story)
        if len(batch) == BATCH_STORIES or characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
