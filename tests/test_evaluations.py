"""Evaluations from beginning to end, with a stub of a model server where a model is needed."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from agentrag import Graph, compare, evaluate, load_evaluation
from agentrag.core.errors import DataSetError, RunError, StoreError, UnknownNameError
from agentrag.core.settings import Settings
from agentrag.evaluation.data.dataset import DataSet
from agentrag.evaluation.evaluation import ranked_evaluation
from agentrag.evaluation.scoring.metrics import metric
from agentrag.evaluations import Watch, resume
from agentrag.journal.history import History
from agentrag.nodes.compose import Compose
from agentrag.testing.server import Reply, Script, StubChatServer
from tests.evaluation.conftest import ECHO, write_lines, write_rivers

RECALLED = """\
agentrag: 1
name: recalled
inputs: {question: str}
outputs: [answer]
nodes:
  recall: {use: reformulate.recorded, method: expand, model: strong}
  say: {use: compose, text: "{variant_1}", out: {text: answer}}
flow: [recall, say]
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", cache=tmp_path / "cache")


@pytest.fixture
def rivers(tmp_path: Path) -> Path:
    return write_rivers(tmp_path / "rivers")


@asynccontextmanager
async def served(
    settings: Settings, script: list[Script] | Callable[[dict[str, Any]], Script]
) -> AsyncIterator[tuple[Settings, StubChatServer]]:
    """Settings whose default model is a stub, and the stub."""
    async with StubChatServer(script) as server:
        binding = {"provider": "openai-compatible", "url": server.url, "model": "stub", "timeout": 5}
        yield Settings(home=settings.home, cache=settings.cache, models={"default": binding}), server


def echo(folder: Path, text: str = ECHO) -> str:
    (folder / "graph.yaml").write_text(text, encoding="utf-8")
    return str(folder / "graph.yaml")


def as_asked(text: str) -> Graph:
    """A graph made in Python that answers with a text, which may hold {question}."""
    nodes = {"say": Compose(text=text, out={"text": "answer"})}
    return Graph("as-asked", nodes=nodes, flow=["say"], inputs={"question": "str"}, outputs=["answer"])


async def test_a_retriever_is_scored_and_everything_is_in_its_folder(rivers: Path, settings: Settings) -> None:
    found = await evaluate("bm25-plain", rivers, settings=settings, metrics=("ndcg@10", "success@1"))
    assert found.folder is not None
    assert found.folder.parent == settings.home / "evals"
    assert [name for name in found.metrics if metric(name).kind == "ranking"] == ["ndcg@10", "success@1"]
    assert found.metrics["success@1"].mean == 1.0
    assert {path.name for path in found.folder.iterdir()} - {".lock"} == {
        "run.json", "queries.jsonl", "qrels.tsv", "answers.jsonl", "run.trec", "scores.csv", "metrics.json",
    }  # fmt: skip
    about = found.about
    assert about["command"] == f"agentrag eval bm25-plain --data {rivers} --metric ndcg@10 --metric success@1"
    assert about["data"]["sha256"].keys() == {"corpus.jsonl.gz", "queries.jsonl", "qrels.tsv", "unanswerable.jsonl"}
    assert {"agentrag", "bm25s", "ir-measures"} <= about["environment"]["packages"].keys()


async def test_an_equal_evaluation_is_compared_without_a_difference(rivers: Path, settings: Settings) -> None:
    one, two = [await evaluate("bm25-plain", DataSet(rivers), settings=settings) for _ in range(2)]
    found = compare(one, two, metrics=["ndcg@10"])
    assert [(row["difference"], row["verdict"]) for row in found.rows()] == [(0.0, "no difference shown")]
    assert compare(one.folder or "", two.folder or "", metrics=["ndcg@10"]).rows() == found.rows()


async def test_a_graph_made_in_python_is_evaluated(rivers: Path, settings: Settings) -> None:
    found = await evaluate(as_asked("The Black Forest."), rivers, settings=settings)
    assert found.metrics["contains"].mean == pytest.approx(1 / 3)
    assert found.about["setup"]["system"] == "as-asked"
    assert (found.folder / "graph.yaml").read_text().startswith("agentrag: 1\nname: as-asked\n")  # type: ignore[operator]  # it has one


