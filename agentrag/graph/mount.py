"""A compiled LangGraph graph, or anything with `ainvoke`, as a node of ours. Knows nothing of LangGraph."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from contextvars import Context
from functools import cache
from typing import Any, ClassVar, Protocol

from pydantic import Field, TypeAdapter, ValidationError, field_validator
from pydantic_core import to_jsonable_python

from agentrag.core.calls import Effect
from agentrag.core.channels import STANDARD, State
from agentrag.core.deps import Deps
from agentrag.core.errors import RunError
from agentrag.core.node import Node
from agentrag.core.sizes import Calls, Sizes

_INTERRUPT = "__interrupt__"
_CODEC: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


class Invocable(Protocol):
    """What can be mounted."""

    def ainvoke(self, state: Any, /) -> Awaitable[Any]:
        """Run on a mapping and return a mapping."""
        ...


class Mounted(Node):
    """Run a foreign graph; made by `mount`.

    Reads and writes the channels that it was given. Cost: one outward call, whatever the foreign graph does inside.
    """

    foreign: ClassVar[bool] = True

    graph: Any = Field(exclude=True, repr=False)
    takes: Mapping[str, str]
    gives: Mapping[str, str] = Field(min_length=1)
    target: str
    effect: Effect

    @field_validator("gives")
    @classmethod
    def _one_writer(cls, gives: Mapping[str, str]) -> Mapping[str, str]:
        if len(set(gives.values())) < len(gives):
            raise ValueError("two outputs go to one channel")
        return gives

    def reads(self) -> frozenset[str]:
        return frozenset(self.takes.values())

    def writes(self) -> frozenset[str]:
        return frozenset(self.gives.values())

    async def __call__(self, state: State, deps: Deps) -> State:
        request = _plain({name: state[channel] for name, channel in self.takes.items()}, "input")

        async def work(_: str) -> dict[str, Any]:
            return self._named(await _alone(self.graph, request))

        given = await deps.tool(self.target, request, work, _CODEC, self.effect)
        return {channel: _typed(channel, given[name]) for name, channel in self.gives.items()}

    def _named(self, result: Any) -> dict[str, Any]:
        """The outputs that are wanted, as JSON data."""
        if not isinstance(result, Mapping):
            raise RunError(f"{self.target} gave {type(result).__name__} instead of a mapping")
        if _INTERRUPT in result:
            raise RunError(f"{self.target} waits for a person; ask with ask_human in the graph that mounts it")
        if missing := sorted(self.gives.keys() - result.keys()):
            raise RunError(f"{self.target} gave no '{missing[0]}'; it gave {', '.join(map(str, result)) or 'nothing'}")
        return _plain({name: result[name] for name in self.gives}, "output")

    def cost(self, sizes: Sizes) -> Calls:
        return Calls(other=1)


def mount(
    compiled: Invocable,
    *,
    in_: Mapping[str, str],
    out: Mapping[str, str],
    name: str = "langgraph",
    effect: Effect = "read",
) -> Mounted:
    """A node that runs a compiled LangGraph graph as one outward call, which a resumed run does not make again.

    It runs apart from the run that mounts it: it sees none of that run's configuration, and keeps its own state only if it
    was compiled with a checkpointer. Such a node has no name for files, so its graph cannot be written as YAML.

    Args:
        compiled: Anything with `ainvoke`.
        in_: By key of its input, the channel here whose value it is given, as JSON data.
        out: By key of its result, the channel here that it is written to. Values must be JSON data, or become it as
            dataclasses and pydantic models do; those of standard channels are checked and made into their type. Other
            channels are declared in `Graph(channels=...)`.
        name: What the journal calls it. Change it when the foreign graph changes, for then its answers do too.
        effect: What it does to the world: "none" where equal inputs have equal results, "write" where it changes something.

    >>> class Shout:
    ...     async def ainvoke(self, state, /):
    ...         return {"text": state["text"].upper()}
    >>> sorted(mount(Shout(), in_={"text": "question"}, out={"text": "answer"}).writes())
    ['answer']
    """
    return Mounted(graph=compiled, takes=in_, gives=out, target=f"mount/{name}", effect=effect)


async def _alone(graph: Invocable, request: dict[str, Any]) -> Any:
    """Run in an empty context: in ours, LangGraph would take it for a sub-graph of the run and write into its checkpoints."""

    async def invoke() -> Any:
        return await graph.ainvoke(request)

    return await asyncio.create_task(invoke(), context=Context())


def _plain(values: dict[str, Any], what: str) -> dict[str, Any]:
    plain = {}
    for name, value in values.items():
        try:
            plain[name] = to_jsonable_python(value, inf_nan_mode="null")
        except ValueError as error:
            raise RunError(f"{what} '{name}' is not JSON data: {error}") from error
    return plain


def _typed(channel: str, value: Any) -> Any:
    if channel not in STANDARD:
        return value
    try:
        return _adapter(channel).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, (channel, *first["loc"])))
        raise RunError(f"{value!r:.60} does not fit channel '{channel}': {place}: {first['msg']}") from error


@cache
def _adapter(channel: str) -> TypeAdapter[Any]:
    return TypeAdapter(STANDARD[channel].type)
