"""Conditions in CEL over a graph's channels: names and types are checked when a graph is loaded.

An expression may read a channel only where every path before it wrote that channel; there is no test for "was it
written", because such a test would have a different meaning in each way of running. `has(x.field)` keeps CEL's meaning:
it tells whether a field that may be None has a value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cel_expr_python import cel

from agentrag.core.channels import Channel, State
from agentrag.core.errors import RunError, unknown
from agentrag.graph.cel_types import CelTypes, Convert, cel_types
from agentrag.graph.channels import type_text

MAX_CHARACTERS = 1000
_ERROR = re.compile(r"^(?:INVALID_ARGUMENT: )?ERROR: <input>:(\d+):(\d+): (.*?)(?: \[INVALID_ARGUMENT\])?$", re.MULTILINE)
_UNDECLARED = re.compile(r"undeclared reference to '\.?(\w+)[\w.]*'")
_NO_FIELD = re.compile(r"undefined field '(\w+)' not found in struct '([\w.]+)'")
_FEW = 15
"""So many errors CEL tells surely; it stops soon after."""
_CEL_TYPES = frozenset({"bool", "bytes", "double", "dyn", "int", "list", "map", "null_type", "string", "type", "uint"})
"""Names that mean a type in CEL: a channel of such a name cannot be read in a condition."""
_OPERATOR = re.compile(r"overload for '([^']*[^'\w][^']*)'")


@dataclass(frozen=True)
class Fault:
    """What is wrong at character `offset` of an expression."""

    offset: int
    message: str


class ExpressionError(ValueError):
    """An expression is wrong; `faults` says where and how."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self.faults = faults
        super().__init__("; ".join(fault.message for fault in faults))


@dataclass(frozen=True)
class Expression:
    """A checked condition. Calling it costs about 3 us, and about 5 us for each dataclass that it reads.

    Attributes:
        reads: Channels that it uses.
    """

    text: str
    reads: frozenset[str]
    _compiled: Any
    _convert: Mapping[str, Convert]

    def __call__(self, state: State) -> bool:
        """Evaluate the condition.

        Raises:
            RunError: It has no value for this state, e.g. an index beyond the end of a list.
        """
        try:
            data = {name: convert(state[name]) for name, convert in self._convert.items()}
            value = self._compiled.eval(data=data).value()
        except (TypeError, ValueError, RuntimeError, AttributeError, KeyError) as error:
            raise RunError(f"'{self.text}' cannot be evaluated: {' '.join(str(error).split())}") from error
        if not isinstance(value, bool):
            raise RunError(f"'{self.text}' cannot be evaluated: {value}")
        return value


def compile_expression(text: str, channels: Mapping[str, Channel]) -> Expression:
    """Check a condition against the channels of its graph and make it ready to run.

    Raises:
        ExpressionError: Syntax, a name or a type is wrong, or the result is not true or false.
    """
    if not text.strip():
        raise ExpressionError((Fault(0, "is empty"),))
    if len(text) > MAX_CHARACTERS:
        raise ExpressionError((Fault(0, f"is longer than {MAX_CHARACTERS} characters"),))
    env = _environment(tuple(sorted(((name, channel.type) for name, channel in channels.items()), key=lambda item: item[0])))
    try:
        compiled = env.cel.compile(text)
    except RuntimeError as error:
        raise ExpressionError(tuple(_faults(text, str(error), channels, env.types))) from None
    if compiled.return_type() != cel.Type.BOOL:
        raise ExpressionError((Fault(0, f"should be true or false, but is {compiled.return_type().name().lower()}"),))
    reads = _names(text) & channels.keys()
    return Expression(text, frozenset(reads), compiled, {name: env.convert[name] for name in reads})


def _names(text: str) -> set[str]:
    """Names that an expression reads: those that CEL misses when nothing is declared. It tells of some 20 at a time."""
    found: set[str] = set()
    while True:
        try:
            _declaring(frozenset(found)).compile(text)
        except RuntimeError as error:
            missed = _UNDECLARED.findall(str(error))
            if found.issuperset(missed):
                return found
            found.update(missed)
            if len(missed) < _FEW:
                return found
        else:
            return found


@lru_cache(maxsize=4)
def _declaring(names: frozenset[str]) -> Any:
    return cel.NewEnv(variables=dict.fromkeys(names, cel.Type.DYN))


@dataclass(frozen=True)
class _Environment:
    """What CEL knows of the channels of a graph."""

    cel: Any
    types: CelTypes
    convert: Mapping[str, Convert]


@lru_cache(maxsize=32)
def _environment(kinds: tuple[tuple[str, Any], ...]) -> _Environment:
    """Cost: 0.5 ms, most of it in the first condition that is compiled; one serves all conditions of a graph."""
    types = cel_types(kind for _, kind in kinds)
    known = {name: found for name, kind in kinds if name not in _CEL_TYPES and (found := types.of(kind))}
    env = cel.NewEnv(types.pool, variables={name: found[0] for name, found in known.items()})
    return _Environment(env, types, {name: found[1] for name, found in known.items()})


def _faults(text: str, report: str, channels: Mapping[str, Channel], types: CelTypes) -> list[Fault]:
    starts = [0] + [match.end() for match in re.finditer("\n", text)]
    found = []
    for line, column, message in _ERROR.findall(report):
        offset = starts[min(int(line), len(starts)) - 1] + int(column) - 1
        if "*error*" not in message:  # only follows from another one
            found.append(Fault(min(offset, len(text) - 1), _told(message, channels, types)))
    if "recursion limit" in report:
        return [Fault(0, "is nested too deep")]
    return found or [Fault(0, " ".join(report.split()))]


def _told(message: str, channels: Mapping[str, Channel], types: CelTypes) -> str:
    """What CEL says, in the words of this language."""
    if match := _UNDECLARED.search(message):
        name = match[1]
        if name not in channels:
            return unknown("name", name, channels)
        return f"channel '{name}' is {type_text(channels[name].type)}, which conditions cannot read"
    if match := _NO_FIELD.search(message):
        return unknown("field", match[1], types.fields(match[2]))
    message = message.split(" expecting {")[0].replace("mismatched input", "unexpected").replace("'<EOF>'", "end")
    return _OPERATOR.sub(lambda match: f"overload for '{re.sub('[_@]', '', match[1])}'", message)
