"""All that can be known to be wrong with a graph before it runs."""
