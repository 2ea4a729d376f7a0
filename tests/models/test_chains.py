"""Chains of bindings: in graph files, settings, Python, plans and runs."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agentrag.app import Graph
from agentrag.back_ends import open_deps
from agentrag.cli.main import app
from agentrag.cli.models import _used
from agentrag.core.bindings import OpenAICompatible
from agentrag.core.errors import ModelError, SettingsError, SpecError
from agentrag.core.settings import DEFAULT_MODEL, Settings, load_settings
from agentrag.core.types import ChatRequest, Message
from agentrag.graph.forms.schema import json_schema
from agentrag.graph.loader import load_graph_text
from agentrag.graph.recorded.manifest import Manifest, changes
from agentrag.models.bind import Models
from agentrag.nodes.decompose import Decompose
from agentrag.testing import Reply, StubChatServer

FILE = """\
agentrag: 1
name: answer
inputs: {question: str}
outputs: [answer]

models: {writer: WRITER}

nodes:
  write: {use: generate, prompt: p/plain, model: writer}

flow:
  - write
"""
HELLO = ChatRequest((Message("user", "Hello"),), max_tokens=9)
PROMPT = "---\nabout: a\nsource: own\nversion: 1\ninputs: {question: data}\n---\n## user\n{question}\n"


def written(folder: Path, writer: str) -> Path:
    """A graph file whose slot `writer` is filled like that, with its prompt beside it."""
    (folder / "prompts" / "p").mkdir(parents=True, exist_ok=True)
    (folder / "prompts" / "p" / "plain.md").write_text(PROMPT)
    (folder / "answer.yaml").write_text(FILE.replace("WRITER", writer))
    return folder / "answer.yaml"


def remote(url: str, **more: Any) -> OpenAICompatible:
    return OpenAICompatible.model_validate({"provider": "openai-compatible", "url": url, "model": "gpt", **more})


def settings(home: Path, **bindings: Any) -> Settings:
    return Settings(home=home, cache=home, models=bindings)


@pytest.mark.parametrize(
    ("models", "says"),
    [
        (
            "  safe: [far, locl]",
            "5:15 models.safe.1: Unknown binding 'locl'. Did you mean 'local'? Known: default, far, local.",
        ),
        ("  safe: [far, safe]", "5:15 models.safe.1: 'safe' is a chain itself; name its members"),
        ("  a: [far, b]\n  b: [far, local]", "5:12 models.a.1: 'b' is a chain itself; name its members"),
        ("  safe: [far]", "5:9 models.safe: ['far']: a chain has two names or more"),
        ("  safe: [far, far]", "5:9 models.safe: ['far', 'far']: 'far' stands in it twice"),
        ("  safe: far", "5:9 models.safe: a binding is a mapping that begins with `provider`, or a list of names of others"),
    ],
    ids=["unknown", "itself", "nested", "one", "twice", "text"],
)
def test_a_chain_in_the_settings_that_cannot_be_is_told_with_its_place(tmp_path: Path, models: str, says: str) -> None:
    file = tmp_path / "agentrag.yaml"
    file.write_text(
        f"runtime: {{waiting: 5}}\nbreaker: {{faults: 3}}\nmodels:\n"
        f'  far: {{provider: openai-compatible, url: "http://host/v1", model: m}}\n{models}\n'
    )
    with pytest.raises(SettingsError, match=re.escape(f"{file}:{says}")):
        load_settings(file)


@pytest.mark.parametrize(
    ("names", "members"),
    [
        ("far", ["far"]),
        ("far,local", ["far", "local"]),
        ("far, local", ["far", "local"]),
        ("safe", ["far", "local"]),
        ("near,safe", ["near", "far", "local"]),
        ("local,safe", ["local", "far"]),
    ],
)
def test_names_stand_for_bindings_and_chains_for_their_members(tmp_path: Path, names: str, members: list[str]) -> None:
    named = settings(tmp_path, far=remote("http://far/v1"), near=remote("http://near/v1"), safe=["far", "local"])
    assert list(named.chain(names)) == members


def test_the_default_may_be_a_chain(tmp_path: Path) -> None:
    named = settings(tmp_path, far=remote("http://far/v1"), default=["far", "local"])
    assert list(named.chain("default")) == ["far", "local"]
    assert _used(named) == {DEFAULT_MODEL: "default", named.embedder: "embedder"}


async def test_a_chain_is_one_model_made_of_those_of_its_members(tmp_path: Path) -> None:
    named = settings(tmp_path, far=remote("http://far/v1"), near=remote("http://near/v1"), safe=["far", "near"])
    async with Models(named) as models:
        assert models.get("far,near") is models.get("safe") is models.get("far, near")
        assert models.get("safe").name == "fallback(openai-compatible/gpt@far, openai-compatible/gpt@near)"
        with pytest.raises(SettingsError, match="Did you mean 'near'"):
            models.get("far,neer")


async def test_bindings_of_one_endpoint_share_its_circuit_and_others_do_not(tmp_path: Path) -> None:
    async with StubChatServer([Reply(status=503, headers={"Retry-After": "0"})]) as down, StubChatServer(["well"]) as up:
        named = settings(tmp_path, one=remote(down.url), two=remote(down.url + "/"), other=remote(up.url))
        async with Models(named.model_copy(update={"breaker": named.breaker.model_copy(update={"faults": 3})})) as models:
            with pytest.raises(ModelError, match="HTTP 503"):
                await models.get("one").complete(HELLO)
            with pytest.raises(ModelError, match=r"127\.0\.0\.1:\d+ is left alone for 30 s more after 3 faults in a row"):
                await models.get("two").complete(HELLO)
            assert (await models.get("other").complete(HELLO)).text == "well"
        assert down.count == 3


@pytest.mark.parametrize("how", ["file", "settings", "argument", "list", "every"])
async def test_a_run_falls_back_where_the_first_model_of_its_slot_cannot_answer(tmp_path: Path, how: str) -> None:
    chain: dict[str, Any] = {
        "argument": {"writer": "far,near"},
        "list": {"writer": ["far", "near"]},
        "every": {"*": "far,near"},
    }
    async with StubChatServer([Reply(status=401)]) as far, StubChatServer(["from near"]) as near:
        named = settings(tmp_path, far=remote(far.url), near=remote(near.url), safe=["far", "near"])
        graph = Graph.load(str(written(tmp_path, {"file": "[far, near]", "settings": "safe"}.get(how, "default"))))
        async with open_deps(graph, named, models=chain.get(how)) as deps:
            result = await graph.run(deps, question="Who?")
            assert deps.origin.options["models"] == dict.fromkeys(chain.get(how, ()), "far,near")
    assert (result["answer"], result.usage["write"].calls, far.count, near.count) == ("from near", 2, 1, 1)


@pytest.mark.parametrize(
    ("writer", "says"),
    [
        ("[far, neer]", "6:24 models.writer.1: Unknown binding 'neer'. Did you mean 'near'? Known: default, far, local, near."),
        ("neer", "6:18 models.writer: Unknown binding 'neer'. Did you mean 'near'? Known: default, far, local, near."),
    ],
    ids=["chain", "one"],
)
async def test_a_name_in_a_graph_file_that_no_binding_has_is_told_with_its_place(
    tmp_path: Path, writer: str, says: str
) -> None:
    file = written(tmp_path, writer)
    named = settings(tmp_path, far=remote("http://far/v1"), near=remote("http://near/v1"))
    with pytest.raises(SettingsError, match=re.escape(f"{file}:{says}")):
        async with open_deps(Graph.load(str(file)), named):
            pass
    async with open_deps(Graph.load(str(file)), named, models={"writer": "near"}):
        """What the file says does not matter where the run says otherwise."""


@pytest.mark.parametrize(("model", "calls"), [("far", 4), ("far,near", 8), ("safe", 6), ("far,neer", None)])
def test_a_plan_reckons_with_all_models_of_a_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, calls: int | None
) -> None:
    server = '{provider: openai-compatible, url: "http://host/v1", model: m}'
    (tmp_path / "agentrag.yaml").write_text(f"models: {{far: {server}, near: {server}, safe: [far, local]}}\n")
    monkeypatch.setenv("AGENTRAG_CONFIG", str(tmp_path / "agentrag.yaml"))
    monkeypatch.setenv("AGENTRAG_HOME", str(tmp_path))
    done = CliRunner().invoke(app, ["plan", str(written(tmp_path, "default")), "-m", model, "--json"])
    if calls is None:
        assert (done.exit_code, "Unknown binding 'neer'. Did you mean 'near'?" in done.output) == (1, True)
    else:
        assert json.loads(done.stdout)["worst"]["calls"] == calls


def python_graph(writer: str | Sequence[str]) -> Graph:
    return Graph(
        "cut",
        nodes={"cut": Decompose()},
        flow=["cut"],
        inputs={"question": "str"},
        outputs=["sub_questions"],
        models={"writer": writer},
    )


@pytest.mark.parametrize("given", ["far,local", "far, local", ["far", "local"], ("far", "local")])
def test_a_graph_in_python_takes_a_chain_as_text_or_as_a_list(given: str | Sequence[str]) -> None:
    spec = python_graph(given).spec
    assert spec.models == {"writer": ("far", "local")}
    assert spec.slots == {"writer": "far,local"}


def test_a_chain_goes_to_yaml_and_back_and_stays_where_it_stands(tmp_path: Path) -> None:
    file = written(tmp_path, "[ far, local ]")
    graph = Graph.load(str(file))
    assert graph.to_yaml() == file.read_text()
    canonical = python_graph(["far", "local"]).to_yaml()
    assert "models: {writer: [far, local]}" in canonical
    assert load_graph_text(canonical, "again.yaml").models == {"writer": ("far", "local")}


@pytest.mark.parametrize("other", ["far", "[local, far]", "[far, local, default]"])
def test_another_chain_is_another_graph_for_a_run_that_goes_on(tmp_path: Path, other: str) -> None:
    before = Graph.load(str(written(tmp_path, "[far, local]"))).spec
    parts = Manifest.of(before).parts
    assert changes(parts, before) == []
    after = Graph.load(str(written(tmp_path, other))).spec
    assert [problem.path for problem in changes(parts, after)] == ["models.writer"]


def test_editors_are_told_what_a_slot_takes() -> None:
    (choice,) = [json_schema()["properties"]["models"]["additionalProperties"]]
    assert choice["if"] == {"type": "string"}
    assert choice["else"] == {"type": "array", "items": {"type": "string"}, "minItems": 2, "uniqueItems": True}


def test_a_chain_that_is_wrong_in_python_is_told_by_its_path() -> None:
    with pytest.raises(SpecError, match=r"graph 'cut' models.writer: \['far', 'far'\]: 'far' stands in it twice"):
        python_graph("far,far")


async def test_six_parallel_nodes_that_are_told_to_wait_a_moment_are_all_answered(tmp_path: Path) -> None:
    names = [f"n{number}" for number in range(6)]
    call = "use: generate, prompt: p/plain, max_tokens:"
    nodes = "".join(f"  {name}: {{{call} {9 + n}, out: {{answer: {name}}}}}\n" for n, name in enumerate(names))
    channels = "".join(f"  {name}: {{type: str}}\n" for name in names)
    branches = ", ".join(f"{name}: [{name}]" for name in names)
    head = f"agentrag: 1\nname: six\ninputs: {{question: str}}\noutputs: [{', '.join(names)}]\nmodels: {{writer: default}}\n"
    file = written(tmp_path, "default").with_name("six.yaml")
    file.write_text(f"{head}channels:\n{channels}nodes:\n{nodes}flow:\n  - parallel: {{branches: {{{branches}}}}}\n")
    busy = Reply(status=429, headers={"Retry-After": "0.1"})
    graph = Graph.load(str(file))
    async with (
        StubChatServer([busy] * 6 + ["well"], latency=0.05) as server,
        open_deps(graph, settings(tmp_path, default=remote(server.url))) as deps,
    ):
        result = await graph.run(deps, question="Who?")
    assert [result[name] for name in names] == ["well"] * 6
