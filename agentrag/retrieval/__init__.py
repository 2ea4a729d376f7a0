"""Stores, indexes, fusion and the collection that joins them."""
