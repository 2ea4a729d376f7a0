"""A run's record, read with its graph at hand: what changed, what is replayed, the tree of its steps, answers of people."""
