"""From text to token rows: where stories come from, how they are encoded, how they are cut."""

from lt_interp.corpus.sources import Corpus, open_corpus
from lt_interp.corpus.windows import Rows, open_rows

__all__ = ["Corpus", "Rows", "open_corpus", "open_rows"]
