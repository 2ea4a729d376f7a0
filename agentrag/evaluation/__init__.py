"""Data sets, halves, metrics with intervals, and the evaluation run."""
