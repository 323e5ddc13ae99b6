"""Where stories come from: the embedded ones, a local file or folder, or the Hugging Face hub.

A source with splits of its own keeps them. A single file is one corpus, "all"; asked for "train"
or "validation" it is split by story: a story goes to validation when the number in the first
eight hexadecimal digits of its SHA-256 is divisible by 20. That depends on nothing but the story,
so about 5% are held out, the same ones on every machine, and equal stories fall on one side.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from lt_interp.corpus import hub
from lt_interp.corpus.readers import DELIMITER, SUFFIXES, read_stories, require_suffix
from lt_interp.errors import InputError
from lt_interp.files import shown
from lt_interp.reading import file_in

EMBEDDED = "embedded"
SPLITS = ("train", "validation", "all")
VALIDATION_ONE_IN = 20
PROGRESS_STORIES = 1_000

ReadStories = Callable[[], Iterator[str]]


@dataclass(frozen=True, kw_only=True)
class Corpus:
    r"""Stories that can be read again and again, and the hash that says which they are.

    Attributes:
        name: `embedded`, the name of the file or folder, or the id on the hub; never a full path.
        split: `train`, `validation` or `all`.
        sha256: SHA-256 over each story in order: its UTF-8 bytes, then `"\n<|endoftext|>\n"`. For
            a text file written that way it is the hash of the file.
        n_stories: How many stories there are.
        read: Yields the stories from the start each time it is called.
    """

    name: str
    split: str
    sha256: str
    n_stories: int
    read: ReadStories = field(repr=False, compare=False)

    def stories(self) -> Iterator[str]:
        """Yield every story in order, from the start at every call.

        Raises:
            InputError: After the last story, if they are not the stories that were opened.
        """
        digest = hashlib.sha256()
        for story in self.read():
            digest.update(_hashed(story))
            yield story
        if digest.hexdigest() != self.sha256:
            raise InputError(f"corpus {self.name!r} was changed while in use; start again")


def open_corpus(
    spec: str | Path,
    *,
    split: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Corpus:
    """Open a corpus, reading it once to count and to hash its stories.

    Args:
        spec: `"embedded"`; a file (`.txt`, `.parquet`, `.jsonl`); a folder with one `train.*` and
            one `validation.*`; or a dataset `"owner/name"` on the Hugging Face hub. A path that
            exists wins over an id on the hub; a `Path` is never an id.
        split: `"train"`, `"validation"` or, for a single file, `"all"`. By default `"all"` of a
            single file and `"validation"` of a source with splits of its own.
        progress: Called now and then with the number of stories read so far.

    Returns:
        The corpus; no story is held in memory.

    Raises:
        InputError: No such source or split, no story in it, or content that cannot be read.

    Example:
        >>> open_corpus("embedded").n_stories
        660
    """
    if split is not None and split not in SPLITS:
        raise InputError(f"unknown split {split!r}; choose one of {', '.join(SPLITS)}")
    name, split, read = _resolve(spec, split)
    digest = hashlib.sha256()
    n_stories = 0
    for n_stories, story in enumerate(read(), start=1):
        digest.update(_hashed(story))
        if progress is not None and n_stories % PROGRESS_STORIES == 0:
            progress(n_stories)
    if n_stories == 0:
        raise InputError(f"{spec} holds no stories (split {split!r}); name a corpus with text")
    return Corpus(name=name, split=split, sha256=digest.hexdigest(), n_stories=n_stories, read=read)


def local_path(spec: str | Path) -> Path:
    """A path as it is typed, `~` and all; nothing need be there.

    Raises:
        InputError: No file can be called that, or nobody.
    """
    try:
        path = Path(spec).expanduser()
        path.exists()
    except (RuntimeError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{spec} is no path ({reason}); name a file or a folder") from None
    return path


def in_validation(story: str) -> bool:
    """Whether a story of a single file is held out for validation (see the module's text)."""
    return int(hashlib.sha256(story.encode()).hexdigest()[:8], 16) % VALIDATION_ONE_IN == 0


def _resolve(spec: str | Path, split: str | None) -> tuple[str, str, ReadStories]:
    """The name, the split and the reader of what the user named."""
    if spec == EMBEDDED:
        shipped = Path(__file__).with_name("stories.txt")
        return EMBEDDED, split or "all", _file_reader(shipped, split or "all")
    path = local_path(spec)
    if path.is_dir():
        own = _own_split(spec, split)
        return shown(path.resolve().name), own, partial(read_stories, _split_file(path, own))
    if path.exists():
        require_suffix(path)
        return shown(path.name), split or "all", _file_reader(path, split or "all")
    if isinstance(spec, str) and hub.is_hub_id(spec):
        own = _own_split(spec, split)
        return spec, own, hub.open_hub(spec, own)
    raise InputError(
        f"{spec} does not exist; name a file ({', '.join(SUFFIXES)}), a folder with train.* and "
        f"validation.*, a dataset 'owner/name' on the Hugging Face hub, or {EMBEDDED!r}"
    )


def _own_split(spec: str | Path, split: str | None) -> str:
    if split == "all":
        raise InputError(f"{spec} has splits of its own; choose 'train' or 'validation'")
    return split or "validation"


def _split_file(folder: Path, split: str) -> Path:
    """The one file of a folder that holds a split."""
    there = sorted(folder.iterdir())
    found = [path for path in there if path.stem == split and path.suffix.lower() in SUFFIXES]
    if len(found) == 1:
        return file_in(folder, found[0].name)
    names = ", ".join(f"{split}{suffix}" for suffix in SUFFIXES)
    if found:
        both = " and ".join(path.name for path in found)
        raise InputError(f"{folder} holds {both}; keep one of them")
    raise InputError(f"{folder} holds no {split}.* ({names}); add it, or name a single file")


def _file_reader(path: Path, split: str) -> ReadStories:
    if split == "all":
        return partial(read_stories, path)
    sides = set[bool]()
    for story in read_stories(path):
        sides.add(in_validation(story))
        if len(sides) == 2:
            break
    if len(sides) == 1:
        empty = "train" if True in sides else "validation"
        raise InputError(
            f"{path} cannot be split: about one story in {VALIDATION_ONE_IN} goes to validation, "
            f"and {empty} would be empty; add stories, or name a folder with train.* and "
            "validation.*"
        )
    return partial(_one_side, path, held_out=split == "validation")


def _one_side(path: Path, *, held_out: bool) -> Iterator[str]:
    return (story for story in read_stories(path) if in_validation(story) == held_out)


def _hashed(story: str) -> bytes:
    return f"{story}\n{DELIMITER}\n".encode()
