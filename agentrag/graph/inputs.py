"""What a run begins with: its inputs, checked against the graph's declarations, defaults filled in."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from agentrag.core.channels import INPUT_TYPES, MOST_BYTES, STANDARD
from agentrag.core.errors import InputError, unknown
from agentrag.core.rendering import render
from agentrag.graph.spec import GraphSpec, InputSpec

_STRUCTURED = {"list[str]", "history", "object"}
_HALF = re.compile("[\ud800-\udfff]")  # what Python makes of an argument's bytes that are not UTF-8


def checked_inputs(spec: GraphSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of all inputs of a graph; values convert as pydantic does, e.g. mappings to turns of a conversation.

    Raises:
        InputError: An input is missing, unknown, of the wrong type, or not one of its values; all of them are named.
    """
    faults = [unknown("input", name, spec.inputs) for name in given if name not in spec.inputs]
    values = {}
    for name, declared in spec.inputs.items():
        if name not in given and declared.required:
            faults.append(f"Input '{name}' ({declared.type}) is missing.")
            continue
        try:
            values[name] = _checked(declared, given.get(name, declared.default))
            _refuse_long(values[name], input_bytes(spec, name))
        except ValueError as error:
            faults.append(f"Input '{name}': {error}.")
    if faults:
        raise InputError(f"Graph '{spec.name}': " + " ".join(faults))
    return values


def inputs_from_texts(spec: GraphSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    """Read texts of lists, conversations and objects as JSON; what is no text, and other texts, stay to be checked.

    Raises:
        InputError: Such a text is not JSON.
    """
    return {name: _from_text(spec, name, value) for name, value in given.items()}


def _from_text(spec: GraphSpec, name: str, value: Any) -> Any:
    declared = spec.inputs.get(name)
    if declared is None or declared.type not in _STRUCTURED or not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        what = f"input '{name}' is a {declared.type}, written as JSON; '{value}' is not JSON: {error}"
        raise InputError(what) from error


def input_bytes(spec: GraphSpec, name: str) -> int:
    """Most UTF-8 bytes of a text, or of an object as JSON."""
    declared, standard = spec.channels.get(name), STANDARD.get(name)
    return (declared and declared.bytes) or (standard.bytes if standard else MOST_BYTES)


def _refuse_long(value: Any, most: int) -> None:
    if isinstance(value, dict):
        size = len(to_json(value))
    elif isinstance(value, str) and 4 * len(value) > most:
        size = len(value.encode())
    else:
        return
    if size > most:
        raise ValueError(f"it has {size:,} bytes; at most {most:,} are allowed (`bytes` of the channel)")


def _checked(declared: InputSpec, value: Any) -> Any:
    try:
        checked = _adapter(declared.type).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        where = f" at {place}" if place else ""
        raise ValueError(f"{value!r:.60} is not of type {declared.type}{where}") from error
    if _HALF.search(render(checked)):
        raise ValueError("it holds bytes that are no text; give it in UTF-8")
    if declared.values is not None and checked not in declared.values:
        raise ValueError(f"{value!r:.60} is not one of {', '.join(map(str, declared.values))}")
    return checked


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(INPUT_TYPES[name])
