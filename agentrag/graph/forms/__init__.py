"""The forms that a graph is written in or shown in: Python, YAML, JSON Schema, a drawing."""
