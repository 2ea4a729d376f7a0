"""Sample nodes for the steps, and one way to run a text."""

from __future__ import annotations

from tests.graph.conftest import _test_nodes

__all__ = ["_test_nodes"]
