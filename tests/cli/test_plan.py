from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentrag.graph.interpreter import Program, execute
from agentrag.graph.loader import load_graph
from agentrag.journal.sqlite import SqliteJournal
from agentrag.testing import ScriptedModel, fake_deps, passages
from tests.cli.conftest import Command

LOOP = """\
agentrag: 1
name: loop
inputs: {question: str}
outputs: [answer]
models: {writer: priced}
nodes:
  search: {use: retrieve, k: 3}
  say: {use: generate, prompt: answer/short, max_tokens: 10, temperature: 0.5, retry: 1, timeout: 30}
  again: {use: compose, text: "{question}", out: {text: standalone}}
  pick: {use: evidence, tokens: 20, timeout: 10}
flow:
  - again
  - search
  - pick
  - repeat: {do: [say], until: "answer == 'done'", at_most: 3}
"""
BINDINGS = """\
models:
  priced: {provider: openai-compatible, url: "http://127.0.0.1:9", model: m, price_in: 1, price_out: 10}
  silent: {provider: openai-compatible, url: "http://127.0.0.1:9", model: m}
"""


WORST_CALLS = 1 + 1 + 3 * 2 * 4
"""A search, an embedding, and a loop of three rounds of two attempts of a node whose client tries four times."""


@pytest.fixture
def graph(tmp_path: Path) -> str:
    """A graph with a loop, beside settings that name two bindings."""
    (tmp_path / "loop.yaml").write_text(LOOP, encoding="utf-8")
    (tmp_path / "agentrag.yaml").write_text(BINDINGS, encoding="utf-8")
    return "loop.yaml"


def planned(command: Command, *arguments: str) -> dict[str, Any]:
    done = command("plan", *arguments, "--json")
    assert (done.code, done.err) == (0, "")
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_a_plan_as_json_has_three_cases_and_each_node(command: Command, graph: str) -> None:
    made = planned(command, graph)
    assert {"calls", "passages", "tokens", "usd", "seconds"} == made["worst"].keys() == made["best"].keys()
    assert [made[case]["calls"] for case in ("best", "expected", "worst")] == [2, 4, WORST_CALLS]
    assert made["worst"]["seconds"] == 600 + 600 + 10 + 3 * (2 * 30 + 30)
    assert made["worst"]["usd"] > made["expected"]["usd"] > made["best"]["usd"] > 0
    assert [(node["node"], node["step"], node["times"]) for node in made["nodes"]] == [
        ("again", "flow.0:again", 1),
        ("search", "flow.1:search", 1),
        ("pick", "flow.2:pick", 1),
        ("say", "flow.3.repeat.0:say", 3),
    ]


def test_a_plan_for_people_is_two_tables(command: Command, graph: str) -> None:
    done = command("plan", graph)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].split() == ["calls", "passages", "tokens", "USD", "seconds"]
    assert [line.split()[:3] for line in lines[1:4]] == [["best", "2", "0"], ["expected", "4", "3"], ["worst", "26", "3"]]
    assert any(line.split()[:7] == ["say", "3", "1", "/", "2", "/", "24"] for line in lines)
    assert lines[-1] == "Expected rests on assumptions: no earlier run."


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (["--max-calls", "25"], ["--max-calls 25: the worst case is 26 calls. Most of it: say 24 (flow.3.repeat.0:say), "]),
        (["--max-seconds", "1479"], ["--max-seconds 1479: the worst case is 1,480 seconds. Most of it: again 600"]),
        (
            ["--max-tokens", "9", "--max-usd", "0.01"],
            ["--max-usd 0.01: the worst case is", "--max-tokens 9: the worst case is"],
        ),
    ],
    ids=["calls", "seconds", "several"],
)
def test_a_worst_case_over_a_limit_ends_with_3_and_names_what_weighs_most(
    command: Command, graph: str, limits: list[str], said: list[str]
) -> None:
    done = command("plan", graph, "--json", *limits)
    assert done.code == 3
    assert json.loads(done.out)["worst"]["calls"] == WORST_CALLS
    errors = done.err.splitlines()
    assert len(errors) == len(said)
    assert all(line.startswith(f"error: {part}") for line, part in zip(errors, said, strict=True))


def test_a_worst_case_at_its_limits_is_well(command: Command, graph: str) -> None:
    assert command("plan", graph, "--max-calls", str(WORST_CALLS), "--max-seconds", "1480").code == 0


@pytest.mark.parametrize("how", [["-m", "silent"], ["--models", "writer=silent"]])
def test_a_price_that_is_not_known_exceeds_every_limit(command: Command, graph: str, how: list[str]) -> None:
    done = command("plan", graph, *how)
    told = "the price of the model in slot 'writer' ('silent') is not known"
    assert (done.code, done.err) == (0, f"{told}\n")
    assert done.out.splitlines()[3].split()[-2] == "?"
    assert planned(command, graph, *how)["worst"]["usd"] is None
    limited = command("plan", graph, *how, "--max-usd", "1000")
    assert limited.code == 3
    assert limited.err.endswith(f"error: --max-usd 1000: what models cost is not known. {told}\n")


def test_a_local_model_costs_nothing(command: Command, graph: str) -> None:
    made = planned(command, graph, "-m", "local")
    assert made["worst"]["usd"] == 0
    assert made["worst"]["calls"] == 1 + 1 + 3 * 2 * 2


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nothing.yaml"], 1, "error: "),
        (["asq"], 1, "error: Unknown graph 'asq'. Did you mean 'ask'?"),
        (["ask", "--models", "writter=local"], 1, "error: Unknown model slot 'writter'. Did you mean 'writer'?"),
        (["ask", "-m", "big"], 1, "error: Unknown binding 'big'."),
        (["broken.yaml"], 1, "error: broken.yaml:6:17 "),
        (["ask", "--models", "writer"], 2, "error: --models takes KEY=VALUE"),
        (["ask", "--max-calls", "many"], 2, "Usage: "),
        (["ask", "--max-calls", "-1"], 2, "Usage: "),
        ([], 2, "Usage: "),
    ],
)
def test_what_is_wrong_is_told_on_standard_error(
    command: Command, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    head = "agentrag: 1\nname: broken\ninputs: {question: str}\noutputs: [answer]\nnodes:\n"
    (tmp_path / "broken.yaml").write_text(f"{head}  search: {{use: retreive}}\nflow: [search]\n", encoding="utf-8")
    done = command("plan", *arguments)
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith(said)


async def test_what_earlier_runs_cost_is_expected(command: Command, graph: str, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    journal = SqliteJournal(tmp_path / "home" / "journal.sqlite")
    try:
        for number, replies in enumerate([["done"], ["no", "no", "no"]]):
            deps = fake_deps(ScriptedModel(replies), passages("The ferry holds 12 cars."))
            deps = replace(deps, journal=journal, run=f"run-{number}")
            await execute(Program.of(load_graph(tmp_path / graph)), {"question": "How many cars?"}, deps)
    finally:
        journal.close()
    made = planned(command, graph)
    assert made["runs"] == 2
    assert made["expected"]["calls"] == 2 + (1 + 3) / 2
    assert command("plan", graph).out.endswith("\nExpected is the mean of 2 earlier runs.\n")


def test_a_journal_that_cannot_be_read_does_not_keep_from_planning(command: Command, graph: str, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "journal.sqlite").write_text("no database, whatever its name says")
    done = command("plan", graph)
    assert done.code == 0
    assert done.err.startswith("earlier runs do not count: ")
