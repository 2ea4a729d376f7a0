"""What a plan says of every step, of sizes that grow, of prices, and of earlier runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agentrag.core.bindings import LiteLLM, LlamaCpp, OpenAICompatible
from agentrag.core.channels import MOST_BYTES
from agentrag.core.node import Node
from agentrag.core.settings import Settings
from agentrag.core.sizes import CALL_TOKENS, MESSAGE_TOKENS, USUAL
from agentrag.graph.ladder import BudgetSpec
from agentrag.graph.loader import load_graph
from agentrag.graph.plan import plan
from agentrag.graph.planning.cases import EMBED_SECONDS, OTHER_SECONDS, SEARCH_SECONDS, USUAL_ANSWER
from agentrag.graph.planning.figures import Figures
from agentrag.graph.planning.prices import LOCAL, REMOTE, STARTS, Price, price_of, prices_of
from agentrag.graph.planning.values import USUAL_INPUT, USUAL_ITEMS, USUAL_NUMBER, USUAL_PASSAGE, USUAL_TEXT
from agentrag.graph.spec import GraphSpec
from agentrag.graph.steps import walk
from agentrag.graph.values.bounds import RETRY_WAIT
from agentrag.journal.past import Expected, Mean
from agentrag.models.retry import ATTEMPTS
from tests.graph.planning.plan_nodes import PROMPTS, Ask, Cautious, Cut, Find, Spend, Toss

FREE = Price(0.0, 0.0, 1)
SPENDERS = {
    "a": Spend(timeout=10),
    "b": Spend(calls=5, fewest=5, timeout=20),
    "c": Spend(calls=2, fewest=0, timeout=10, retry=1),
}
LOOP = {"do": ["a"], "at_most": 3}
RETURNS = {"choose": [{"when": "flip", "do": ["b", {"return": {}}]}, {"otherwise": []}]}
EACH = {"in": "items", "as": "item", "do": ["a"], "collect": {"text": "texts"}}


def spec_of(
    flow: list[Any], nodes: Mapping[str, Node] = SPENDERS, graphs: dict[str, GraphSpec] | None = None, **channels: Any
) -> GraphSpec:
    """A graph of these steps and those of the nodes that it uses; `question` has at most 10 bytes."""
    data = {
        "agentrag": 1,
        "name": "case",
        "inputs": {"question": "str"},
        "outputs": ["text"],
        "channels": {"question": {"bytes": 10}, "texts": {"type": "list[str]"}, **channels},
        "nodes": {},
        "flow": flow,
        "prompts": PROMPTS,
        "graphs": graphs or {},
    }
    used = {step for _, step in walk(GraphSpec.model_validate(data).flow) if isinstance(step, str)}
    return GraphSpec.model_validate({**data, "nodes": {name: item for name, item in nodes.items() if name in used}})


def choice(*ways: list[Any]) -> dict[str, Any]:
    whens = [{"when": f"size(items) > {n}", "do": way} for n, way in enumerate(ways[:-1])]
    return {"choose": [*whens, {"otherwise": ways[-1]}]}


def fork(*branches: list[Any], **terms: Any) -> dict[str, Any]:
    join = dict.fromkeys(["text", "flip", "items"], "first")
    return {"parallel": {"branches": {f"b{n}": branch for n, branch in enumerate(branches)}, "join": join, **terms}}


def loop(**changed: Any) -> dict[str, Any]:
    return {"repeat": {**LOOP, **changed}}


def each(**changed: Any) -> dict[str, Any]:
    return {"each": {**EACH, **changed}}


INNER = spec_of(["a", "b"])
SUB = {"graph": {"use": "inner", "in": {"question": "question"}, "out": {"text": "text"}}}


@pytest.mark.parametrize(
    ("flow", "best", "expected", "worst", "seconds"),
    [
        (["a", "b"], 6, 6, 6, 30),
        (["c"], 0, 2, 4, 2 * 10 + 30),
        ([choice(["a"], ["b"])], 1, 3, 5, 20),
        ([choice(["b"], ["a"], [])], 0, 2, 5, 20),
        ([loop()], 3, 3, 3, 30),
        ([loop(until="flip")], 1, 2, 3, 30),
        ([loop(until="flip", on_exhausted="fail")], 1, 2, 3, 30),
        ([loop(until="flip", on_exhausted=["b"])], 1, 2 + 2.5, 8, 50),
        ([loop(on_exhausted=["b"])], 8, 8, 8, 50),
        ([loop(do=[loop(until="flip")], at_most=4)], 4, 8, 12, 120),
        ([fork(["a"], ["b"])], 6, 6, 6, 20),
        ([fork(["a"], ["b"], wait="first")], 1, 6, 6, 20),
        ([fork(["a"], ["b"], ["a", "a"], wait={"quorum": 2})], 1 + 2, 8, 8, 20),
        ([fork(["a"], ["b"], on_error="collect")], 1, 6, 6, 20),
        (["a", each(at_most=3, concurrency=2)], 1, 4, 4, 10 + 20),
        (["a", each(at_most=9, concurrency=2)], 1, 6, 6, 10 + 30),
        (["a", each(at_most=9, do=["c"], concurrency=5)], 1, 1 + 10, 1 + 20, 10 + 50),
        ([SUB, "a"], 7, 7, 7, 40),
        ([loop(do=[SUB])], 18, 18, 18, 90),
        ([{"ask_human": {"question": "?", "out": "text"}}, "a"], 1, 1, 1, 10),
        (["a", RETURNS, "b"], 6, 6, 6, 30),
        (["a", RETURNS, "a"], 2, 1 + 2.5 + 0.5, 6, 30),
        (["a", choice(["a", {"return": {}}], []), "b", "b"], 2, 1 + 0.5 + 5, 11, 50),
        (["a", loop(do=[RETURNS, "a"])], 4, 1 + 2.5 + 0.5 + 1.25 + 0.25 + 0.625 + 0.125, 1 + 2 + 5, 10 + 40),
        (["a", loop(until="flip", on_exhausted=[{"return": {}}]), "b", "b"], 2, None, 14, 80),
    ],
    ids=str,
)
def test_the_three_cases_of_every_step(flow: list[Any], best: float, expected: float, worst: float, seconds: float) -> None:
    made = plan(spec_of(flow, graphs={"inner": INNER}), {})
    assert (made.best.calls, made.worst.calls, made.worst.seconds) == (best, worst, seconds)
    if expected is not None:
        assert made.expected.calls == pytest.approx(expected, abs=0.01)
    assert made.best.calls <= made.expected.calls <= made.worst.calls


def test_a_node_is_told_at_every_step_where_it_stands() -> None:
    flow = ["a", loop(do=["b", choice(["a"], [SUB])], on_exhausted=["c"]), fork(["c"], [each(do=["a"], at_most=2)])]
    made = plan(spec_of(flow, graphs={"inner": INNER}), {})
    assert [(node.node, node.step, node.times, node.worst.calls) for node in made.nodes] == [
        ("a", "flow.0:a", 1, 1),
        ("b", "flow.1.repeat.0:b", 3, 15),
        ("a", "flow.1.repeat.1.choose.0.0:a", 3, 3),
        ("case/a", "flow.1.repeat.1.choose.otherwise.0.graph.0:a", 3, 3),
        ("case/b", "flow.1.repeat.1.choose.otherwise.0.graph.1:b", 3, 15),
        ("c", "flow.1.exhausted.0:c", 1, 4),
        ("c", "flow.2.parallel.b0.0:c", 1, 4),
        ("a", "flow.2.parallel.b1.0.each.0:a", 2, 2),
    ]
    assert made.nodes[0].worst.seconds == 10
    assert made.nodes[-1].worst.seconds == 20


ASKERS: dict[str, Node] = {
    "toss": Toss(),
    "ask": Ask(max_tokens=7),
    "find": Find(k=4),
    "more": Find(k=2),
    "aside": Find(k=3, out={"passages": "more"}),
    "cut": Cut(),
    "note": Cut(to="notes"),
    "drop": Cautious(),
}
ASKED: dict[str, Any] = {"ask_human": {"question": "?", "out": "text"}}
PASSAGE = 100 + 16
APPENDED = {"passages": {"merge": "append_new", "max": 9, "bytes": 100}}
REPLACED = {"passages": {"max": 3, "bytes": 100}}
ROOMY = {"passages": {"max": 9, "bytes": 100}}


def shown(*sizes: int) -> int:
    """Bytes in a prompt, with a space in every sign `<s>`."""
    return sum(size + size // 3 for size in sizes)


@pytest.mark.parametrize(
    ("flow", "channels", "passages"),
    [
        (["find"], ROOMY, [4]),
        (["find"], REPLACED, [3]),
        (["find", "more"], ROOMY, [2]),
        (["find", "more"], APPENDED, [6]),
        (["find", "find", "find"], APPENDED, [9]),
        (["find", "drop"], ROOMY, [0]),
        (["find", choice(["more"], [])], ROOMY, [4]),
        (["find", fork(["more"], ["find"], join={"passages": "rrf"})], ROOMY, [6]),
        (["find", fork(["more"], ["find"], join={"passages": "first"})], ROOMY, [4]),
        (["find", fork(["more"], ["cut"], join={})], ROOMY, [2]),
        (["find", fork(["more"], ["cut"], join={}, wait="first")], ROOMY, [4]),
        (["find", each(do=["more"], at_most=3, collect={"passages": "passages"})], ROOMY, [6]),
        (["find", each(do=["find"], at_most=2, collect={"passages": "passages"})], APPENDED, [9]),
    ],
    ids=str,
)
def test_the_bound_of_a_prompt_follows_what_the_steps_before_wrote(
    flow: list[Any], channels: dict[str, Any], passages: list[int]
) -> None:
    made = plan(spec_of([ASKED, "toss", "cut", *flow, "ask"], ASKERS, **channels), {"writer": FREE})
    (items,) = passages
    holes = shown(10, 40, items * PASSAGE, 5 * (30 + 16))
    text = len("Answer.") + len(" \n \n ")
    assert made.nodes[-1].worst.tokens == CALL_TOKENS + 2 * MESSAGE_TOKENS + text + holes + 7


def tokens(flow: list[Any], step: str, **channels: Any) -> float:
    """Tokens of the worst case at a step after all channels were written."""
    made = plan(spec_of([ASKED, "toss", "find", "cut", *flow], ASKERS, **channels), {"writer": FREE})
    return next(node.worst.tokens for node in made.nodes if node.step == step)


def test_what_a_loop_appends_counts_in_its_later_rounds() -> None:
    base = tokens(["ask"], "flow.4:ask", **APPENDED)
    looped = tokens([{"repeat": {"do": ["ask", "more"], "at_most": 5}}], "flow.4.repeat.0:ask", **APPENDED)
    grown = [shown(items * PASSAGE) - shown(4 * PASSAGE) for items in (4, 6, 8, 9, 9)]
    assert looped == 5 * base + sum(grown)


def test_a_channel_that_a_loop_writes_first_is_empty_in_its_first_round_again_and_again() -> None:
    inner = {"repeat": {"do": ["ask", "note"], "at_most": 3}}
    once = tokens([inner], "flow.4.repeat.0:ask")
    assert tokens([{"repeat": {"do": [inner], "at_most": 2}}], "flow.4.repeat.0.repeat.0:ask") == 2 * once
    notes = [shown(items * (30 + 16)) for items in (0, 7, 7)]
    assert once == 3 * tokens(["ask"], "flow.4:ask") + sum(notes)


def test_a_thousand_rounds_in_a_thousand_are_reckoned_at_their_bounds() -> None:
    channels: dict[str, Any] = {"passages": {"merge": "append_new", "max": 1000, "bytes": 100}}
    inner = {"repeat": {"do": ["more", "ask"], "at_most": 1000}}
    (node,) = [
        node
        for node in plan(
            spec_of([ASKED, "toss", "find", "cut", {"repeat": {"do": [inner], "at_most": 1000}}], ASKERS, **channels),
            {"writer": FREE},
        ).nodes
        if node.node == "ask"
    ]
    assert node.times == 1_000_000
    full = tokens(["ask"], "flow.4:ask", **channels) + shown(1000 * PASSAGE) - shown(4 * PASSAGE)
    assert 0.99 * 1_000_000 * full <= node.worst.tokens <= 1_000_000 * full


def test_another_name_has_its_own_bound() -> None:
    made = plan(spec_of([ASKED, "aside", each_in("more")], {**ASKERS, "a": Spend()}, more={"max": 2}), {})
    assert made.nodes[-1].times == 2


def each_in(channel: str) -> dict[str, Any]:
    return each(**{"in": channel, "at_most": 9})


def test_attempts_of_nodes_and_of_clients_multiply() -> None:
    nodes: dict[str, Node] = {"ask": Ask(prompt="t/bare", times=2, max_tokens=7, timeout=10, retry=2)}
    made = plan(spec_of(["ask"], nodes), {"writer": Price(1.0, 10.0, attempts=4)})
    prompt = CALL_TOKENS + MESSAGE_TOKENS + len("Is it so? ") + shown(10)
    usd = round(2 * 3 * 4 * (prompt * 1.0 + 7 * 10.0) / 1e6, 9)
    assert made.worst == Figures(calls=2 * 3 * 4, passages=0, tokens=2 * 3 * 4 * (prompt + 7), usd=usd, seconds=3 * 10 + 2 * 30)
    assert made.best.calls == 2
    assert made.nodes[0].times == 1


@pytest.mark.parametrize(
    ("prices", "usd", "doubts"),
    [
        ({"writer": Price(1.0, 1.0)}, True, []),
        (
            {"writer": Price(1.0, None, binding="big")},
            False,
            ["the price of the model in slot 'writer' ('big') is not known"],
        ),
        ({}, False, ["the price of the model in slot 'writer' is not known"]),
    ],
)
def test_a_price_that_is_not_known_is_told_and_not_taken_for_nothing(
    prices: dict[str, Price], usd: bool, doubts: list[str]
) -> None:
    made = plan(spec_of(["toss", choice(["toss"], [])], ASKERS), prices)
    assert (made.worst.usd is not None) == (made.best.usd is not None) == usd
    assert list(made.doubts) == doubts
    asked = plan(spec_of(["find"], ASKERS), {})
    assert (asked.worst.usd, asked.doubts) == (0.0, ())


def test_a_way_that_asks_no_model_has_a_known_price() -> None:
    made = plan(spec_of(["a", choice(["toss"], [])], {**ASKERS, **SPENDERS}), {})
    assert (made.best.usd, made.worst.usd) == (0.0, None)


def test_a_value_without_a_bound_in_a_prompt_is_told() -> None:
    spec = spec_of(["c", "cite"], {"c": Spend(), "cite": Ask(prompt="t/cited")})
    made = plan(spec, {"writer": FREE})
    assert made.doubts == ("node 'cite' shows channel 'citations', and values of type list[Citation] have no known length",)


def test_what_earlier_runs_cost_is_expected_as_far_as_the_worst_case_allows() -> None:
    spec = spec_of(["a", "b", "a"])
    means = {"a": Mean(calls=1.5, prompt_tokens=4, completion_tokens=2, seconds=3.0), "b": Mean(calls=99.0)}
    made = plan(spec, {}, Expected(7, means, Mean(), 12.5))
    assert made.runs == 7
    assert [node.expected.calls for node in made.nodes] == [0.75, 5, 0.75]
    assert (made.expected.calls, made.expected.seconds) == (6.5, 12.5)
    assert (made.best.calls, made.worst.calls) == (7, 7)


def test_the_heaviest_nodes_of_a_figure_are_known() -> None:
    made = plan(spec_of(["a", loop(do=["b"]), "c", choice(["a"], [])]), {})
    assert [(node.step, calls) for node, calls in made.heaviest("calls", 2)] == [("flow.1.repeat.0:b", 15), ("flow.2:c", 4)]
    assert made.heaviest("tokens") == []


def test_a_plan_as_json_has_the_cases_and_the_nodes() -> None:
    made = plan(spec_of(["a", "toss"], {**ASKERS, **SPENDERS}), {"writer": FREE})
    read = json.loads(json.dumps(made.as_json()))
    assert read["worst"] == {"calls": 2, "passages": 0, "tokens": made.worst.tokens, "usd": 0.0, "seconds": 610.0}
    assert read.keys() == {"graph", "best", "expected", "worst", "nodes", "runs", "doubts", "budget"}
    assert read["nodes"][1].keys() == {"node", "step", "times", "best", "expected", "worst"}


@pytest.mark.parametrize(
    ("binding", "price"),
    [
        (LlamaCpp(model="x"), Price(0.0, 0.0, STARTS, LOCAL, "it")),
        (OpenAICompatible(provider="openai-compatible", url="http://h", model="m"), Price(None, None, ATTEMPTS, binding="it")),
        (
            OpenAICompatible(provider="openai-compatible", url="http://h", model="m", price_in=0.5, price_out=0),
            Price(0.5, 0.0, ATTEMPTS, binding="it"),
        ),
        (LiteLLM(provider="litellm", model="no-such-provider/model"), Price(None, None, ATTEMPTS, binding="it")),
    ],
    ids=["local", "silent", "priced", "unlisted"],
)
def test_the_price_of_a_binding(binding: Any, price: Price) -> None:
    assert price_of(binding, "it") == price


def test_the_highest_price_that_litellm_lists_counts() -> None:
    price = price_of(LiteLLM(provider="litellm", model="gemini/gemini-2.5-pro"))
    assert price.prompt == pytest.approx(2.5)
    assert price.completion == pytest.approx(15.0)


def test_a_chain_costs_all_attempts_of_its_models_at_the_highest_price() -> None:
    server = {"provider": "openai-compatible", "url": "http://h", "model": "m"}
    settings = Settings.model_validate(
        {
            "models": {
                "dear": {**server, "price_in": 3.0, "price_out": 1.0},
                "cheap": {**server, "price_in": 1.0, "price_out": 2.0},
                "silent": server,
                "safe": ["dear", "local"],
            }
        }
    )
    slots = {"a": "dear,cheap", "b": "cheap,local", "c": "dear,silent", "d": "safe", "e": "local,default"}
    prices = prices_of(settings, slots)
    context = settings.runtime.context
    assert {slot: (price.prompt, price.completion, price.attempts, price.context) for slot, price in prices.items()} == {
        "a": (3.0, 2.0, 2 * ATTEMPTS, None),
        "b": (1.0, 2.0, ATTEMPTS + STARTS, None),
        "c": (None, None, 2 * ATTEMPTS, None),
        "d": (3.0, 1.0, ATTEMPTS + STARTS, None),
        "e": (0.0, 0.0, 2 * STARTS, context),
    }
    assert (prices["b"].speed, prices["e"].speed, prices["a"].binding) == (REMOTE, LOCAL, "dear,cheap")


def test_prices_are_found_by_slot() -> None:
    settings = Settings(models={"big": OpenAICompatible(provider="openai-compatible", url="http://h", model="m", price_in=1)})
    prices = prices_of(settings, {"writer": "big", "gate": "default"})
    assert {slot: (price.prompt, price.completion) for slot, price in prices.items()} == {
        "writer": (1.0, None),
        "gate": (0.0, 0.0),
    }


@pytest.mark.parametrize("name", ["ask", "corrective", "multi-query", "sub-questions"])
def test_every_shipped_graph_has_a_plan(name: str) -> None:
    spec = load_graph(name)
    made = plan(spec, dict.fromkeys(spec.slots, FREE))
    assert made.doubts == ()
    assert 0 < made.best.calls <= made.expected.calls <= made.worst.calls
    assert made.best.tokens <= made.expected.tokens <= made.worst.tokens
    assert {node.node for node in made.nodes} == spec.nodes.keys()


def test_planning_a_local_graph_loads_no_provider_and_no_server() -> None:
    code = (
        "import sys; from agentrag.graph.loader import load_graph; from agentrag.graph.plan import plan;"
        "from agentrag.graph.planning.prices import prices_of; from agentrag.core.settings import Settings;"
        "spec = load_graph('ask'); plan(spec, prices_of(Settings(), spec.slots));"
        "print(sorted({'litellm', 'langgraph', 'chromadb', 'httpx', 'onnxruntime'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("row", "numbers"),
    [
        ("a token |", [USUAL.token]),
        ("what a chat format adds", [USUAL.call, USUAL.message]),
        ("tokens of a prompt", [CALL_TOKENS, MESSAGE_TOKENS]),
        ("length of channels", [MOST_BYTES]),
        ("attempts", [ATTEMPTS, STARTS]),
        ("seconds |", [RETRY_WAIT]),
        ("an input without a default", [USUAL_INPUT]),
        ("a text, a passage, a number", [USUAL_TEXT, USUAL_PASSAGE, USUAL_NUMBER]),
        ("a list that no node limits", [USUAL_ITEMS]),
        ("an answer", [USUAL_ANSWER]),
        ("a search, an embedding", [SEARCH_SECONDS, EMBED_SECONDS, OTHER_SECONDS]),
        ("a local model", [LOCAL.prompt, LOCAL.completion, LOCAL.latency]),
        ("a remote model", [REMOTE.prompt, REMOTE.completion, REMOTE.latency]),
    ],
)
def test_the_documentation_states_the_numbers_that_a_plan_rests_on(row: str, numbers: list[float]) -> None:
    page = Path(__file__).parents[3] / "docs" / "plan.md"
    (line,) = (line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith(f"| {row}"))
    stated = [float(number.replace(",", "")) for number in re.findall(r"\d[\d,]*(?:\.\d+)?", line)]
    assert [number for number in numbers if number not in stated] == []


def test_no_prompt_is_longer_than_the_context_of_a_local_model() -> None:
    spec = load_graph("ask")
    prices = prices_of(Settings(), spec.slots)
    assert {price.context for price in prices.values()} == {Settings().runtime.context}
    write = next(node for node in plan(spec, prices).nodes if node.node == "write")
    longest = STARTS * (Settings().runtime.context + spec.nodes["write"].max_tokens)  # type: ignore[attr-defined]  # a generate node
    assert write.worst.tokens == longest
    unknown = {slot: Price(0.0, 0.0) for slot in spec.slots}
    assert next(node for node in plan(spec, unknown).nodes if node.node == "write").worst.tokens > longest


def test_a_plan_keeps_to_the_budget_in_calls_and_passages_and_says_where_it_is_too_small() -> None:
    data = spec_of([{"repeat": {"do": ["two"], "at_most": 5}}], {"two": Spend(calls=2, fewest=2)})
    free = plan(data, {})
    assert (free.best.calls, free.worst.calls, free.budget, free.doubts) == (10, 10, {}, ())
    for calls, told in (
        (7, ()),
        (1, ("the budget of 1 calls is less than the 2 of the cheapest way: every run is a best effort",)),
    ):
        held = plan(data.model_copy(update={"budget": BudgetSpec(calls=calls)}), {})
        assert (held.worst.calls, held.budget, held.doubts) == (calls, {"calls": calls}, told)
    audited = plan(data.model_copy(update={"budget": BudgetSpec(calls=1, mode="audit")}), {})
    assert (audited.worst.calls, audited.budget) == (10, {})
