"""Expressions in CEL over a graph's channels and measures: names and types are checked when a graph is loaded.

An expression may read a channel only where every path before it wrote that channel; there is no test for "was it
written", because such a test would have a different meaning in each way of running. `has(x.field)` keeps CEL's meaning:
it tells whether a field that may be None has a value.

CEL calls no Python: a call of a measure is a variable to it, which has the value of the measure when it is evaluated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isnan
from typing import Any, Literal

from cel_expr_python import cel

from agentrag.core.budget import ENDLESS, Spend
from agentrag.core.channels import Channel, State
from agentrag.core.errors import RunError, unknown
from agentrag.core.sizes import UNBOUNDED
from agentrag.graph.cel.faults import UNDECLARED, Fault, Source
from agentrag.graph.cel.measures import Measure, measure
from agentrag.graph.cel.text import FORMS, blanked, bound_names, plain_calls, words
from agentrag.graph.cel.types import CelTypes, Convert, cel_types
from agentrag.graph.channels import type_text
from agentrag.graph.values.signatures import accepted_text

Result = Literal["bool", "number"]
MAX_CHARACTERS = 1000
_FEW = 15
"""So many errors CEL tells surely; it stops soon after."""
_CEL_TYPES = frozenset({"bool", "bytes", "double", "dyn", "int", "list", "map", "null_type", "string", "type", "uint"})
"""Names that mean a type in CEL: a channel of such a name cannot be read, only measured."""
_RESULTS: Mapping[Result, tuple[tuple[Any, ...], str]] = {
    "bool": ((cel.Type.BOOL,), "true or false"),
    "number": ((cel.Type.INT, cel.Type.DOUBLE), "a number"),
}
_MEASURED = {bool: cel.Type.BOOL, int: cel.Type.INT, float: cel.Type.DOUBLE}
_NO_VALUE = (TypeError, ValueError, RuntimeError, AttributeError, KeyError, RunError)


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of each unit of a budget, as expressions see it; `UNBOUNDED` of one that has no limit."""

    calls: int
    passages: int
    tokens: int
    usd: float
    seconds: float

    @classmethod
    def of(cls, left: Spend) -> Left:
        """The numbers that expressions may see: whole ones rounded down."""
        calls, passages, tokens, usd, seconds = (min(max(part, 0.0), UNBOUNDED) for part in left)
        return cls(int(calls), int(passages), int(tokens), float(usd), float(seconds))


@dataclass(frozen=True, slots=True)
class Budget:
    """The budget of the run, as expressions see it."""

    left: Left


BUDGET = "budget"
"""Its name in expressions."""
UNLIMITED = Budget(Left.of(ENDLESS))


