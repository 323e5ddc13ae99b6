"""Logit lens: what each place inside a stage would predict if the model stopped there."""

from lt_interp.methods.logit_lens.analysis import logit_lens

__all__ = ["logit_lens"]
