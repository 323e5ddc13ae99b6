"""The article put to the test: its tables with our figures, what each part buys, its claims."""

from lt_interp.methods.article.analysis import article

__all__ = ["article"]
