from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agentrag.core.channels import MOST_BYTES
from agentrag.core.deps import Deps
from agentrag.core.errors import DataSetError, RecordingError
from agentrag.core.ports import RecordingKind, Recordings
from agentrag.evaluation.data.dataset import DataSet
from agentrag.evaluation.data.recordings import RUNS_AGENT, RecordedOutputs
from agentrag.nodes.recorded import RecordedDecomposition, RecordedReformulation, RecordedRequests
from agentrag.nodes.variants import MOST_PARTS
from agentrag.testing.fakes import fake_deps

ROOT = Path(os.environ.get("AGENTRAG_DATA", "../shared/data"))
RUNS = [
    {"method": "genqr", "model": "lab/small-7B", "text": "river source"},
    {"method": "genqr", "model": "other/small-7B", "text": "spring"},
    {"method": "genqr", "model": "lab/large", "text": "first"},
    {"method": "genqr", "model": "lab/large", "text": "second"},
    {"method": "query2doc", "model": "large", "text": "The river rises in the forest."},
    {"method": "query2doc", "model": "lab/large", "text": "It rises there."},
]
SECRET = "GOLD"
STEPS = [{"question": "Where is the river?", "answer": SECRET, "doc": SECRET}, {"question": "#1 >> source", "answer": SECRET}]
CALLS = [
    {"action": "route", "query": "server: maps", "matched": [SECRET]},
    {"action": "execute", "tool": SECRET, "known": True, "query": SECRET},
    {"action": "route", "query": "server: rivers", "matched": [SECRET]},
]
ACTIONS = [
    {"thought": SECRET, "action": "search", "query": "Danube"},
    {"thought": SECRET, "action": "lookup", "query": SECRET},
]
LATER = [{"thought": SECRET, "action": "search", "query": SECRET}]


def write(path: Path, *rows: Mapping[str, Any]) -> None:
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@pytest.fixture
def outputs(tmp_path: Path) -> RecordedOutputs:
    folder = tmp_path / "rivers"
    folder.mkdir()
    write(folder / "reformulations.jsonl.gz", {"id": "q1", "runs": RUNS}, {"id": "q2", "runs": RUNS[2:3]})
    write(
        folder / "decompositions.jsonl",
        {"id": "q1", "steps": STEPS},
        {"id": "q2", "steps": ["Is it long?", "Is #1 so?"], "facts": [SECRET]},
    )
    write(folder / "agent_requests.jsonl", {"id": "q1", "model": "sonnet", "calls": CALLS})
    runs = [{"trial": 1, "actions": ACTIONS, "answer": SECRET}, {"trial": 2, "actions": LATER, "answer": SECRET}]
    write(folder / "agent_runs.jsonl", {"id": "q1", "runs": runs})
    return RecordedOutputs(folder)


@pytest.mark.parametrize(
    ("query", "kind", "method", "model", "texts"),
    [
        ("q1", "reformulation", "genqr", "lab/small-7B", ["river source"]),
        ("q1", "reformulation", "genqr", "lab/large", ["first", "second"]),
        ("q1", "reformulation", "genqr", "large", ["first", "second"]),
        ("q1", "reformulation", "query2doc", "large", ["The river rises in the forest."]),
        ("q1", "decomposition", "", "", ["Where is the river?", "#1 >> source"]),
        ("q2", "decomposition", "", "", ["Is it long?", "Is #1 so?"]),
        ("q1", "request", "", "sonnet", ["server: maps", "server: rivers"]),
        ("q1", "request", "", RUNS_AGENT, ["Danube"]),
    ],
)
def test_what_is_recorded_is_found(
    outputs: RecordedOutputs, query: str, kind: RecordingKind, method: str, model: str, texts: list[str]
) -> None:
    recordings: Recordings = outputs.of(query)
    assert recordings.texts(kind, method, model) == texts
    assert (recordings.name, recordings.query) == ("rivers", query)


@pytest.mark.parametrize(
    ("query", "kind", "method", "model", "says"),
    [
        (
            "q1",
            "reformulation",
            "genqe",
            "large",
            r"Data set 'rivers', query 'q1': no reformulation of method 'genqe' of model 'large' can be used\. "
            r"Unknown method 'genqe'\. Did you mean 'genqr'\? Known: genqr, query2doc\.",
        ),
        ("q1", "reformulation", "genqr", "larg", r"model 'larg'\. Did you mean 'large'\? Known: large, small-7B\."),
        ("q1", "reformulation", "genqr", "lab/larg", r"Did you mean 'lab/large'\? Known: lab/large, lab/small-7B, other/small"),
        ("q1", "reformulation", "genqr", "small-7B", r"'small-7B' may be lab/small-7B or other/small-7B: give the whole name"),
        ("q1", "reformulation", "genqr", "7B", r"Unknown model '7B'\."),
        ("q2", "reformulation", "genqr", "lab/small-7B", r"Other queries have it; .* of that method: lab/large\."),
        ("q2", "reformulation", "query2doc", "large", r"Other queries have it; .* of that method: nothing\."),
        ("q9", "reformulation", "genqr", "large", r"query 'q9': .* recorded for it; 2 queries of the data set have something"),
        ("q9", "decomposition", "", "", r"query 'q9': no decomposition can be used\. Nothing of the kind is recorded"),
        ("q1", "request", "", "sonet", r"no request of agent 'sonet' .* Did you mean 'sonnet'\? Known: react, sonnet\."),
    ],
)
def test_a_miss_says_what_there_is(
    outputs: RecordedOutputs, query: str, kind: RecordingKind, method: str, model: str, says: str
) -> None:
    with pytest.raises(RecordingError, match=says):
        outputs.of(query).texts(kind, method, model)


