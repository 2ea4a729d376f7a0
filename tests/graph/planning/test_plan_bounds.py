"""No run of a checked graph costs more than the worst case of its plan, and none that ends well less than the best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentrag.core.errors import RunError
from agentrag.core.events import Event, RunFinished
from agentrag.core.types import Usage
from agentrag.graph.checks.names import findings
from agentrag.graph.interpreter import Program, execute
from agentrag.graph.plan import plan
from agentrag.graph.planning.figures import Plan
from agentrag.graph.planning.prices import Price
from agentrag.graph.spec import GraphSpec
from agentrag.graph.steps import Otherwise, Steps, walk
from agentrag.graph.writes import Writes
from tests.graph.planning.plan_nodes import (
    ATTEMPTS,
    PROMPTS,
    Adversary,
    Ask,
    Cautious,
    Cut,
    Find,
    QuickLoop,
    Toss,
    adversarial_deps,
)

NODES = {
    "write": Ask(timeout=5, retry=2),
    "insist": Ask(times=3, max_tokens=7, timeout=100),
    "find": Find(k=4, timeout=5, retry=1),
    "rename": Find(k=2, out={"passages": "more"}, timeout=61),
    "cut": Cut(timeout=5),
    "note": Cut(to="notes", timeout=5),
    "toss": Toss(timeout=5, retry=3),
    "drop": Cautious(),
}
ASKED = [{"ask_human": {"question": "?", "out": name}} for name in ("text", "other")]
PROLOGUE = ["toss", "find", "rename", *ASKED, "cut"]
"""Writes what the generated steps read, all but `notes`, which loops clear."""
JOINS = {
    "text": ["vote", "first", "concat"],
    "flip": ["vote", "first"],
    "items": ["concat", "first"],
    "notes": ["concat"],
    "passages": ["rrf", "concat", "first"],
    "more": ["rrf"],
    "texts": ["concat"],
}
WRITES = Writes({name: item.targets for name, item in NODES.items()})
RETRIES = {name: item.retry for name, item in NODES.items()}
PRICE = Price(1.0, 2.0, ATTEMPTS)


def parsed(steps: list[Any]) -> Steps:
    """Steps as a graph holds them."""
    return Otherwise(otherwise=tuple(steps)).otherwise


@st.composite
def flows(draw: st.DrawFn, depth: int = 3, inner: bool = True, fan: bool = False) -> list[Any]:
    """Steps that read nothing that was not written before."""
    kinds = ["node"] * 3
    if depth:
        kinds += ["choose", "repeat", "parallel", "each"] + ["graph"] * inner + ["return"] * (not fan)
    made: list[Any] = []
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=3)):
        if kind == "node":
            made.append(draw(st.sampled_from(sorted(NODES))))
        elif kind == "graph":
            share = draw(st.sampled_from([{}, {}, {"share": 0.5}]))
            made.append({"graph": {"use": "inner", "in": {"question": "text"}, "out": {"text": draw(_TARGETS)}, **share}})
        else:
            made.append(draw(_BUILDERS[kind](depth - 1, inner, fan)))
    return made


_TARGETS = st.sampled_from(["text", "other"])


@st.composite
def chooses(draw: st.DrawFn, depth: int, inner: bool, fan: bool) -> dict[str, Any]:
    conditions = draw(
        st.lists(
            st.sampled_from(["flip", "size(items) > 2", "!flip", "budget.left.calls < 9"]), min_size=1, max_size=2, unique=True
        )
    )
    ways = [{"when": when, "do": draw(flows(depth, inner, fan))} for when in conditions]
    return {"choose": [*ways, {"otherwise": draw(st.one_of(st.just([]), flows(depth, inner, fan)))}]}


@st.composite
def returns(draw: st.DrawFn, depth: int, inner: bool, fan: bool) -> dict[str, Any]:
    ending = [*draw(flows(0, inner, fan)), {"return": draw(st.sampled_from([{}, {"text": "other"}]))}]
    return {"choose": [{"when": "flip", "do": ending}, {"otherwise": []}]}


@st.composite
def repeats(draw: st.DrawFn, depth: int, inner: bool, fan: bool) -> dict[str, Any]:
    loop: dict[str, Any] = {"do": draw(flows(depth, inner, fan)), "at_most": draw(st.sampled_from([1, 2, 3, 4]))}
    if draw(st.booleans()):
        loop["do"] = [*loop["do"], "toss"]
        loop["until"] = draw(st.sampled_from(["flip", "flip || stable(text)"]))
    ends: list[Any] = ["return_best", draw(flows(depth, inner, fan))] + ["fail"] * ("until" in loop)
    loop["on_exhausted"] = draw(st.sampled_from(ends))
    if loop["on_exhausted"] == "return_best" and draw(st.booleans()):
        loop["do"] = ["find", *loop["do"]]
        loop["best_by"] = "size(passages)"
    return {"repeat": loop}


@st.composite
def parallels(draw: st.DrawFn, depth: int, inner: bool, fan: bool) -> dict[str, Any]:
    branches = {f"b{n}": draw(flows(depth, inner, True)) for n in range(draw(st.integers(2, 3)))}
    wrote = [WRITES.perhaps(parsed(steps)) for steps in branches.values()]
    shared = {name for name in frozenset().union(*wrote) if sum(name in names for names in wrote) > 1}
    join = {name: draw(st.sampled_from(JOINS.get(name, ["first"]))) for name in sorted(shared)}
    wait = draw(st.sampled_from(["all", "first", {"quorum": 2}]))
    return {"parallel": {"branches": branches, "join": join, "wait": wait, "on_error": draw(_ON_ERROR)}}


@st.composite
def eaches(draw: st.DrawFn, depth: int, inner: bool, fan: bool) -> dict[str, Any]:
    collect = draw(st.sampled_from([{"text": "texts"}, {"passages": "passages"}, {"text": "items"}, {"item": "texts"}]))
    do = [*draw(flows(depth, inner, True)), "write", "find"]
    counts = {"at_most": draw(st.integers(1, 6)), "concurrency": draw(st.integers(1, 3))}
    return {"each": {"in": "items", "as": "item", "do": do, "collect": collect, "on_error": draw(_ON_ERROR), **counts}}


_ON_ERROR = st.sampled_from(["fail", "collect"])
_BUILDERS = {"choose": chooses, "repeat": repeats, "parallel": parallels, "each": eaches, "return": returns}


@st.composite
def graphs(draw: st.DrawFn) -> GraphSpec:
    """A checked graph that runs another one."""
    bounds = draw(st.fixed_dictionaries({"merge": st.sampled_from(["replace", "append_new"]), "max": st.integers(1, 9)}))
    inner = spec_of("inner", draw(flows(1, inner=False)), bounds)
    return spec_of("outer", draw(flows()), bounds, {"inner": inner})


def spec_of(name: str, flow: list[Any], bounds: Mapping[str, Any], graphs: Mapping[str, GraphSpec] | None = None) -> GraphSpec:
    """A graph of these steps, after those that write what they read."""
    whole = [*PROLOGUE, *flow]
    used = {step for _, step in walk(parsed(whole)) if isinstance(step, str)}
    channels = {
        "question": {"bytes": 40},
        "passages": {"bytes": 60, **bounds},
        "more": {"bytes": 50, "max": 3},
        "texts": {"type": "list[str]", "bytes": 20, "max": 4},
        "other": {"type": "str", "bytes": 30},
    }
    return GraphSpec.model_validate(
        {
            "agentrag": 1,
            "name": name,
            "inputs": {"question": "str", "style": {"type": "str", "default": "a", "values": ["a", "long one"]}},
            "outputs": ["text"],
            "channels": channels,
            "models": {"writer": "default"},
            "nodes": {name: item for name, item in NODES.items() if name in used},
            "flow": whole,
            "prompts": PROMPTS,
            "graphs": graphs or {},
        }
    )


@given(spec=graphs(), seed=st.integers(0, 2**32))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_no_run_costs_more_than_the_worst_case_or_less_than_the_best(spec: GraphSpec, seed: int) -> None:
    holds(spec, seed)


@pytest.mark.soak
@given(spec=graphs(), seed=st.integers(0, 2**32))
@settings(max_examples=5000, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_run_of_many_costs_more_than_the_worst_case_or_less_than_the_best(spec: GraphSpec, seed: int) -> None:
    holds(spec, seed)


def holds(spec: GraphSpec, seed: int) -> None:
    """Run a graph against an adversary, and hold what it cost against the plan."""
    assert findings(spec) == []
    planned = plan(spec, {"writer": PRICE})
    adversary = Adversary(seed)
    seconds, end = ran(spec, adversary)
    worst, best = planned.worst, planned.best
    assert adversary.calls <= worst.calls
    assert adversary.passages <= worst.passages
    assert adversary.tokens <= worst.tokens
    assert seconds <= worst.seconds
    if end is not None:
        used = sum(end.usage.values(), Usage())
        assert used.calls >= best.calls
        assert used.prompt_tokens + used.completion_tokens >= best.tokens
        assert adversary.passages >= best.passages
        _holds_by_node(planned, end)


def _holds_by_node(planned: Plan, end: RunFinished) -> None:
    for name, used in end.usage.items():
        steps = [node for node in planned.nodes if node.node == name]
        assert used.calls <= sum(node.worst.calls for node in steps)
        assert used.prompt_tokens + used.completion_tokens <= sum(node.worst.tokens for node in steps)


def ran(spec: GraphSpec, adversary: Adversary) -> tuple[float, RunFinished | None]:
    """Run a graph: how long it took, and how it ended where it did not fail."""
    events: list[Event] = []
    deps = replace(adversarial_deps(adversary, RETRIES), listen=events.append)
    loop = QuickLoop()
    try:
        loop.run_until_complete(execute(Program.of(spec), {"question": "<s>" * 13, "style": "long one"}, deps))
    except RunError:
        return loop.time(), None
    finally:
        loop.close()
    (end,) = (event for event in events if isinstance(event, RunFinished))
    return loop.time(), end