async def test_unanswerable_questions_are_asked_beside_and_judged_by_refusals(rivers: Path, settings: Settings) -> None:
    found = await evaluate(as_asked("x"), rivers, settings=settings, unanswerable=5)
    assert (found.n, found.metrics["abstention_recall"].mean) == (4, 0.0)
    (rivers / "unanswerable.jsonl").unlink()
    with pytest.raises(DataSetError, match="has no unanswerable questions in the half 'all'"):
        await evaluate(as_asked("x"), rivers, settings=settings, unanswerable=5)


async def test_a_stopped_evaluation_goes_on_where_it_was_and_pays_nothing_twice(rivers: Path, settings: Settings) -> None:
    class StoppedError(Exception):
        """What ends it."""

    def stop(_: object) -> None:
        raise StoppedError

    folder = rivers.parent / "run"
    async with served(settings, ["North Sea"]) as (served_settings, server):
        graph = echo(rivers.parent)
        with pytest.raises(StoppedError):
            await evaluate(graph, rivers, settings=served_settings, folder=folder, watch=Watch(answered=stop))
        assert load_evaluation(folder).n == 1
        told: list[int] = []
        found = await resume(folder, settings=served_settings, watch=Watch(asking=lambda _, total: told.append(total)))
        assert (found.n, told, len(server.bodies)) == (3, [2], 3)
        assert (await resume(folder, settings=served_settings)).metrics == found.metrics
        assert len(server.bodies) == 3


async def test_calls_that_were_finished_before_a_kill_are_taken_from_the_journal(rivers: Path, settings: Settings) -> None:
    folder = rivers.parent / "run"
    async with served(settings, ["North Sea"]) as (served_settings, server):
        await evaluate(echo(rivers.parent), rivers, settings=served_settings, folder=folder)
        (folder / "answers.jsonl").unlink()  # as if it had been killed before the first answer was written down
        found = await resume(folder, settings=served_settings)
    assert (found.n, len(server.bodies)) == (3, 3)
    with History(folder / "calls.sqlite") as history:
        assert len(history.runs()) == 3


async def test_questions_that_failed_are_asked_again_when_it_goes_on(rivers: Path, settings: Settings) -> None:
    def moody(body: dict[str, Any]) -> Script:
        return Reply(status=400, error="not now") if "Danube" in str(body) and len(server.bodies) <= 3 else "North Sea"

    async with served(settings, moody) as (served_settings, server):
        first = await evaluate(echo(rivers.parent), rivers, settings=served_settings, folder=rivers.parent / "run")
        assert list(first.failed) == ["q1"]
        again = await resume(rivers.parent / "run", settings=served_settings)
    assert (again.failed, len(server.bodies)) == ({}, 4)


@pytest.mark.parametrize("changed", ["graph", "data"])
async def test_an_evaluation_of_something_else_by_now_is_not_gone_on_with(
    rivers: Path, settings: Settings, changed: str
) -> None:
    folder = rivers.parent / "run"
    async with served(settings, ["x"]) as (served_settings, _):
        await evaluate(echo(rivers.parent), rivers, settings=served_settings, folder=folder)
        if changed == "graph":
            echo(rivers.parent, ECHO.replace("model: writer}", "model: writer, max_tokens: 9}"))
        else:
            (rivers / "qrels.tsv").write_text("header\nq1\tp2\t1\n", encoding="utf-8")
        with pytest.raises(DataSetError, match="is not what it was when this began"):
            await resume(folder, settings=served_settings)


async def test_a_folder_is_never_written_over(rivers: Path, settings: Settings) -> None:
    (rivers.parent / "run").mkdir()
    (rivers.parent / "run" / "mine.txt").write_text("kept")
    with pytest.raises(StoreError, match="is there already"):
        await evaluate("bm25-plain", rivers, settings=settings, folder=rivers.parent / "run")


async def test_one_process_at_a_time_works_on_an_evaluation(rivers: Path, settings: Settings) -> None:
    folder = rivers.parent / "run"
    await evaluate("bm25-plain", rivers, settings=settings, folder=folder)
    lock = FileLock(folder / ".lock")
    with lock, pytest.raises(StoreError, match="Another process works on the evaluation"):
        await asyncio.to_thread(asyncio.run, resume(folder, settings=settings))


async def test_an_evaluation_in_which_everything_fails_is_an_error(rivers: Path, settings: Settings) -> None:
    async with served(settings, [Reply(status=401, error="bad key")]) as (served_settings, _):
        with pytest.raises(RunError, match="All of the first 3 questions failed"):
            await evaluate(echo(rivers.parent), rivers, settings=served_settings)


