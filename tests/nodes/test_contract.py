"""What every registered node must keep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from pydantic import ValidationError

from agentrag.core.channels import STANDARD, Channel, State
from agentrag.core.events import CallFinished, Event
from agentrag.core.node import Node, node
from agentrag.core.ports import RecordingKind
from agentrag.core.prompts import Prompts
from agentrag.core.rendering import render
from agentrag.core.sizes import CALL_TOKENS, ITEM_BYTES, LEAST, MESSAGE_TOKENS, Calls, Size, Sizes
from agentrag.core.types import ChatRequest, Citation, Completion, Message, Passage, SearchRequest, TokenLogprob, Usage
from agentrag.graph.values.bounds import bounded, size_of
from agentrag.testing import ScriptedModel, fake_deps, passages

SETTINGS: dict[str, list[dict[str, object]]] = {
    "abstain": [{}, {"text": "not there <s> — nothing"}],
    "cite": [{}, {"among": "evidence"}, {"span": True}],
    "compose": [{"text": "<s>{question} {answer}\n{passages}{{}}"}],
    "condense": [{}, {"turns": 2, "characters": 50, "max_tokens": 8}, {"turns": 40, "characters": 5000}],
    "evidence": [{}, {"tokens": 20}, {"tokens": 5000, "query": "{question} {answer}"}],
    "generate": [{"prompt": "answer/grounded"}, {"prompt": "answer/short", "max_tokens": 7}],
    "grade": [{"threshold": -99}, {"among": "evidence", "threshold": -99}, {"limit": 2, "threshold": -99}],
    "reformulate.recorded": [{"method": "m", "model": "x"}, {"method": "m", "model": "x", "n": 8}],
    "requests.recorded": [{"agent": "a"}, {"agent": "a", "n": 2}],
    "retrieve": [{}, {"k": 2}, {"also": "{standalone} too", "k": 3}],
    "rewrite": [{}, {"shown": 0}, {"characters": 2000, "shown": 20}],
}
"""Settings under which a node is looked at; one without settings is not named."""


def example(name: str) -> Node:
    return node[name].model_validate(SETTINGS.get(name, [{}])[0])


BUILT_IN = [name for name in node.names() if node[name].__module__.startswith("agentrag.")]
CASES = [(name, settings) for name in BUILT_IN for settings in SETTINGS.get(name, [{}])]


@pytest.mark.parametrize("name", BUILT_IN)
def test_settings_are_frozen_and_closed(name: str) -> None:
    made = example(name)
    with pytest.raises(ValidationError):
        type(made).model_validate({**SETTINGS.get(name, [{}])[0], "no_such_setting": 1})
    if type(made).model_fields:
        field = next(iter(type(made).model_fields))
        with pytest.raises(ValidationError):
            setattr(made, field, getattr(made, field))


@pytest.mark.parametrize("name", BUILT_IN)
def test_it_says_what_it_reads_and_writes_in_known_channels(name: str) -> None:
    made = example(name)
    assert made.writes() <= STANDARD.keys() | made.channels.keys()
    assert made.reads() <= STANDARD.keys() | made.channels.keys()
    assert made.writes()


@pytest.mark.parametrize("name", BUILT_IN)
def test_it_has_a_schema_and_a_docstring_that_states_its_cost(name: str) -> None:
    assert node[name].model_json_schema()["additionalProperties"] is False
    assert "Cost:" in (node[name].__doc__ or "")


SIGNS = "<s>" * 400
SENTENCES = "The ferry <s> holds 12 cars. " * 30 + " " * 100 + "灰の山。 It sails at noon."
TEXTS = {"signs": SIGNS, "sentences": SENTENCES}
LISTED = "\n".join(f"{number}. What does the ferry <s> hold, {number}?" for number in range(40))
REPLIES = {"signs": SIGNS, "sentences": SENTENCES, "list": LISTED, "nothing": ""}


def narrowed(channels: Mapping[str, Channel]) -> dict[str, Channel]:
    """The channels with bounds that values reach quickly."""
    return {name: replace(channel, bytes=400, max=channel.max and min(channel.max, 7)) for name, channel in channels.items()}


def longest(channel: Channel, text: str, slices: int = 1) -> Any:
    """The longest value of a channel that its bounds allow; of passages so many are slices of one."""
    made: dict[Any, Any] = {
        str: text,
        float: -1.7976931348623157e308,
        bool: False,
        list[str]: [text] * 60,
        list[Message]: [Message("assistant", text), Message("user", text)] * 30,
        list[Passage]: [Passage(str(n // slices), text, "s", title=SIGNS, heading=SIGNS) for n in range(60)],
        list[Citation]: [],
    }
    return bounded(channel, made[channel.type])


class Greedy:
    """Back ends that count one token for each byte, write all that they may, and find all that is asked for.

    Forty texts are recorded for every query.

    Attributes:
        seen: Outward calls by kind, passages and tokens.
    """

    name, version, dimensions, query = "greedy", "1", 256, "q"

    def __init__(self, reply: str) -> None:
        self.reply, self.seen = reply, Counter[str]()

    async def complete(self, request: ChatRequest, on_text: object = None) -> Completion:
        prompt = CALL_TOKENS + sum(MESSAGE_TOKENS + len(message.content.encode()) for message in request.messages)
        self.seen.update(prompt=prompt, completion=request.max_tokens)
        tokens = (TokenLogprob("yes", -0.1, (("yes", -0.1),)),) * bool(request.logprobs)
        return Completion(self.reply, "length", Usage(1, prompt, request.max_tokens), tokens)

    async def search(self, request: SearchRequest) -> list[Passage]:
        self.seen.update(passages=request.k)
        return [Passage(f"{request.query[:9]}{n}", SIGNS * 9, "s", title=SIGNS, heading=SIGNS) for n in range(request.k)]

    def texts(self, kind: RecordingKind, method: str, model: str) -> list[str]:
        return [f"{self.reply} {number}" for number in range(40)]

    async def aclose(self) -> None:
        """Nothing is held."""

    def hear(self, event: Event) -> None:
        """Count a call."""
        if isinstance(event, CallFinished):
            self.seen[{"chat": "model", "search": "search", "embed": "embed"}.get(event.kind, "other")] += 1


@dataclass(frozen=True)
class Seen:
    """What a node did, and the bounds under which it did it."""

    made: Node
    sizes: Sizes
    calls: Counter[str]
    wrote: State


async def pressed(name: str, settings: dict[str, object], text: str, reply: str, without: frozenset[str] = frozenset()) -> Seen:
    """Run a node over the longest values of all channels but those that are left out."""
    made = node[name].model_validate(settings)
    channels = {key: each for key, each in narrowed({**STANDARD, **made.channels}).items() if key not in without}
    greedy = Greedy(reply)
    deps = replace(fake_deps(model=greedy, collection=greedy), listen=greedy.hear, recordings=greedy)
    state = {key: longest(channel, text, slices=2 if key == "evidence" else 1) for key, channel in channels.items()}
    wrote = await made(state, deps)
    sizes = Sizes({key: size_of(channel) for key, channel in channels.items()}, Prompts())
    return Seen(made, sizes, greedy.seen, wrote)


@pytest.mark.parametrize("reply", REPLIES)
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(("name", "settings"), CASES, ids=str)
async def test_its_cost_is_never_below_what_it_does_with_the_longest_values(
    name: str, settings: dict[str, object], text: str, reply: str
) -> None:
    seen = await pressed(name, settings, TEXTS[text], REPLIES[reply])
    cost = seen.made.cost(seen.sizes)
    assert {kind: count for kind, count in seen.calls.items() if count > getattr(cost, kind)} == {}


@pytest.mark.parametrize("reply", REPLIES)
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(("name", "settings"), CASES, ids=str)
async def test_it_never_writes_more_than_it_says(name: str, settings: dict[str, object], text: str, reply: str) -> None:
    seen = await pressed(name, settings, TEXTS[text], REPLIES[reply])
    limits = seen.made.limits(seen.sizes)
    assert limits.keys() <= seen.made.writes()
    channels = narrowed({**STANDARD, **seen.made.channels})
    for channel, limit in limits.items():
        assert exceeded(bounded(channels[channel], seen.wrote[channel]), limit) == {}


def exceeded(value: Any, limit: Size) -> dict[str, tuple[int, int]]:
    """Which parts of a limit a value exceeds: the value's and the limit's."""
    items = value if isinstance(value, list) else [value]
    single = max((len(render(item).encode()) for item in items), default=0)
    parts = {
        "items": (len(items), limit.items),
        "bytes": (single, limit.bytes),
        "total": (len(render(value).encode()), limit.total),
    }
    return {name: pair for name, pair in parts.items() if pair[0] > pair[1]}


NORMAL: dict[str, dict[str, Any]] = {
    "first": {"history": [], "passages": passages("The ferry holds 12 cars."), "evidence": passages("It holds 12 cars.")},
    "later": {
        "history": [Message("user", "Which ferry?"), Message("assistant", "The Skerry.")],
        "passages": [],
        "evidence": [],
    },
}


@pytest.mark.parametrize("state", NORMAL)
@pytest.mark.parametrize(("name", "settings"), CASES, ids=str)
async def test_the_least_is_never_above_what_it_does_in_a_plain_run(name: str, settings: dict[str, object], state: str) -> None:
    made = node[name].model_validate(settings)
    events: list[Event] = []
    model = ScriptedModel(lambda request: "yes" if request.logprobs else "It holds 12 cars.")
    deps = fake_deps(model=model, collection=passages("The ferry holds 12 cars."), events=events)
    deps = deps.but(recordings=Greedy("How many cars does it hold?"))
    plain = {"question": "How many cars?", "standalone": "How many cars?", "contextual": "How many cars?", "answer": "12 cars."}
    others = {key: longest(channel, "a few words") for key, channel in {**STANDARD, **made.channels}.items()}
    await made({**others, **plain, **NORMAL[state]}, deps)
    used = [event for event in events if isinstance(event, CallFinished)]
    kinds = Counter({"chat": "model", "tool": "other"}.get(event.kind, event.kind) for event in used)
    usage = sum((event.usage for event in used), Usage())
    seen = {**kinds, "prompt": usage.prompt_tokens, "completion": usage.completion_tokens}
    least = made.least(Sizes({}, Prompts(), LEAST))
    least = replace(least, completion=min(least.completion, least.model))  # a plan counts one token for each call
    assert {kind: getattr(least, kind) for kind in Calls.__slots__ if getattr(least, kind) > seen.get(kind, 0)} == {}


@pytest.mark.parametrize(("name", "settings"), CASES, ids=str)
async def test_a_larger_value_never_makes_it_cheaper(name: str, settings: dict[str, object]) -> None:
    seen = await pressed(name, settings, SENTENCES, LISTED)
    sizes = seen.sizes
    whole, least = seen.made.cost(sizes), seen.made.least(sizes)
    for channel, size in sizes.table.items():
        fewer = replace(sizes, table={**sizes.table, channel: Size(size.items // 2, size.bytes // 2 + ITEM_BYTES)})
        assert all(getattr(seen.made.cost(fewer), kind) <= getattr(whole, kind) for kind in Calls.__slots__), channel
    assert all(getattr(least, kind) <= getattr(whole, kind) for kind in Calls.__slots__)
