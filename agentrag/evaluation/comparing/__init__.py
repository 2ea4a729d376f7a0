"""Runs against each other, question by question: what differs, how sure that is, and in words."""
