"""Measurements: what the README says of speed, size and quality comes from here."""
