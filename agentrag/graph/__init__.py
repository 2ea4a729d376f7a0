"""The graph language: spec, loader with line numbers, checks, interpreter."""
