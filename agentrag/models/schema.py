"""Replies that must satisfy a JSON Schema: constrained by the server where it can, held to it here, repaired once."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from agentrag.core.errors import ModelError
from agentrag.core.exchange import may_exchange
from agentrag.core.types import ChatRequest, Completion, Message
from agentrag.models.cost import after

_REPAIR = (
    "That reply does not satisfy the JSON Schema: {fault}\n"
    "Reply again with one JSON value that satisfies it, and nothing else. The JSON Schema:\n{schema}"
)


def strict(schema: Mapping[str, Any]) -> bool:
    """Whether a schema has the form that OpenAI's strict decoding demands: closed objects with all properties required."""
    if schema.get("type") == "object" or "properties" in schema:
        closed = schema.get("additionalProperties") is False
        if not closed or set(schema.get("required", ())) != set(schema.get("properties", {})):
            return False
    return all(strict(part) for value in schema.values() for part in _parts(value))


def _parts(value: object) -> list[Mapping[str, Any]]:
    """The sub-schemas in a keyword's value: itself, those of a list, or those of a table of names."""
    if isinstance(value, Mapping):
        named = [part for part in value.values() if isinstance(part, Mapping)]
        return [value] if "type" in value or not named else named
    return [part for part in value if isinstance(part, Mapping)] if isinstance(value, list) else []


def fault_of(text: str, schema: Mapping[str, Any]) -> str | None:
    """Say in one line why `text` does not satisfy `schema`; None where it does.

    Raises:
        ValueError: The schema itself is wrong.
    """
    from jsonschema import Draft202012Validator, SchemaError  # lazy: only requests with a schema need it

    try:
        value = json.loads(text)
    except ValueError as error:
        return f"not JSON ({error})"
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise ValueError(f"the request's JSON Schema is wrong: {error.message}") from error
    fault = next(Draft202012Validator(schema).iter_errors(value), None)
    return None if fault is None else f"{fault.json_path}: {fault.message}"[:300]


async def held_to_schema(
    request: ChatRequest, schema: Mapping[str, Any], ask: Callable[[ChatRequest], Awaitable[Completion]], who: str
) -> Completion:
    """Ask; where the reply does not satisfy `schema`, show the model its fault and ask once more.

    Cost: one call, two where the first reply fails; the usage is that of both.

    Raises:
        ModelError: The second reply fails too, the budget has no room for one, or a reply was cut at `max_tokens`.
    """
    first = await ask(request)
    fault = fault_of(first.text, schema)
    if fault is None:
        return first
    with after(first.usage):
        _refuse_cut(first, request, who)
        repair = _REPAIR.format(fault=fault, schema=json.dumps(schema, ensure_ascii=False))
        messages = (*request.messages, Message("assistant", first.text), Message("user", repair))
        repaired = replace(request, messages=messages)
        if not may_exchange(repaired, repair=True):
            raise ModelError(f"{who} did not keep to the JSON Schema, and the budget has no room to tell it: {fault}")
        second = await ask(repaired)
    spent = first.usage + second.usage
    fault = fault_of(second.text, schema)
    if fault is not None:
        with after(spent):
            _refuse_cut(second, request, who)
            raise ModelError(f"{who} did not keep to the JSON Schema, not even when told what was wrong: {fault}")
    return replace(second, usage=spent)


def _refuse_cut(completion: Completion, request: ChatRequest, who: str) -> None:
    if completion.finish == "length":
        cut = f"{who} was cut at max_tokens={request.max_tokens} before its JSON was complete. Raise max_tokens."
        raise ModelError(cut)