async def test_a_cassette_answers_a_second_evaluation(rivers: Path, settings: Settings) -> None:
    cassette = str(rivers.parent / "calls.sqlite")
    async with served(settings, ["North Sea"]) as (served_settings, server):
        runs = [
            await evaluate(echo(rivers.parent), rivers, settings=served_settings, cassette=cassette, concurrency=3)
            for _ in "ab"
        ]
    first, second = runs
    assert len(server.bodies) == 3
    assert (first.usage["write"].calls, second.usage["write"].reused) == (3, 3)
    assert {name: second.metrics[name] for name in ("em", "f1", "calls", "tokens", "seconds")} == {
        name: first.metrics[name] for name in ("em", "f1", "calls", "tokens", "seconds")
    }
    assert second.outcomes[0].answered == first.outcomes[0].answered or second.metrics["seconds"] == first.metrics["seconds"]


async def test_fields_of_the_queries_fill_inputs_but_never_the_answers(rivers: Path, settings: Settings) -> None:
    graph = Graph(
        "told",
        nodes={"say": Compose(text="{kind}", out={"text": "answer"})},
        flow=["say"],
        inputs={"question": "str", "kind": "str"},
        outputs=["answer"],
    )
    rows = [json.loads(line) for line in (rivers / "queries.jsonl").read_text().splitlines()]
    for row in rows:
        row |= {"type": "place", "steps": row["answers"][0], "verdict": row["answers"][0]}
    (rivers / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = await evaluate(graph, rivers, settings=settings, fields={"kind": "type"})
    assert [outcome.answered and outcome.answered.answer for outcome in found.outcomes] == ["place"] * 3
    for field, says in (("steps", "holds what the answers"), ("verdict", "holds the answers"), ("answers", "holds what")):
        with pytest.raises(DataSetError, match=says):
            await evaluate(graph, rivers, settings=settings, fields={"kind": field})


async def test_a_graph_that_asks_for_the_answers_is_refused(rivers: Path, settings: Settings) -> None:
    graph = Graph(
        "cheat",
        nodes={"say": Compose(text="{answers}", out={"text": "answer"})},
        flow=["say"],
        inputs={"question": "str", "answers": "str"},
        outputs=["answer"],
    )
    with pytest.raises(DataSetError, match="Graph 'cheat' asks for 'answers'"):
        await evaluate(graph, rivers, settings=settings)


async def test_recorded_reformulations_reach_the_graph_by_the_id_of_the_query(rivers: Path, settings: Settings) -> None:
    rows = [{"id": name, "runs": [{"method": "expand", "model": "a/strong", "text": f"of {name}"}]} for name in ("q1", "q2")]
    with gzip.open(rivers / "reformulations.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    found = await evaluate(echo(rivers.parent, RECALLED), rivers, settings=settings)
    answers = {outcome.query.id: outcome.answered and outcome.answered.answer for outcome in found.outcomes}
    assert answers == {"q1": "of q1", "q2": "of q2", "q3": None}
    assert "q3" in found.failed["q3"]
    assert "rivers" in found.failed["q3"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"metrics": ("ndgc@10",)}, "Did you mean 'ndcg@k'"),
        ({"models": {"*": "local"}}, "takes no models"),
        ({"inputs": {"weight": "0.3"}}, "Unknown input 'weight'"),
        ({"inputs": {"k": "0"}}, r"k is in 1\.\.1000"),
        ({"inputs": {"k": "many"}}, "k and depth are whole numbers"),
        ({"split": "dev"}, "has no splits"),
    ],
    ids=["metric", "models", "weight", "range", "number", "split"],
)
async def test_what_does_not_fit_is_told_before_anything_is_asked(
    rivers: Path, settings: Settings, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(DataSetError, match=says):
        await evaluate("bm25-plain", rivers, settings=settings, **options)
    assert not (settings.home / "evals").exists()


async def test_an_evaluation_goes_on_from_another_folder_and_under_another_name(
    rivers: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(settings, ["North Sea"]) as (served_settings, server):
        echo(rivers.parent)
        monkeypatch.chdir(rivers.parent)
        options = {"settings": served_settings, "folder": "run", "cassette": "tape.sqlite"}
        await evaluate("graph.yaml", "rivers", **options)  # type: ignore[arg-type]  # as a user would write it
        (rivers.parent / "run" / "answers.jsonl").unlink()
        (rivers.parent / "run").rename(rivers.parent / "moved")
        (rivers.parent / "elsewhere").mkdir()
        monkeypatch.chdir(rivers.parent / "elsewhere")
        found = await resume(rivers.parent / "moved", settings=served_settings)
    assert (found.n, len(server.bodies)) == (3, 3)
    assert list((rivers.parent / "elsewhere").iterdir()) == []


async def test_two_runs_with_one_cassette_and_folders_of_one_name_are_two_runs(rivers: Path, settings: Settings) -> None:
    hot = ECHO.replace("model: writer}", "model: writer, temperature: 0.7}")
    async with served(settings, ["North Sea"]) as (served_settings, server):
        graph = echo(rivers.parent, hot)
        for seed in ("one", "two"):
            cassette = rivers.parent / "tape.sqlite"
            await evaluate(graph, rivers, settings=served_settings, folder=rivers.parent / seed / "run", cassette=cassette)
    assert len(server.bodies) == 6  # what is drawn at random is drawn again


async def test_questions_that_never_succeed_do_not_keep_an_evaluation_from_ending(rivers: Path, settings: Settings) -> None:
    def moody(body: dict[str, Any]) -> Script:
        return Reply(status=400, error="never") if "Danube" in str(body) else "North Sea"

    async with served(settings, moody) as (served_settings, _):
        await evaluate(echo(rivers.parent), rivers, settings=served_settings, folder=rivers.parent / "run")
        again = await resume(rivers.parent / "run", settings=served_settings)
    assert list(again.failed) == ["q1"]
    assert again.n == 3


async def test_an_id_is_of_a_query_or_of_an_unanswerable_question(rivers: Path, settings: Settings) -> None:
    (rivers / "unanswerable.jsonl").write_text('{"id": "q1", "text": "How long is the Nile?"}\n')
    with pytest.raises(DataSetError, match="id 'q1' is that of a query and of an unanswerable question"):
        await evaluate(as_asked("x"), rivers, settings=settings, unanswerable=5)


async def test_queries_are_chosen_by_their_fields(rivers: Path, settings: Settings) -> None:
    found = await evaluate("bm25-plain", rivers, settings=settings, where={"type": "place"})
    assert [outcome.query.id for outcome in found.outcomes] == ["q1"]
    with pytest.raises(DataSetError, match=r"Unknown field 'tpye'\. Did you mean 'type'"):
        await evaluate("bm25-plain", rivers, settings=settings, where={"tpye": "place"})
    with pytest.raises(DataSetError, match="no questions in the half 'all', where type is 'None'"):
        await evaluate("bm25-plain", rivers, settings=settings, where={"type": "None"})


async def test_a_name_that_is_neither_graph_nor_retriever_is_told_with_both(rivers: Path, settings: Settings) -> None:
    with pytest.raises(UnknownNameError, match=r"Unknown graph or retriever 'bm52'\. Did you mean 'bm25'"):
        await evaluate("bm52", rivers, settings=settings)


async def test_ids_with_white_space_are_ranked_written_and_read_again(tmp_path: Path, settings: Settings) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    write_lines(folder / "corpus.jsonl", [{"id": "Get  the\u00a0news", "text": "news of today"}, {"id": 7, "text": "weather"}])
    write_lines(folder / "queries.jsonl", [{"id": "q 1", "text": "news"}, {"id": 2, "text": "weather"}])
    (folder / "qrels.tsv").write_text("q\td\ts\nq 1\tGet  the\u00a0news\t1\n2\t7\t1\n", encoding="utf-8")
    found = await evaluate("bm25-plain", folder, settings=settings, folder=tmp_path / "my run", metrics=("success@1",))
    assert found.metrics["success@1"].mean == 1.0
    lines = (tmp_path / "my run" / "run.trec").read_text(encoding="utf-8").splitlines()
    assert sorted(lines) == ["2 Q0 7 1 1 my%20run", "q%201 Q0 Get%20%20the%C2%A0news 1 1 my%20run"]
    again = ranked_evaluation(tmp_path / "my run" / "run.trec", DataSet(folder)).scored_by(["success@1"])
    assert again.metrics["success@1"].mean == 1.0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"concurrency": 0}, "concurrency is a whole number, 1 or more"),
        ({"limit": -1}, "limit is a whole number"),
        ({"half": "both"}, "half is one of tune, report, all"),
        ({"recorded": "foo"}, "recorded is one of"),
    ],
)
async def test_a_setup_that_makes_no_sense_is_refused(
    rivers: Path, settings: Settings, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(DataSetError, match=says):
        await evaluate("bm25-plain", rivers, settings=settings, **options)
