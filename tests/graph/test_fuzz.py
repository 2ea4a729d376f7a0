"""Thousands of damaged graph files: each is a graph or located errors, soon, and without eating memory."""

from __future__ import annotations

import json
import random
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from agentrag.core.errors import Problem, SpecError
from agentrag.core.resources import shipped
from agentrag.graph.interpreter import Program
from agentrag.graph.loader import load_graph_text
from tests.graph.sample_nodes import PROMPTS

GRAPHS = Path(__file__).parents[1] / "graphs"
TEXTS = [file.read_text() for file in sorted(GRAPHS.glob("*.yaml"))]
TEXTS += [item.read_text() for item in shipped("graphs").iterdir() if item.name.endswith(".yaml")]
WORDS = (
    *("repeat", "parallel", "each", "graph", "ask_human", "return", "choose", "when", "otherwise", "do", "until", "at_most"),
    *("on_exhausted", "return_best", "best_by", "branches", "join", "rrf", "vote", "wait", "first", "quorum", "on_error"),
    *("collect", "in", "as", "concurrency", "use", "out", "question", "answer", "passages", "stable(answer)", "novelty(x)"),
    *("ask", "valid-each.yaml", "../graphs/valid-loops.yaml", "say", "{question}", "{x?}", "{", "}", "size(", "'", '"'),
)
VALUES: tuple[Any, ...] = (None, True, 0, -1, 1, 10**30, 1.5, float("inf"), "", "yes", [], {}, [[]], {"": 0}, "a" * 5000)
SIGNS = "{}[]:,#&*!|>'\"%@`~?-\t\n \0\x85é😀"
MOST_SECONDS = 2.0
MOST_BYTES = 300 * 1024 * 1024


def of_text(text: str, chance: random.Random) -> str:
    """Damage a text: signs, words, lines."""
    for _ in range(chance.randint(1, 5)):
        at = chance.randrange(len(text) + 1)
        match chance.randrange(5):
            case 0:
                text = text[:at] + chance.choice(SIGNS) + text[at:]
            case 1:
                text = text[:at] + text[at + chance.randint(1, 20) :]
            case 2:
                text = text[:at] + chance.choice(WORDS) + text[at:]
            case 3:
                lines = text.splitlines(keepends=True) or [""]
                lines.insert(chance.randrange(len(lines) + 1), chance.choice(lines))
                text = "".join(lines)
            case _:
                other = chance.choice(TEXTS)
                begin = chance.randrange(len(other) + 1)
                text = text[:at] + other[begin : begin + 60] + text[at:]
    return text


def of_data(text: str, chance: random.Random) -> str:
    """Damage what a text says: keys and values change places, go, or become others."""
    try:
        data = YAML(typ="safe", pure=True).load(text)
    except Exception:  # some of the files are no YAML, which is their point
        return of_text(text, chance)
    places = list(_places(data, []))
    for _ in range(chance.randint(1, 4)):
        if places:
            chance.choice(places)(_value(chance, data))
    return json.dumps(data, default=str)


def _places(data: Any, found: list[Callable[[Any], None]]) -> list[Callable[[Any], None]]:
    """Ways to change a part of the data."""
    if isinstance(data, dict):
        for key in list(data):
            found.append(lambda value, key=key: data.__setitem__(key, value))  # type: ignore[misc]
            found.append(lambda value, key=key: data.__setitem__(str(value)[:20], data.pop(key, None)))  # type: ignore[misc]
            found.append(lambda _, key=key: data.pop(key, None))  # type: ignore[misc]
            _places(data[key], found)
    elif isinstance(data, list):
        for index, item in enumerate(data):
            found.append(lambda value, index=index: data.__setitem__(index % max(1, len(data)), value) if data else None)  # type: ignore[misc]
            found.append(data.append)
            _places(item, found)
    return found


def _value(chance: random.Random, data: Any) -> Any:
    kind = chance.randrange(3)
    if kind == 0:
        return chance.choice(VALUES)
    if kind == 1:
        return chance.choice(WORDS)
    part = data
    while isinstance(part, dict | list) and part and chance.random() < 0.7:
        part = chance.choice(list(part.values()) if isinstance(part, dict) else part)
    return json.loads(json.dumps(part, default=str))


def bombs() -> list[str]:
    """Files made to take all time or memory."""
    deep = "do: [" * 500
    flow = "[{repeat: {at_most: 2, do: " * 30
    head = "agentrag: 1\nname: a\ninputs: {question: str}\noutputs: [answer]\nnodes: {say: {use: t.say, text: a}}\n"
    many = "".join(f"  - choose: [{{when: \"answer == '{n}'\", do: [say]}}, {{otherwise: [say]}}]\n" for n in range(900))
    alias = "a: &a [x, x]\n" + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20))
    return [
        alias,
        head + f"flow: {flow}",
        head + f"flow: [{deep}",
        head + f"flow:\n  - say\n{many}",
        head + f"flow: [{', '.join(['say'] * 9000)}]",
        head + "flow: [say]\nchannels: {" + ", ".join(f"c{n}: {{type: str}}" for n in range(4000)) + "}",
        head + f'flow: [{{choose: [{{when: "{"(" * 400}true{")" * 400}", do: [say]}}, {{otherwise: [say]}}]}}]',
        head + f'flow: [{{choose: [{{when: "{"answer == question || " * 40}true", do: [say]}}, {{otherwise: [say]}}]}}]',
        "? " * 5000,
        "x" * 2_000_000,
    ]


def is_graph_or_located_errors(text: str) -> bool:
    """Whether it is a graph; all that is said against one that is none must have a place and words."""
    begun = time.process_time()
    problems: tuple[Problem, ...] | None = None
    try:
        Program.of(load_graph_text(text, str(GRAPHS / "damaged.yaml"), PROMPTS))
    except SpecError as error:
        problems = error.problems
    assert time.process_time() - begun < MOST_SECONDS, text[:500]
    assert problems is None or problems
    for problem in problems or ():
        assert problem.line >= 1, (text, problem)
        assert problem.column >= 1, (text, problem)
        assert problem.message, (text, problem)
    return problems is None


def peak() -> int:
    """Most bytes that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@pytest.mark.parametrize(
    "count", [2_000, pytest.param(50_000, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])], ids=["some", "many"]
)
def test_a_damaged_file_is_a_graph_or_located_errors(count: int) -> None:
    chance = random.Random(20261125)
    before = peak()
    graphs = 0
    for number in range(count):
        damage = of_text if number % 2 else of_data
        graphs += is_graph_or_located_errors(damage(chance.choice(TEXTS), chance))
    assert 0 < graphs < count  # the damage is neither always deadly nor never
    assert peak() - before < MOST_BYTES


@pytest.mark.parametrize("text", bombs(), ids=range(len(bombs())))
def test_a_file_made_to_take_all_time_or_memory_is_answered_soon(text: str) -> None:
    before = peak()
    is_graph_or_located_errors(text)
    assert peak() - before < MOST_BYTES
