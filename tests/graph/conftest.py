"""The sample nodes are registered while a module of these tests runs, and not while others do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agentrag.core.node import node
from tests.graph.sample_nodes import TYPES


@pytest.fixture(scope="module", autouse=True)
def _test_nodes() -> Iterator[None]:
    for name, kind in TYPES.items():
        node(name)(kind)
    yield
    for name in TYPES:
        del node[name]
