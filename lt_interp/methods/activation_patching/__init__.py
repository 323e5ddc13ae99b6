"""Activation patching: which activations carry the answer from one prompt to another.

Two prompts differ in a word or two and have different answers. A run of one prompt gets a piece of
the other's activations; how far the prediction moves towards the other's says what the piece
carries. Method and metrics: Zhang and Nanda, arXiv 2309.16042.
"""

from lt_interp.methods.activation_patching.analysis import activation_patching

__all__ = ["activation_patching"]
