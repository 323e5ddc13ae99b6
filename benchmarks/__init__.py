"""How fast the toolkit is: every figure a ratio to what one would use instead, from one run."""
