"""Asking a graph or a retriever the questions of a sample."""
