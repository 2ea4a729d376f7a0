"""What a person may reply to a question: the type that a JSON Schema asks for, and why a reply is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from agentrag.core.channels import OBJECT
from agentrag.core.errors import Question, unknown

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

Schema = Mapping[str, Any]
_KINDS: Mapping[Any, Any] = {"string": str, "integer": int, "number": float, "boolean": bool, "object": OBJECT}
_SHOWN = 300
_MOST_WHOLE = 2**63 - 1


def reply_type(schema: Schema | None) -> Any:
    """The type of the replies that a schema allows, as a channel holds them; None where the schema does not say one.

    >>> reply_type({"type": "integer", "minimum": 1}), reply_type(None), reply_type({"enum": [1, "a"]})
    (<class 'int'>, <class 'str'>, None)
    """
    if schema is None:
        return str
    kind = schema.get("type")
    if kind == "array":
        items = schema.get("items")
        return list[str] if isinstance(items, Mapping) and items.get("type") == "string" else None
    return _KINDS.get(kind) if isinstance(kind, str) else None


def schema_faults(schema: Schema) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield what is wrong with a JSON Schema (Draft 2020-12), each with its place in it."""
    from jsonschema import Draft202012Validator  # lazy: only questions with a schema need it

    metaschema = Draft202012Validator(Draft202012Validator.META_SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)
    found = [(tuple(error.absolute_path), error.message) for error in metaschema.iter_errors(schema)]
    yield from found
    if not found:
        yield from _open_references(_validator(schema), schema, ())


def _open_references(validator: Any, part: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield the references that lead nowhere: no schema is ever fetched."""
    if isinstance(part, Mapping):
        entries: Any = part.items()
    else:
        entries = enumerate(part) if isinstance(part, list | tuple) else ()
    for key, value in entries:
        if key == "$ref" and isinstance(value, str):
            if not _leads(validator, value):
                yield (*path, key), f"'{value}' leads nowhere; a reference leads to a place in the same schema: #/$defs/NAME"
        else:
            yield from _open_references(validator, value, (*path, key))


def _leads(validator: Any, reference: str) -> bool:
    from referencing.exceptions import Unresolvable  # lazy: as above

    try:
        validator._resolver.lookup(reference)
    except Unresolvable:
        return False
    return True


def _validator(schema: Schema) -> Draft202012Validator:
    from jsonschema import Draft202012Validator  # lazy: as above
    from referencing import Registry

    empty: Registry[Any] = Registry()  # the default one would fetch what a schema refers to
    return Draft202012Validator(schema, registry=empty, format_checker=Draft202012Validator.FORMAT_CHECKER)


def accepted(question: Question, reply: Any) -> Any:
    """A reply as the channel takes it: a whole number where an integer is asked for, also where it came as 3.0.

    Raises:
        ValueError: It is no answer to the question; the text says what is expected.
    """
    if question.choices:
        if reply not in question.choices:
            raise ValueError(unknown("answer", str(reply), question.choices))
        return reply
    if question.schema is not None:
        try:
            reply = _fitting(question.schema, reply)
        except RecursionError:
            raise ValueError("the answer is nested too deeply.") from None
    elif not isinstance(reply, str):
        raise ValueError(f"a text is expected, not {_shown(reply)}.")
    elif not reply.strip():
        raise ValueError("the answer is empty.")
    _refuse_large(reply, question.bytes)
    return reply


def _fitting(schema: Schema, reply: Any) -> Any:
    from jsonschema.exceptions import best_match  # lazy: as above

    try:
        text = json.dumps(reply, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{_shown(reply)} is no JSON data: {error}") from error
    fault = best_match(_validator(schema).iter_errors(json.loads(text)))
    if fault is not None:
        where = "" if fault.json_path == "$" else f"{fault.json_path}: "
        raise ValueError(f"{where}{fault.message[:_SHOWN]}. Expected is JSON of the schema {_shown(dict(schema))}")
    kind = reply_type(schema)
    try:
        value = TypeAdapter(Any if kind is None else kind).validate_json(text)
    except ValidationError as error:
        raise ValueError(f"{_shown(reply)} does not fit: {error.errors()[0]['msg']}") from error
    if any(map(_too_large, _leaves(value))):
        raise ValueError(f"{_shown(reply)} is too large: a number has at most 64 bits.")
    return value


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping | list):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _leaves(part)
    else:
        yield value


def _too_large(value: Any) -> bool:
    if isinstance(value, int):
        return not -_MOST_WHOLE - 1 <= value <= _MOST_WHOLE
    return isinstance(value, float) and not isfinite(value)


def _refuse_large(reply: Any, most: int | None) -> None:
    if most is None:
        return
    for part in reply if isinstance(reply, list) else [reply]:
        try:
            size = len(part.encode() if isinstance(part, str) else to_json(part))
        except UnicodeEncodeError as error:
            raise ValueError("it holds bytes that are no text; give it in UTF-8") from error
        if size > most:
            raise ValueError(f"it has {size:,} bytes; at most {most:,} are allowed (`bytes` of the channel)")


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
