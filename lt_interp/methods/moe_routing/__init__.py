"""Routing of the experts: what each gets, what that tells, and what a random router would do."""

from lt_interp.methods.moe_routing.analysis import moe_routing

__all__ = ["moe_routing"]
