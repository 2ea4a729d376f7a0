"""Registries are explicit and loud."""

import pytest

from agentrag.core.errors import UnknownNameError
from agentrag.core.registry import Registry


def test_an_unknown_name_is_answered_with_the_nearest_and_all_known() -> None:
    shapes = Registry[int]("shape")
    shapes("square")(4)
    shapes("triangle")(3)
    with pytest.raises(UnknownNameError, match=r"Unknown shape 'sqare'\. Did you mean 'square'\? Known: square, triangle\."):
        shapes["sqare"]


def test_a_name_cannot_be_registered_twice() -> None:
    shapes = Registry[int]("shape")
    shapes("square")(4)
    with pytest.raises(ValueError, match="shape 'square' is already registered: 4"):
        shapes("square")(5)


def test_built_in_nodes_are_found_through_the_entry_point_that_plugins_use() -> None:
    from agentrag.core.node import node

    assert {"retrieve", "generate", "cite"} <= set(node.names())
