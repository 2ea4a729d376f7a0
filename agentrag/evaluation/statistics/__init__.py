"""Means, differences, and what chance may do to them."""
