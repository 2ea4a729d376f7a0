"""What every registered node must keep."""

import pytest
from pydantic import ValidationError

from agentrag.core.channels import STANDARD
from agentrag.core.node import Node, node

EXAMPLES: dict[str, dict[str, object]] = {"generate": {"prompt": "answer/grounded"}}


def example(name: str) -> Node:
    return node[name].model_validate(EXAMPLES.get(name, {}))


BUILT_IN = [name for name in node.names() if node[name].__module__.startswith("agentrag.")]


@pytest.mark.parametrize("name", BUILT_IN)
def test_settings_are_frozen_and_closed(name: str) -> None:
    made = example(name)
    with pytest.raises(ValidationError):
        type(made).model_validate({**EXAMPLES.get(name, {}), "no_such_setting": 1})
    if type(made).model_fields:
        field = next(iter(type(made).model_fields))
        with pytest.raises(ValidationError):
            setattr(made, field, getattr(made, field))


@pytest.mark.parametrize("name", BUILT_IN)
def test_it_says_what_it_reads_and_writes_in_known_channels(name: str) -> None:
    made = example(name)
    assert made.writes() <= STANDARD.keys() | made.channels.keys()
    assert made.reads() <= STANDARD.keys() | made.channels.keys()
    assert made.writes()


@pytest.mark.parametrize("name", BUILT_IN)
def test_it_has_a_schema_and_a_docstring_that_states_its_cost(name: str) -> None:
    assert node[name].model_json_schema()["additionalProperties"] is False
    assert "Cost:" in (node[name].__doc__ or "")
