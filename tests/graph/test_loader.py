"""Finding and loading graph files."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agentrag.core.errors import Problem, SpecError
from agentrag.core.prompts import Prompts
from agentrag.core.resources import shipped_graphs
from agentrag.graph.flow.program import Program
from agentrag.graph.loader import load_graph, load_graph_text
from agentrag.graph.plan import plan
from agentrag.graph.spec import GraphSpec

GRAPHS = Path(__file__).parents[1] / "graphs"
TEXTS = [file.read_text() for file in sorted(GRAPHS.glob("*.yaml"))]
PIECES = [
    *"{}[]:#&*!|>'\"%@`~?-,\t\0\x85",
    "\n",
    "  ",
    "- ",
    "\n  - ",
    "null",
    "true",
    "1e999",
    "9" * 5000,
    "<<: ",
    "&a ",
    "*a",
    "!!int ",
]
PIECES += [
    "choose",
    "when",
    "otherwise",
    "flow:",
    "nodes:",
    "use: t.say",
    "{x}",
    "{answer?}",
    "...",
    "---",
    "é",
    "😀",
    "2024-99-99",
    ".nan",
]


def test_every_shipped_graph_loads_by_its_name() -> None:
    assert shipped_graphs()
    for name in shipped_graphs():
        assert load_graph(name).name == name


def test_a_path_beats_a_shipped_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ask").write_text((GRAPHS / "valid-sequence.yaml").read_text())
    assert load_graph("ask").name == "case"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("aks", "Unknown graph 'aks'. Did you mean 'ask'?"),
        ("graphs/nothing.yaml", "Unknown graph 'graphs/nothing.yaml'. Known: "),
        (str(GRAPHS), f"Unknown graph '{GRAPHS}'."),
        ("a" * 5000, f"Unknown graph '{'a' * 197}...'. Known: "),
        ("a\0b", "Unknown graph 'a\0b'. Known: "),
    ],
)
def test_a_graph_that_is_not_there_is_a_located_error(name: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_graph(name)
    assert str(caught.value).startswith(said)


def test_a_file_that_is_not_text_is_a_located_error(tmp_path: Path) -> None:
    file = tmp_path / "latin.yaml"
    file.write_bytes(b"name: caf\xe9")
    with pytest.raises(SpecError, match="cannot be read: 'utf-8' codec"):
        load_graph(file)


PROMPT = "---\nabout: a\nsource: own\nversion: 1\ninputs: {question: data}\n---\n## user\nmine {question}\n"
ASKING = """\
agentrag: 1
name: asking
inputs: {question: str}
outputs: [answer]
models: {writer: default}
nodes: {ask: {use: t.ask, prompt: PROMPT}}
flow: [ask]
"""


@pytest.mark.parametrize("beside", [".", ".."], ids=["beside the file", "beside its folder"])
def test_prompts_are_found_beside_the_file_or_its_folder(tmp_path: Path, beside: str) -> None:
    folder = tmp_path / "graphs"
    prompts = (folder / beside).resolve() / "prompts" / "own"
    prompts.mkdir(parents=True)
    folder.mkdir(exist_ok=True)
    (prompts / "mine.md").write_text(PROMPT)
    (folder / "a.yaml").write_text(ASKING.replace("PROMPT", "own/mine"))
    assert load_graph(folder / "a.yaml").prompts["own/mine"].required == {"question"}
    (folder / "a.yaml").write_text(ASKING.replace("PROMPT", "own/mien"))
    with pytest.raises(SpecError, match=r"Unknown prompt 'own/mien'. Did you mean 'own/mine'\? Known: .*own/mine"):
        load_graph(folder / "a.yaml")


def test_no_prompt_name_leads_out_of_the_prompts(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "secret.md").write_text(PROMPT)
    (tmp_path / "a.yaml").write_text(ASKING.replace("PROMPT", "../secret"))
    with pytest.raises(SpecError, match=r"Unknown prompt '../secret'"):
        load_graph(tmp_path / "a.yaml")


@pytest.mark.parametrize("name", ["9" * 5000, f"{'a' * 101}/b", "a\0/b"], ids=["long", "long part", "zero byte"])
def test_a_prompt_of_a_name_that_no_file_can_have_is_unknown(tmp_path: Path, name: str) -> None:
    with pytest.raises(SpecError, match=r"nodes\.ask\.prompt: Unknown prompt"):
        load_graph_text(ASKING.replace("PROMPT", json.dumps(name)), "f", Prompts(tmp_path))


def test_a_graph_cannot_say_where_its_prompts_are() -> None:
    with pytest.raises(SpecError, match=r"f:8:1 prompts: Unknown key 'prompts'"):
        load_graph_text(ASKING.replace("PROMPT", "answer/short") + "prompts: /etc\n", "f")


INNER = """\
agentrag: 1
name: inner
inputs: {question: str}
outputs: [answer]
nodes: {a: {use: t.say, text: a}, b: {use: t.say, text: b}}
flow: [parallel: {branches: {a: [a], b: [b]}, join: {answer: first}}]
"""
OUTER = """\
agentrag: 1
name: outer
inputs: {question: str}
outputs: [answer]
flow: [graph: {use: inner.yaml, in: {question: question}, out: {answer: answer}}]
nodes: {}
"""


def test_a_graph_is_loaded_anew_when_a_graph_inside_it_or_its_prompt_changed(tmp_path: Path) -> None:
    inner, outer = tmp_path / "inner.yaml", tmp_path / "outer.yaml"
    inner.write_text(INNER)
    outer.write_text(OUTER)
    first = load_graph(outer)
    assert load_graph(outer) is first
    inner.write_text(INNER.replace("{a: [a], b: [b]}", "{b: [b], a: [a]}"))  # equal as data, and another meaning
    second = load_graph(outer)
    assert second is not first
    assert second.graphs["inner.yaml"] is load_graph(inner)
    (tmp_path / "prompts" / "own").mkdir(parents=True)
    (tmp_path / "prompts" / "own" / "mine.md").write_text(PROMPT)
    inner.write_text(ASKING.replace("PROMPT", "own/mine"))
    third = load_graph(outer)
    (tmp_path / "prompts" / "own" / "mine.md").write_text(PROMPT.replace("mine {", "yours {"))
    assert load_graph(outer) is not third


def test_a_graph_inside_is_not_looked_for_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "outer.yaml").write_text(OUTER)
    (tmp_path / "inner.yaml").write_text(INNER)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError, match=r"flow.0.graph.use: Unknown graph 'inner.yaml'"):
        load_graph("sub/outer.yaml")


def chain(folder: Path, depth: int, width: int) -> Path:
    """A graph that runs a graph so many times, which runs another one so many times, and so on."""
    (folder / "g0.yaml").write_text(INNER)
    for level in range(1, depth):
        steps = ", ".join([f"graph: {{use: g{level - 1}.yaml, in: {{question: question}}, out: {{answer: answer}}}}"] * width)
        text = OUTER.replace("name: outer", f"name: g{level}").split("flow:")[0] + f"nodes: {{}}\nflow: [{steps}]\n"
        (folder / f"g{level}.yaml").write_text(text)
    return folder / f"g{depth - 1}.yaml"


def test_graphs_that_run_graphs_are_checked_soon(tmp_path: Path) -> None:
    begun = time.process_time()
    spec = load_graph(chain(tmp_path, depth=8, width=2))
    Program.of(spec)
    plan(spec, {})
    assert time.process_time() - begun < 2.0


@pytest.mark.parametrize(("depth", "width", "said"), [(9, 1, "more than 8 levels deep"), (5, 7, "at most 2,000 may be")])
def test_graphs_that_run_too_many_graphs_are_refused(tmp_path: Path, depth: int, width: int, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        load_graph(chain(tmp_path, depth, width))


def test_a_spec_is_frozen_and_dumps_as_data() -> None:
    spec = load_graph("ask")
    with pytest.raises(ValueError, match="frozen"):
        spec.name = "other"  # type: ignore[misc]  # what the test is about
    assert spec.model_dump(mode="json")["nodes"]["search"]["k"] == 10


def _graph_or_located_errors(text: str) -> None:
    begun = time.process_time()
    problems: tuple[Problem, ...] = ()
    try:
        load_graph_text(text, "f")
    except SpecError as error:
        problems = error.problems or (Problem("", 0, 0, "", ""),)
    assert all(problem.line >= 1 and problem.column >= 1 and problem.message for problem in problems)
    assert time.process_time() - begun < 2.0


@st.composite
def _mutated(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        kind = draw(st.sampled_from(["insert", "delete", "lines", "splice"]))
        if kind == "insert":
            text = text[:at] + draw(st.sampled_from(PIECES) | st.text(max_size=4)) + text[at:]
        elif kind == "delete":
            text = text[:at] + text[at + draw(st.integers(1, 20)) :]
        elif kind == "lines":
            lines = draw(st.permutations(text.splitlines(keepends=True)))
            text = "".join(lines)
        else:
            other = draw(st.sampled_from(TEXTS))
            text = text[:at] + other[draw(st.integers(0, len(other))) :][:40] + text[at:]
    return text


@given(_mutated())
@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@example("")
@example("\ufeff")
@example("{" * 20_000)
@example("- " * 20_000)
@example("a: " * 3000)
def test_any_text_is_a_graph_or_located_errors(text: str) -> None:
    _graph_or_located_errors(text)


@pytest.mark.soak
@given(_mutated())
@settings(max_examples=20_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_text_is_a_graph_or_located_errors_at_length(text: str) -> None:
    _graph_or_located_errors(text)


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["say", "search", "choose"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=6) | st.sampled_from(["choose", "when"]), inner, max_size=3)
    ),
    max_leaves=8,
)
_KEYS = sorted(GraphSpec.model_fields.keys() - {"prompts"})


@given(st.dictionaries(st.sampled_from(_KEYS), _VALUES))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_data_of_any_shape_is_a_graph_or_located_errors(data: dict[str, object]) -> None:
    base: dict[str, object] = {
        "agentrag": 1,
        "name": "a",
        "inputs": {"question": "str"},
        "outputs": ["answer"],
        "flow": ["say"],
    }
    base["nodes"] = {"say": {"use": "t.say", "text": "a"}}
    _graph_or_located_errors(json.dumps({**base, **data}))