def test_a_data_set_without_such_files_has_nothing(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="0 queries of the data set have something"):
        RecordedOutputs(tmp_path).of("q1").texts("request", "", "react")


def test_an_agent_that_asked_nothing_is_known(outputs: RecordedOutputs) -> None:
    write(outputs.folder / "agent_requests.jsonl", {"id": "q1", "model": "sonnet", "calls": CALLS[1:2]})
    assert outputs.of("q1").texts("request", model="sonnet") == []


def test_each_file_is_read_once_and_not_before_it_is_asked_for(outputs: RecordedOutputs) -> None:
    (outputs.folder / "decompositions.jsonl").write_text("{")
    assert outputs.of("q1").texts("reformulation", "genqr", "lab/large") == ["first", "second"]
    (outputs.folder / "reformulations.jsonl.gz").unlink()
    assert outputs.of("q2").texts("reformulation", "genqr", "lab/large") == ["first"]
    with pytest.raises(DataSetError, match=r"decompositions\.jsonl:1: is not JSON"):
        outputs.of("q1").texts("decomposition")


def test_what_was_handed_out_can_be_changed_without_harm(outputs: RecordedOutputs) -> None:
    outputs.of("q1").texts("decomposition").clear()
    assert len(outputs.of("q1").texts("decomposition")) == 2


def test_other_contents_have_another_version(outputs: RecordedOutputs) -> None:
    before = outputs.version
    assert RecordedOutputs(outputs.folder).version == before
    write(outputs.folder / "agent_requests.jsonl", {"id": "q1", "model": "sonnet", "calls": []})
    assert outputs.version == before
    assert RecordedOutputs(outputs.folder).version != before


ROW = {"id": "q1"}


@pytest.mark.parametrize(
    ("kind", "name", "row", "says"),
    [
        ("reformulation", "reformulations.jsonl.gz", ROW, "'runs' should be a list of objects"),
        ("reformulation", "reformulations.jsonl.gz", ROW | {"runs": ["a"]}, "'runs' should be a list of objects"),
        ("reformulation", "reformulations.jsonl.gz", ROW | {"runs": [{"method": "m", "model": "x"}]}, "no text under 'text'"),
        ("reformulation", "reformulations.jsonl.gz", {"runs": []}, "has no text under 'id'"),
        ("decomposition", "decompositions.jsonl", ROW | {"steps": "a"}, "'steps' should be a list with one step or more"),
        ("decomposition", "decompositions.jsonl", ROW | {"steps": []}, "'steps' should be a list with one step or more"),
        ("decomposition", "decompositions.jsonl", ROW | {"steps": [3]}, "'steps' should be a list of objects"),
        ("decomposition", "decompositions.jsonl", ROW | {"steps": [{"answer": "a"}]}, "has no text under 'question'"),
        ("request", "agent_requests.jsonl", ROW | {"calls": []}, "has no text under 'model'"),
        ("request", "agent_requests.jsonl", ROW | {"model": "x", "calls": [{"action": "route"}]}, "no text under 'query'"),
        ("request", "agent_runs.jsonl", ROW | {"runs": [{"trial": 1}]}, "'actions' should be a list of objects"),
    ],
)
def test_a_wrong_line_is_told_with_its_place(
    outputs: RecordedOutputs, kind: RecordingKind, name: str, row: dict[str, Any], says: str
) -> None:
    write(outputs.folder / name, row)
    with pytest.raises(DataSetError, match=rf"{name}:1: .*{says}"):
        outputs.of("q1").texts(kind)


def test_an_id_that_occurs_twice_is_told(outputs: RecordedOutputs) -> None:
    write(outputs.folder / "decompositions.jsonl", {"id": "q1", "steps": ["a"]}, {"id": "q1", "steps": ["b"]})
    with pytest.raises(DataSetError, match=r"decompositions\.jsonl:2: id 'q1' is already taken"):
        outputs.of("q1").texts("decomposition")


KINDS: tuple[RecordingKind, ...] = ("reformulation", "decomposition", "request")


def test_gold_is_not_even_kept(outputs: RecordedOutputs) -> None:
    kept = {kind: outputs.table(kind) for kind in KINDS}
    assert all(kept.values())
    assert SECRET not in repr(kept)
    assert SECRET not in repr([vars(outputs), vars(outputs.of("q1"))])