class ExpressionError(ValueError):
    """An expression is wrong; `faults` says where and how."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self.faults = faults
        super().__init__("; ".join(fault.message for fault in faults))


@dataclass(frozen=True)
class MeasureCall:
    """A call of a measure in an expression; CEL sees it as the variable."""

    measure: Measure
    channel: str
    variable: str

    @property
    def text(self) -> str:
        """The call as people write it."""
        return f"{self.measure.name}({self.channel})"

    def __call__(self, state: State, rounds: Sequence[State]) -> bool | float:
        """The value of the measure at a state; rounds before the channel was first written do not count."""
        return self.measure(state[self.channel], tuple(past[self.channel] for past in rounds if self.channel in past))


@dataclass(frozen=True)
class Expression:
    """A checked expression. Calling it costs about 3 us, about 5 us for each dataclass that it reads, and its measures.

    Attributes:
        budgeted: It reads what is left of the budget, which the state has under `BUDGET`, or which has no limit.
        reads: Channels that it uses, those under a measure included.
        measured: Channels under a measure.
    """

    text: str
    reads: frozenset[str]
    measured: frozenset[str]
    budgeted: bool
    _result: Result
    _compiled: Any
    _convert: Mapping[str, Convert]
    _calls: tuple[MeasureCall, ...]

    def __call__(self, state: State, rounds: Sequence[State] = ()) -> bool | float:
        """The value: true or false, or for a number always a float.

        Args:
            state: The channels now.
            rounds: The channels at the ends of the complete rounds before, of the innermost loop, oldest first.

        Raises:
            RunError: It has no value for this state, e.g. an index beyond the end of a list.
        """
        try:
            if self.budgeted and BUDGET not in state:
                state = {**state, BUDGET: UNLIMITED}
            data = {name: convert(state[name]) for name, convert in self._convert.items()}
            for call in self._calls:
                data[call.variable] = call(state, rounds)
            value = self._compiled.eval(data=data).value()
        except _NO_VALUE as error:
            raise self._failed(error) from error
        if self._result == "bool" and isinstance(value, bool):
            return value
        if self._result == "number" and isinstance(value, (int, float)) and not isnan(value):
            return float(value)
        raise self._failed(value)

    def measures(self, state: State, rounds: Sequence[State] = ()) -> dict[str, bool | float]:
        """The value of each measure by its text, e.g. {"novelty(passages)": 0.2}; for what a run records.

        Raises:
            RunError: A measure failed.
        """
        try:
            return {call.text: call(state, rounds) for call in self._calls}
        except _NO_VALUE as error:
            raise self._failed(error) from error

    def _failed(self, why: object) -> RunError:
        return RunError(f"'{self.text}' cannot be evaluated: {' '.join(str(why).split())}")


def compile_expression(text: str, channels: Mapping[str, Channel], result: Result = "bool") -> Expression:
    """Check an expression against the channels of its graph and make it ready to run.

    Args:
        text: CEL over the channels and `MEASURE(CHANNEL)`.
        channels: All channels of the graph, by name.
        result: "bool" for a condition, "number" for what compares rounds.

    Raises:
        ExpressionError: Syntax, a name or a type is wrong, or the result is not what it should be.
    """
    if not text.strip():
        raise ExpressionError((Fault(0, "is empty"),))
    if len(text) > MAX_CHARACTERS:
        raise ExpressionError((Fault(0, f"is longer than {MAX_CHARACTERS} characters"),))
    if BUDGET in text and BUDGET not in channels:
        channels = {**channels, BUDGET: Channel(Budget)}
    masked, calls, faults = _measured(text, channels) if "(" in text else (text, (), [])
    kinds = tuple(sorted(((name, channel.type) for name, channel in channels.items()), key=lambda item: item[0]))
    env = _environment(kinds, tuple((call.variable, call.measure.result) for call in calls))
    try:
        compiled = env.cel.compile(masked)
    except RuntimeError as error:
        faults += Source(masked, channels, env.types, {call.variable: call.text for call in calls}).faults(str(error))
    else:
        faults += _unlike(result, compiled.return_type())
    if faults:
        raise ExpressionError(tuple(sorted(faults, key=lambda fault: fault.offset)))
    names = _names(masked) & channels.keys()
    measured = frozenset(call.channel for call in calls)
    convert = {name: env.convert[name] for name in names}
    reads = frozenset(names - {BUDGET}) | measured
    return Expression(text, reads, measured, BUDGET in names, result, compiled, convert, calls)


def _unlike(result: Result, kind: Any) -> list[Fault]:
    wanted, said = _RESULTS[result]
    return [] if kind in wanted else [Fault(0, f"should be {said}, but is {kind.name().lower()}")]


def _measured(text: str, channels: Mapping[str, Channel]) -> tuple[str, tuple[MeasureCall, ...], list[Fault]]:
    """The text with a variable in place of each call of a measure, those calls, and what is wrong with them."""
    found = words(text)
    plain = [call for call in plain_calls(found) if call.function not in FORMS and call.function in measure]
    calls: dict[str, MeasureCall] = {}
    faults, masked = [], text
    for call in plain:
        variable = f"{call.function}X{call.name}"  # no channel has a capital in its name
        calls[variable] = MeasureCall(measure[call.function], call.name, variable)
        masked = blanked(masked, call, variable)
        faults += [Fault(call.at, message) for message in _misuses(calls[variable], channels, bound_names(found))]
    faults += [Fault(word.start, unknown("name", word.text, channels)) for word in found if word.text in calls]
    return masked, tuple(calls.values()), faults


def _misuses(call: MeasureCall, channels: Mapping[str, Channel], bound: frozenset[str]) -> Iterator[str]:
    name, measured = call.channel, call.measure
    if name not in channels:
        yield unknown("channel", name, channels)
    elif name in bound:
        yield f"'{name}' is an item of a list here, and {measured.name}() takes the name of a channel; call the item otherwise"
    elif not measured.accepts(channels[name].type):
        kind = type_text(channels[name].type)
        yield f"{measured.name}() takes {accepted_text(measured.takes)}, but channel '{name}' is {kind}"


def _names(text: str) -> set[str]:
    """Names that an expression reads: those that CEL misses when nothing is declared. It tells of some 20 at a time."""
    found: set[str] = set()
    while True:
        try:
            _declaring(frozenset(found)).compile(text)
        except RuntimeError as error:
            missed = UNDECLARED.findall(str(error))
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


@lru_cache(maxsize=64)
def _environment(kinds: tuple[tuple[str, Any], ...], measured: tuple[tuple[str, type], ...]) -> _Environment:
    """Cost: about 1 ms, most of it in the first compilation; one serves all expressions of a graph with the same measures."""
    types = cel_types(kind for _, kind in kinds)
    known = {name: found for name, kind in kinds if name not in _CEL_TYPES and (found := types.of(kind))}
    variables = {name: found[0] for name, found in known.items()} | {name: _MEASURED[kind] for name, kind in measured}
    env = cel.NewEnv(types.pool, variables=variables)
    return _Environment(env, types, {name: found[1] for name, found in known.items()})
