"""Expressions: CEL over channels, with measures over the rounds of a loop."""