async def test_gold_reaches_no_graph(outputs: RecordedOutputs) -> None:
    deps = fake_deps().but(recordings=outputs.of("q1"))
    assert SECRET not in repr([await node({"question": "q"}, deps) for node in every_node()])


def every_node() -> list[Any]:
    agents = [RecordedRequests(agent=agent) for agent in ("sonnet", RUNS_AGENT)]
    return [RecordedReformulation(method="genqr", model="lab/large"), RecordedDecomposition(), *agents]


def public(name: str) -> RecordedOutputs:
    if not ROOT.is_dir():
        pytest.skip(f"there are no evaluation data at {ROOT} (AGENTRAG_DATA)")
    return RecordedOutputs(ROOT / name)


MODELS = ("gpt-4.1", "gpt-4.1-nano", "Qwen2.5-72B-Instruct", "Qwen2.5-7B-Instruct")
SHORT = ("csqe", "genqr", "genqr_ensemble", "lamer", "mugi", "qa_expand", "query2e")
METHODS = (*SHORT, *(f"query2doc-{how}" for how in ("cot", "fs", "zs")))
EXPANSIONS = ("expand-100", "expand-150", "expand-250")
GAPS = {
    ("qa_expand", "Qwen2.5-72B-Instruct"): 40,
    ("qa_expand", "Qwen2.5-7B-Instruct"): 10,
    ("qa_expand", "gpt-4.1"): 1,
    ("qa_expand", "gpt-4.1-nano"): 4,
    ("query2doc-cot", "Qwen2.5-7B-Instruct"): 22,
    ("query2doc-fs", "gpt-4.1-nano"): 2,
}
"""Queries of SciFact for which the model wrote nothing."""


@pytest.mark.parametrize(
    ("name", "queries", "written", "gaps"),
    [
        (
            "scifact",
            183,
            [(method, model) for method in METHODS for model in MODELS]
            + [(method, "gemini-flash") for method in (*EXPANSIONS, "expand-150-special")],
            GAPS,
        ),
        ("nfcorpus", 191, [(method, "gemini-flash") for method in EXPANSIONS], {}),
    ],
    ids=["scifact", "nfcorpus"],
)
def test_every_method_and_model_is_found_for_every_query_but_the_known_gaps(
    name: str, queries: int, written: list[tuple[str, str]], gaps: dict[tuple[str, str], int]
) -> None:
    outputs = public(name)
    table = outputs.table("reformulation")
    assert len(table) == queries
    assert table.keys() <= {query.id for query in DataSet(outputs.folder).queries()}
    missing: Counter[tuple[str, str]] = Counter()
    for query in table:
        for method, model in written:
            try:
                (text,) = outputs.of(query).texts("reformulation", method, model)
            except RecordingError:
                missing[method, model] += 1
            else:
                assert 0 < len(text.encode()) <= MOST_BYTES
    assert missing == gaps
    assert sum(len(texts) for by in table.values() for texts in by.values()) == queries * len(written) - sum(gaps.values())


@pytest.mark.parametrize(("name", "queries"), [("hotpotqa", 30), ("musique", 170), ("strategyqa", 130)])
async def test_of_public_decompositions_the_questions_leave_and_nothing_else(name: str, queries: int) -> None:
    outputs = public(name)
    lines = [json.loads(line) for line in (outputs.folder / "decompositions.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(lines) == queries
    for line in lines:
        questions = [step if isinstance(step, str) else step["question"] for step in line["steps"]]
        assert outputs.table("decomposition")[line["id"]] == {("", ""): questions}
        assert await wrote(RecordedDecomposition(), outputs, line["id"]) == {"sub_questions": questions}
        assert len(questions) <= MOST_PARTS


@pytest.mark.parametrize(
    ("name", "file", "agent", "queries"),
    [
        ("livemcpbench", "agent_requests.jsonl", "claude-sonnet-4-20250514", 56),
        ("hotpotqa", "agent_runs.jsonl", RUNS_AGENT, 51),
    ],
)
async def test_of_public_agents_only_what_they_asked_for_leaves(name: str, file: str, agent: str, queries: int) -> None:
    outputs = public(name)
    lines = [json.loads(line) for line in (outputs.folder / file).read_text(encoding="utf-8").splitlines()]
    assert len(lines) == queries == len(outputs.table("request"))
    for line in lines:
        done = line["calls"] if "calls" in line else line["runs"][0]["actions"]
        asked = [action["query"] for action in done if action["action"] in ("route", "search")]
        assert outputs.table("request")[line["id"]] == {("", agent): asked}
        out = await wrote(RecordedRequests(agent=agent), outputs, line["id"])
        assert out["queries"] == ["?", *list(dict.fromkeys(asked))[:8]]


async def wrote(node: Any, outputs: RecordedOutputs, query: str) -> dict[str, Any]:
    deps: Deps = fake_deps().but(recordings=outputs.of(query))
    return dict(await node({"question": "?"}, deps))
