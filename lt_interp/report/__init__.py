"""Pages: saved results in, figures and markdown out. Nothing here loads a model."""
