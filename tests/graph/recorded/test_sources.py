"""A graph from the texts that a run keeps of it; graphs with other settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agentrag.core.errors import SpecError
from agentrag.core.ports import RunRecord
from agentrag.core.resources import shipped_graphs
from agentrag.graph.loader import load_graph
from agentrag.graph.recorded.manifest import Manifest, changes
from agentrag.graph.recorded.sources import recorded_graph, with_settings
from agentrag.graph.spec import GraphSpec

INNER = """\
agentrag: 1
name: inner
inputs: {question: str}
outputs: [answer]
nodes: {say: {use: t.say, text: "%s"}}
flow: [say]
"""
OUTER = """\
agentrag: 1
name: outer
inputs: {question: str}
outputs: [answer]
models: {writer: default}
nodes: {ask: {use: t.ask, prompt: t/own}}
flow:
  - ask
  - graph: {use: parts/one.yaml, in: {question: question}, out: {answer: answer}}
  - graph: {use: parts/two.yaml, in: {question: question}, out: {answer: answer}}
"""
PROMPT = "---\nabout: x\nsource: own\nversion: 1\ninputs: {question: data}\n---\n## user\n{question}\n"


def nested(folder: Path) -> GraphSpec:
    """A graph that runs two others of the same name, with a prompt of its own."""
    for name in ("one", "two"):
        path = folder / "parts" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(INNER % name, encoding="utf-8")
    (folder / "prompts" / "t").mkdir(parents=True)
    (folder / "prompts" / "t" / "own.md").write_text(PROMPT, encoding="utf-8")
    (folder / "outer.yaml").write_text(OUTER, encoding="utf-8")
    return load_graph(folder / "outer.yaml")


def record_of(spec: GraphSpec) -> RunRecord:
    manifest = Manifest.of(spec)
    return RunRecord("r1", spec.name, parts=manifest.parts, sources=manifest.sources)


@pytest.mark.parametrize("name", shipped_graphs())
def test_every_shipped_graph_is_built_again_as_it_was(name: str) -> None:
    spec = load_graph(name)
    built = recorded_graph(record_of(spec))
    assert built.model_dump() == spec.model_dump()
    assert changes(record_of(spec).parts, built) == []


def test_a_graph_that_runs_others_is_built_from_the_record_alone(tmp_path: Path) -> None:
    spec = nested(tmp_path)
    record = record_of(spec)
    for path in tmp_path.rglob("*.*"):
        path.unlink()
    built = recorded_graph(record)
    assert changes(record.parts, built) == []
    assert {use: inner.nodes["say"].text for use, inner in built.graphs.items()} == {  # type: ignore[attr-defined]  # t.say
        "parts/one.yaml": "one",
        "parts/two.yaml": "two",
    }
    assert built.prompts.text("t/own") == PROMPT


@pytest.mark.parametrize(
    ("part", "old", "new", "said"),
    [
        ("graph", "use: t.ask", "use: t.asks", "run r1:11:14 nodes.ask.use: Unknown node 't.asks'. Did you mean 't.ask'?"),
        ("graph", "prompt: t/own", "prompt: t/own, k: 3", "nodes.ask.k: Unknown key 'k'. Known: model, out"),
        ("graph", "outputs:", "- outputs:", "run r1:"),
        ("graphs.parts/one.yaml.graph", "t.say", "t.sai", "graph 'parts/one.yaml' is wrong: run r1, graph parts/one.yaml:9:14"),
        ("graphs.parts/two.yaml.graph", None, None, "Unknown graph 'parts/two.yaml'"),
        ("graph", None, None, "run r1 keeps no graph to build again: a node of it has no registered name"),
    ],
    ids=["node type", "setting", "no YAML", "inner graph", "no inner graph", "no graph"],
)
def test_what_does_not_load_here_is_told_with_its_place(
    tmp_path: Path, part: str, old: str | None, new: str | None, said: str
) -> None:
    record = record_of(nested(tmp_path))
    texts = dict(record.sources)
    if old is None or new is None:
        del texts[part]
    else:
        texts[part] = texts[part].replace(old, new)
    with pytest.raises(SpecError) as caught:
        recorded_graph(replace(record, sources=texts))
    assert said in str(caught.value)


def test_a_run_that_no_graph_made_says_so() -> None:
    with pytest.raises(SpecError, match="run r1 keeps no graph to build again: no graph made it"):
        recorded_graph(RunRecord("r1", ""))


def test_other_settings_are_checked_as_in_a_file_and_all_errors_told(tmp_path: Path) -> None:
    spec = nested(tmp_path)
    assert with_settings(spec, {"ask.retry": "2", "ask.timeout": 5}).nodes["ask"].retry == 2
    with pytest.raises(SpecError) as caught:
        with_settings(spec, {"ask.retry": 99, "aks.retry": 1, "ask.retyr": 1, "ask.prompt": "t/none"})
    assert len(caught.value.problems) == 4
    assert "Unknown key 'retyr'. Did you mean 'retry'?" in str(caught.value)
