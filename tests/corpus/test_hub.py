"""The hub source, through the real `datasets.load_dataset`, on local files of the hub's layout."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from lt_interp.corpus import hub, open_corpus
from lt_interp.errors import InputError

TRAIN = [f"Training story {i}." for i in range(2_345)]
VALIDATION = [f"Held-out story {i}.\n\nThe end." for i in range(12)]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep what `datasets` stores inside the test's folder, and its progress bars off."""
    import datasets
    from datasets import config

    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "hf_cache")
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A dataset repository laid out as `roneneldan/TinyStories` is: two shards and one."""
    folder = tmp_path / "owner" / "name"
    (folder / "data").mkdir(parents=True)
    shards = {"train-00000-of-00002": TRAIN[:2_000], "train-00001-of-00002": TRAIN[2_000:]}
    for name, texts in (shards | {"validation-00000-of-00001": VALIDATION}).items():
        parquet.write_table(pa.table({"text": texts}), folder / "data" / f"{name}.parquet")
    return folder


@pytest.fixture
def unplugged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub that refuses every connection, whatever network this machine has."""
    from datasets import config

    monkeypatch.setattr(config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(config, "HF_ENDPOINT", "http://127.0.0.1:9")


def test_load_dataset_gives_every_story_of_a_split_in_order(repository: Path) -> None:
    train = hub.load_split(str(repository), "train")
    assert list(train()) == list(train()) == TRAIN
    assert list(hub.load_split(str(repository), "validation")()) == VALIDATION


def test_a_hub_corpus_is_the_corpus_of_the_same_stories_on_disk(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The id goes through `open_corpus`; only the question to the hub and its address are ours."""
    load_split = hub.load_split
    monkeypatch.setattr(hub, "require_reachable", lambda dataset_id: None)
    monkeypatch.setattr(hub, "load_split", lambda name, split: load_split(str(repository), split))
    corpus = open_corpus("owner/name")
    (tmp_path / "same.txt").write_text("\n<|endoftext|>\n".join(VALIDATION))
    assert (corpus.name, corpus.split) == ("owner/name", "validation")
    assert corpus.sha256 == open_corpus(tmp_path / "same.txt").sha256
    assert open_corpus("owner/name", split="train").n_stories == 2_345
    with pytest.raises(InputError, match=r"owner/name has splits of its own"):
        open_corpus("owner/name", split="all")


def test_without_network_there_is_one_line_at_once(unplugged: None) -> None:
    start = time.monotonic()
    with pytest.raises(InputError) as caught:
        open_corpus("roneneldan/TinyStories")
    assert time.monotonic() - start < 5
    message = str(caught.value)
    assert "\n" not in message
    for word in ("'roneneldan/TinyStories'", "cannot be reached", "HF_HUB_OFFLINE=1", "'embedded'"):
        assert word in message


def test_offline_mode_asks_nobody_and_misses_a_dataset_never_downloaded(
    unplugged: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datasets import config

    monkeypatch.setattr(config, "HF_HUB_OFFLINE", True)
    hub.require_reachable("owner/name")
    with pytest.raises(InputError, match=r"'owner/name' cannot be loaded \(.+\); check"):
        open_corpus("owner/name")


def test_a_name_the_hub_would_not_accept_is_refused() -> None:
    with pytest.raises(InputError, match="neither a local path nor a dataset"):
        hub.require_reachable("a--b/c..d")


def test_a_dataset_without_the_split_lists_its_splits(repository: Path) -> None:
    with pytest.raises(InputError, match="no split 'test'; its splits are train, validation"):
        hub.load_split(str(repository), "test")


def test_a_dataset_without_text_lists_its_columns(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"story": ["one"], "id": [1]}), tmp_path / "train.parquet")
    with pytest.raises(InputError, match=r"no 'text' column; its columns are 'story', 'id'"):
        hub.load_split(str(tmp_path), "train")


def test_a_text_that_is_missing_is_named_by_its_row(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"text": ["one", None]}), tmp_path / "train.parquet")
    stories = hub.load_split(str(tmp_path), "train")()
    assert next(stories) == "one"
    with pytest.raises(InputError, match=r"row 1: 'text' is of type NoneType"):
        next(stories)


def test_a_folder_that_holds_no_dataset_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as caught:
        hub.load_split(str(tmp_path / "empty"), "train")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("spec", ["roneneldan/TinyStories", "a/b-v1.5", "A_1/b.c-2.0"])
def test_names_of_datasets(spec: str) -> None:
    assert hub.is_hub_id(spec)


@pytest.mark.parametrize("spec", ["name", "./a", "../a", "/a/b", "a/b/c", "a/b.csv", "a b/c", "a/"])
def test_names_that_are_paths(spec: str) -> None:
    assert not hub.is_hub_id(spec)
