"""Data sets on disk, their halves, and their corpora as collections."""
