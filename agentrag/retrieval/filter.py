"""`where` conditions on metadata, in Chroma's form: checked once here, so that every store takes and means the same.

`{"lang": "en"}`, `{"year": {"$gte": 2020}}`, `{"$and": [..., ...]}`, `{"$or": [..., ...]}`. Operators: $eq $ne $gt $gte $lt
$lte $in $nin. Several keys in one mapping all have to hold. Numbers compare as numbers, whether whole or not; texts and
booleans only equal their like. A missing key satisfies $ne and $nin, as in Chroma, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentrag.core.errors import StoreError, unknown
from agentrag.core.types import Metadata, Scalar

Where = Mapping[str, Any]
Test = Callable[[Metadata], bool]

_NUMERIC: Mapping[str, Callable[[float, float], bool]] = {
    "$gt": lambda value, bound: value > bound,
    "$gte": lambda value, bound: value >= bound,
    "$lt": lambda value, bound: value < bound,
    "$lte": lambda value, bound: value <= bound,
}
_LISTS = ("$in", "$nin")
_OPERATORS = ("$eq", "$ne", *_NUMERIC, *_LISTS)


def normalised(where: Where) -> dict[str, Any] | None:
    """Write conditions as Chroma takes them: one operator per mapping, $and and $or over two or more. None: no condition.

    Raises:
        StoreError: They are not such conditions; the text says what is wrong.
    """
    parts = [part for key, value in where.items() for part in _parts(key, value)]
    return _all_of(parts)


def matcher(where: Where | None) -> Test:
    """Return the function that tells whether metadata satisfies the conditions.

    Raises:
        StoreError: As `normalised`.

    >>> matcher({"year": {"$gte": 2020}, "lang": "en"})({"year": 2021.5, "lang": "en"})
    True
    """
    conditions = normalised(where) if where else None
    return _test(conditions) if conditions else lambda metadata: True


def _parts(key: str, value: Any) -> list[dict[str, Any]]:
    if key in ("$and", "$or"):
        if not isinstance(value, Sequence) or isinstance(value, str) or not value:
            raise StoreError(f"where: {key} takes a list of conditions, not {value!r}.")
        inner = [normalised(_mapping(item)) for item in value]
        if key == "$and":
            return [part for part in inner if part]
        return [_any_of(inner)] if all(inner) else []
    if key.startswith("$"):
        raise StoreError("where: " + unknown("operator", key, ("$and", "$or")))
    if not isinstance(value, Mapping):
        return [{key: {"$eq": _scalar(key, value)}}]
    return [{key: {operator: _operand(key, operator, operand)}} for operator, operand in value.items()]


def _mapping(item: Any) -> Where:
    if not isinstance(item, Mapping):
        raise StoreError(f"where: a condition is a mapping such as {{'lang': 'en'}}, not {item!r}.")
    return item


def _all_of(parts: list[dict[str, Any]]) -> dict[str, Any] | None:
    return {"$and": parts} if len(parts) > 1 else parts[0] if parts else None


def _any_of(parts: list[dict[str, Any] | None]) -> dict[str, Any]:
    known = [part for part in parts if part]
    return {"$or": known} if len(known) > 1 else known[0]


def _operand(key: str, operator: str, operand: Any) -> Any:
    if operator not in _OPERATORS:
        raise StoreError(f"where: {key}: " + unknown("operator", operator, _OPERATORS))
    if operator in _NUMERIC:
        if _kind(operand) != "number":
            raise StoreError(f"where: {key}: {operator} takes a number, not {operand!r}.")
        return operand
    if operator not in _LISTS:
        return _scalar(key, operand)
    values = list(operand) if isinstance(operand, (list, tuple, set, frozenset)) else []
    if not values or len({_kind(value) for value in values}) > 1 or _kind(values[0]) == "":
        raise StoreError(f"where: {key}: {operator} takes a list of texts, of numbers or of booleans, not {operand!r}.")
    # Chroma refuses lists of whole and other numbers together
    return [float(value) for value in values] if any(isinstance(value, float) for value in values) else values


def _scalar(key: str, value: Any) -> Scalar:
    if not isinstance(value, (str, int, float)):
        raise StoreError(f"where: {key}: a value is a text, a number or a boolean, not {value!r}.")
    return value


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, (int, float)) else "text" if isinstance(value, str) else ""


def _test(conditions: Where) -> Test:
    ((key, value),) = conditions.items()
    if key == "$and":
        tests = [_test(item) for item in value]
        return lambda metadata: all(test(metadata) for test in tests)
    if key == "$or":
        tests = [_test(item) for item in value]
        return lambda metadata: any(test(metadata) for test in tests)
    ((operator, operand),) = value.items()
    return _compare(key, operator, operand)


def _compare(key: str, operator: str, operand: Any) -> Test:
    if operator in _NUMERIC:
        holds = _NUMERIC[operator]
        return lambda metadata: _kind(value := metadata.get(key)) == "number" and holds(value, operand)  # type: ignore[arg-type]  # the kind says so
    wanted = {(_kind(value), value) for value in (operand if operator in _LISTS else [operand])}
    if operator in ("$eq", "$in"):
        return lambda metadata: (_kind(value := metadata.get(key)), value) in wanted
    return lambda metadata: (_kind(value := metadata.get(key)), value) not in wanted
