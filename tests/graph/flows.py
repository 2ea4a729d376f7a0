"""Generated graphs over small nodes, whose values depend on all that a node can see and on where it runs.

A difference between two ways of running a graph (another state, another position, another order) shows in its outputs.
Nothing in them depends on time: of a race, all branches but the winner stand still.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from hypothesis import strategies as st
from pydantic import Field

from agentrag.core.channels import Channel, State
from agentrag.core.deps import Deps
from agentrag.core.errors import ModelError
from agentrag.core.node import Node
from agentrag.core.types import ChatRequest, Message, SearchRequest
from agentrag.graph.checks.names import findings
from agentrag.graph.spec import GraphSpec
from agentrag.graph.steps import Otherwise, Steps, walk
from agentrag.graph.writes import Writes
from agentrag.testing.fakes import ScriptedModel, fake_deps, passages


def word(*seen: Any) -> str:
    """One to four letters that depend on all that is given."""
    digest = hashlib.sha256(repr(seen).encode()).digest()
    return "".join("abc"[byte % 3] for byte in digest[: 1 + digest[-1] % 4])


def sight(state: State) -> list[Any]:
    """All that a node can see, in words that other processes would find too."""
    return [
        (name, [getattr(item, "id", item) for item in value] if isinstance(value, list) else value)
        for name, value in sorted(state.items())
    ]


class Small(Node):
    """Reads whatever has a value."""

    channels: ClassVar[Mapping[str, Channel]] = {
        "text": Channel(str, bytes=60, untrusted=True),
        "items": Channel(list[str], max=3, untrusted=True),
        "notes": Channel(list[str], merge="append_new", max=5, untrusted=True),
    }
    to: str = "text"

    def writes(self) -> frozenset[str]:
        return frozenset({self.to})


class Tell(Small):
    """Write a word."""

    async def __call__(self, state: State, deps: Deps) -> State:
        return {self.to: word(sight(state))}


class Gather(Small):
    """Write some words as a list."""

    to: str = "items"

    async def __call__(self, state: State, deps: Deps) -> State:
        return {self.to: [word(sight(state), number) for number in range(len(word(sight(state))))]}


class Ask(Small):
    """Ask the model one thing several times; the words of all answers are one text."""

    times: int = Field(1, ge=1, le=3)

    async def __call__(self, state: State, deps: Deps) -> State:
        request = ChatRequest((Message("user", word(sight(state))),), max_tokens=4, temperature=float(self.times > 1))
        replies = [await deps.chat("writer", request) for _ in range(self.times)]
        return {self.to: " ".join(reply.text for reply in replies)}


class Draw(Small):
    """Write a random word."""

    async def __call__(self, state: State, deps: Deps) -> State:
        return {self.to: word(await deps.seed())}


class Find(Small):
    """Search for the text."""

    to: str = "passages"

    async def __call__(self, state: State, deps: Deps) -> State:
        return {self.to: await deps.search("docs", SearchRequest(state["text"], 2))}


class Flaky(Ask):
    """Ask, and fail after it in the first attempts."""

    fails: int = 1
    retry: int = 2

    async def __call__(self, state: State, deps: Deps) -> State:
        told = await super().__call__(state, deps)
        if int(deps.step.partition("~")[2] or 1) <= self.fails:
            raise ModelError("busy", retryable=True, retry_after=0.0)
        return told


class Picky(Tell):
    """Fail for good at some sights."""

    async def __call__(self, state: State, deps: Deps) -> State:
        if word("picky", sight(state)) < "abc":
            raise ModelError("not this one")
        return await super().__call__(state, deps)


class Stall(Small):
    """Never end."""

    async def __call__(self, state: State, deps: Deps) -> State:
        await asyncio.sleep(3600)
        return {self.to: ""}


NODES: dict[str, Node] = {
    "tell": Tell(),
    "draft": Tell(out={"text": "draft"}),
    "gather": Gather(),
    "note": Gather(to="notes"),
    "ask": Ask(),
    "sample": Ask(times=3),
    "draw": Draw(),
    "find": Find(),
    "also": Find(out={"passages": "more"}),
    "flaky": Flaky(),
    "picky": Picky(),
    "stall": Stall(),
}
PROLOGUE = ["tell", "gather", "find"]
"""Writes what the generated steps read; `draft`, `notes`, `more` and `texts` are first written where chance has it."""
CHANNELS: dict[str, Any] = {
    "question": {"bytes": 60},
    "draft": {"type": "str", "bytes": 40},
    "said": {"type": "str", "bytes": 40},
    "texts": {"type": "list[str]", "max": 4},
    "passages": {"max": 3},
}
JOINS = {
    "text": ["vote", "first", "concat"],
    "items": ["concat", "first"],
    "notes": ["concat"],
    "passages": ["rrf", "concat"],
    "more": ["rrf"],
    "texts": ["concat"],
}
_WRITES = Writes({name: item.targets for name, item in NODES.items()})
_NAMES = sorted(NODES.keys() - {"stall", "picky"})
_ON_ERROR = st.sampled_from(["fail", "collect"])
_CONDITIONS = ["size(items) > 1", "text > 'b'", "size(text) < 3", "passages.exists(p, p.score > 0.9)", "question != text"]
_UNTIL = ["stable(text)", "novelty(items) < 0.7", "agreement(text) > 0.4", "size(text) == 4", "stable(passages) && text < 'b'"]
_BEST_BY = ["size(text)", "novelty(text)", "size(items) + size(passages)"]


def parsed(steps: list[Any]) -> Steps:
    """Steps as a graph holds them."""
    return Otherwise(otherwise=tuple(steps)).otherwise


@dataclass(frozen=True)
class Around:
    """What is around steps.

    Attributes:
        depth: How many steps may be inside one another.
        inner: They may run the other graph, which may ask a person.
        fan: They are in a `parallel` or an `each`.
        loop: They are in a `repeat`.
        asks: They may ask a person: not in a race, where all but the winner stand still.
    """

    depth: int = 3
    inner: bool = True
    fan: bool = False
    loop: bool = False
    asks: bool = True

    def below(self, **changed: bool) -> Around:
        """The same, one step further inside."""
        return replace(self, depth=self.depth - 1, **changed)


@st.composite
def flows(draw: st.DrawFn, around: Around) -> list[Any]:
    """Steps."""
    kinds = ["node"] * 4 + ["ask_human"] * around.asks
    if around.depth:
        kinds += ["choose", "repeat", "repeat", "parallel", "each"] + ["graph"] * around.inner + ["return"] * (not around.fan)
    made: list[Any] = []
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=3)):
        if kind == "node":
            made.append(draw(st.sampled_from([*_NAMES, "picky"] if around.fan else _NAMES)))
        elif kind == "ask_human":
            made.append({"ask_human": {"question": "{text} {draft?}?", "out": "said"}})
        elif kind == "graph":
            made.append({"graph": {"use": "inner", "in": {"question": "text"}, "out": {"text": "text"}}})
        else:
            made.append(draw(_BUILDERS[kind](around)))
    return made


@st.composite
def chooses(draw: st.DrawFn, around: Around) -> dict[str, Any]:
    inside = flows(around.below())
    conditions = draw(st.lists(st.sampled_from(_CONDITIONS + _UNTIL * around.loop), min_size=1, max_size=2, unique=True))
    ways = [{"when": when, "do": draw(inside)} for when in conditions]
    return {"choose": [*ways, {"otherwise": draw(st.one_of(st.just([]), inside))}]}


@st.composite
def returns(draw: st.DrawFn, around: Around) -> dict[str, Any]:
    ending = [*draw(flows(replace(around, depth=0))), {"return": draw(st.sampled_from([{}, {"text": "question"}]))}]
    return {"choose": [{"when": draw(st.sampled_from(_CONDITIONS)), "do": ending}, {"otherwise": []}]}


@st.composite
def repeats(draw: st.DrawFn, around: Around) -> dict[str, Any]:
    do = [*draw(flows(around.below(loop=True))), draw(st.sampled_from(["ask", "draw", "sample"])), "gather"]
    made: dict[str, Any] = {"do": do, "at_most": draw(st.sampled_from([3, 2, 1]))}
    if draw(st.booleans()):
        made["until"] = draw(st.sampled_from(_UNTIL))
    ends: list[Any] = ["return_best", "return_best", "return_best", draw(st.one_of(st.just([]), flows(around.below())))]
    made["on_exhausted"] = draw(st.sampled_from(ends + ["fail"] * ("until" in made)))
    if made["on_exhausted"] == "return_best" and (best_by := draw(st.sampled_from([*_BEST_BY, None]))):
        made["best_by"] = best_by
    return {"repeat": made}


@st.composite
def parallels(draw: st.DrawFn, around: Around) -> dict[str, Any]:
    wait, need = draw(st.sampled_from([("all", 0), ("all", 0), ("first", 1), ({"quorum": 2}, 2)]))
    inside = flows(around.below(fan=True, inner=around.inner and not need, asks=around.asks and not need))
    branches = {f"b{n}": draw(inside) for n in range(draw(st.integers(2, 3)))}
    for name in draw(st.permutations(sorted(branches)))[need:] if need else ():
        branches[name] = ["stall", *branches[name]]
    wrote = [_WRITES.perhaps(parsed(steps)) for steps in branches.values()]
    shared = {name for name in frozenset().union(*wrote) if sum(name in names for names in wrote) > 1}
    join = {name: draw(st.sampled_from(JOINS.get(name, ["first"]))) for name in sorted(shared)}
    return {"parallel": {"branches": branches, "join": join, "wait": wait, "on_error": "fail" if need else draw(_ON_ERROR)}}


@st.composite
def eaches(draw: st.DrawFn, around: Around) -> dict[str, Any]:
    collect = draw(st.sampled_from([{"text": "texts"}, {"passages": "passages"}, {"text": "items"}, {"item": "texts"}]))
    counts = {"at_most": draw(st.integers(1, 3)), "concurrency": draw(st.integers(1, 3)), "on_error": draw(_ON_ERROR)}
    do = draw(flows(around.below(fan=True, loop=False)))  # what is written inside is in no round of a loop outside
    return {"each": {"in": "items", "as": "item", "do": do, "collect": collect, **counts}}


_BUILDERS = {"choose": chooses, "repeat": repeats, "parallel": parallels, "each": eaches, "return": returns}


@st.composite
def graphs(draw: st.DrawFn, around: Around = Around()) -> GraphSpec:
    """A checked graph that may run another one."""
    inner = spec_of("inner", draw(flows(replace(around, depth=1, inner=False))))
    spec = spec_of("outer", draw(flows(around)), {"inner": inner})
    if wrong := findings(spec):
        raise ValueError(f"the generator made a wrong graph: {wrong}")
    return spec


def spec_of(name: str, flow: list[Any], graphs: Mapping[str, GraphSpec] | None = None) -> GraphSpec:
    """A graph of these steps, after those that write what they read."""
    whole = [*PROLOGUE, *flow]
    used = {step for _, step in walk(parsed(whole)) if isinstance(step, str)}
    nodes = {name: item for name, item in NODES.items() if name in used}
    parts = {"inputs": {"question": "str"}, "outputs": ["text", "items", "passages"], "channels": CHANNELS}
    return GraphSpec.model_validate(
        {"agentrag": 1, "name": name, "nodes": nodes, "flow": whole, "graphs": graphs or {}, **parts}
    )


def small_deps(**changed: Any) -> Deps:
    """Back ends whose every answer follows from what is asked."""
    model = ScriptedModel(lambda request: word(request.messages[-1].content))
    deps = fake_deps(model, passages("a", "b", "ab", "ba c", "a b c", "cc", "c b"))
    return replace(deps, **changed)
