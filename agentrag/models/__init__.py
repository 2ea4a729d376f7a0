"""Clients of chat models and embedders, the local runtime, and the catalogue of model files."""
