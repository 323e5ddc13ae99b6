"""What every attention head looks at: heatmaps, scores over a corpus, and the article's claims."""

from lt_interp.methods.attention.analysis import attention

__all__ = ["attention"]
