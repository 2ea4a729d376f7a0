"""The command itself, as a process; a stub of a model server answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentrag.evaluation.data.halves import half
from agentrag.testing.server import Reply, Script, StubChatServer
from tests.cli.conftest import Command, Finished
from tests.evaluation.conftest import ECHO, QUERIES, write_lines, write_rivers

FOUND = """\
agentrag: 1
name: found
inputs: {question: str}
outputs: [passages]
nodes:
  search: {use: retrieve, collection: library, k: 2, mode: lexical}
flow: [search]
"""
"""A graph that only retrieves, from a slot with a name of its own."""


def write_many(folder: Path, count: int) -> None:
    """A data set whose question n has the document dn, and a word in common with the document before it."""
    folder.mkdir()
    documents = [{"id": f"d{n}", "title": "", "text": f"word{n} only{n} also{n + 1}"} for n in range(count)]
    write_lines(folder / "corpus.jsonl", documents)
    write_lines(folder / "queries.jsonl", [{"id": f"q{n}", "text": f"only{n} also{n}"} for n in range(count)])
    judged = "".join(f"q{n}\td{n}\t1\n" for n in range(count))
    (folder / "qrels.tsv").write_text("query-id\tdoc-id\tscore\n" + judged, encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_rivers(tmp_path / "rivers")
    (tmp_path / "echo.yaml").write_text(ECHO, encoding="utf-8")
    return tmp_path


def answer(body: dict[str, Any]) -> Script:
    """A server that knows two of the three answers."""
    asked = body["messages"][-1]["content"]
    if "Danube begin" in asked:
        return Reply("In the Black Forest.")
    return Reply("North Sea") if "Rhine reach" in asked else Reply(status=400, error="no mountains here")


async def evaluate(
    command: Command, folder: Path, script: Callable[[dict[str, Any]], Script] | list[Script], *arguments: str
) -> tuple[Finished, int]:
    """How `agentrag eval` ended, and how many requests the server got."""
    async with StubChatServer(script) as server:
        binding = f"{{provider: openai-compatible, url: '{server.url}', model: stub, timeout: 5}}"
        (folder / "agentrag.yaml").write_text(f"models: {{default: {binding}, other: {binding}}}\n", encoding="utf-8")
        done = await asyncio.to_thread(command, "eval", *arguments, "--data", "rivers")
        return done, len(server.bodies)


async def test_a_graph_is_scored_and_what_failed_is_listed_and_counts_as_nothing(command: Command, folder: Path) -> None:
    done, requests = await evaluate(command, folder, answer, "echo.yaml", "--json", "--concurrency", "3")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert {"em", "f1", "contains", "rouge_l", "calls", "tokens"} <= set(found["metrics"])
    assert "ndcg@10" not in found["metrics"]
    assert found["metrics"]["contains"]["mean"] == pytest.approx(2 / 3)
    assert found["metrics"]["em"]["mean"] == pytest.approx(1 / 3)
    assert found["metrics"]["f1"]["low"] <= found["metrics"]["f1"]["mean"] <= found["metrics"]["f1"]["high"]
    assert (found["n"], requests, found["usage"]["write"]["calls"]) == (3, 3, 2)
    assert "no mountains here" in found["failed"]["q3"]


async def test_a_run_leaves_a_folder_under_the_name_that_it_prints(command: Command, folder: Path) -> None:
    done, _ = await evaluate(command, folder, answer, "echo.yaml", "--json", "-i", "style=short")
    run = folder / "home" / "evals" / json.loads(done.out)["run"]
    lines = [json.loads(line) for line in (run / "answers.jsonl").read_text().splitlines()]
    assert {line["id"] for line in lines} == {"q1", "q2", "q3"}
    assert json.loads((run / "run.json").read_text())["setup"]["inputs"] == {"style": "short"}
    assert str(run) in done.err


async def test_without_json_a_table_is_printed(command: Command, folder: Path) -> None:
    done, _ = await evaluate(command, folder, answer, "echo.yaml")
    assert done.code == 0
    assert "contains                     3     0.667   0.000 to 1.000" in done.out
    assert "failed: q3: " in done.err


async def test_a_cassette_answers_a_second_run_without_the_server(command: Command, folder: Path) -> None:
    arguments = ("echo.yaml", "--limit", "2", "--json", "--cassette", "calls.sqlite")
    first, asked = await evaluate(command, folder, ["In the Black Forest.", "North Sea"], *arguments)
    second, again = await evaluate(command, folder, [Reply(status=500)], *arguments)
    assert (asked, again) == (2, 0)
    (one, two) = (json.loads(done.out)["metrics"] for done in (first, second))
    assert one.keys() - two.keys() <= {"latency", "first_token"}  # a recorded call has no time of its own to wait for
    assert {name: one[name] for name in two} == two
    assert json.loads(second.out)["usage"]["write"]["reused"] == 2


async def test_a_half_without_questions_is_an_error_and_the_other_has_them_all(command: Command, folder: Path) -> None:
    assert [half(row["id"]) for row in QUERIES] == ["report"] * 3
    done, _ = await evaluate(command, folder, ["x"], "echo.yaml", "--json", "--half", "report")
    assert json.loads(done.out)["n"] == 3
    done, _ = await evaluate(command, folder, ["x"], "echo.yaml", "--half", "tune")
    assert (done.code, done.err) == (1, f"error: {folder / 'rivers'} has no questions in the half 'tune'.\n")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["echo.yaml", "--data", "nowhere"], 1, "nowhere is not a folder"),
        (["echo.yaml", "--data", "rivers", "-i", "question=mine"], 1, "'question' comes from the data set"),
        (["echo.yaml", "--data", "rivers", "-i", "stile=short"], 1, "Did you mean 'style'?"),
        (["bm25", "--data", "rivers", "-m", "default"], 1, "'bm25' is a plain retriever"),
        (["bm25"], 2, "say what to evaluate"),
        (["bm25", "--data", "rivers", "--resume", "last"], 2, "no GRAPH and no --data beside it"),
        (["--resume", "last", "--limit", "2"], 2, "no --limit beside it"),
        (["--resume", "last", "-o", "x"], 2, "no --output beside it"),
        (["--resume", "last"], 1, "there is no run 'last'"),
        (["bm25", "--data", "rivers", "--fail-on", "regression"], 2, "--fail-on needs a --baseline"),
        (["bm25", "--data", "rivers", "--baseline", "none"], 1, "there is no run 'none'"),
        (["bm25-plain", "--data", "rivers", "--metric", "ndcg"], 1, "Unknown metric"),
        (["echo.yaml", "--data", "rivers", "-m", "nobody"], 1, "Unknown binding 'nobody'"),
        (["bm52", "--data", "rivers"], 1, "bm52"),
        (["bm25", "--data", "rivers"], 1, "agentrag models pull all-minilm-l6-v2"),
        (["echo.yaml", "--data", "rivers", "--half", "first"], 2, "first"),
    ],
    ids=[
        "no-folder",
        "own-question",
        "unknown-input",
        "model-of-a-retriever",
        "no-data",
        "resume-and-data",
        "resume-and-limit",
        "resume-and-folder",
        "resume-nothing",
        "fail-on",
        "baseline",
        "metric",
        "binding",
        "system",
        "not-pulled",
        "half",
    ],
)
def test_what_is_wrong_is_told_in_a_line(command: Command, folder: Path, arguments: list[str], code: int, says: str) -> None:
    done = command("eval", *arguments)
    assert done.code == code
    assert says in done.err
    assert "Traceback" not in done.err


async def test_an_evaluation_in_which_everything_fails_is_an_error(command: Command, folder: Path) -> None:
    done, _ = await evaluate(command, folder, [Reply(status=401, error="bad key")], "echo.yaml")
    assert done.code == 1
    assert "All of the first 3 questions failed." in done.err
    assert "401" in done.err


@pytest.mark.model
def test_retrievers_share_one_collection_that_is_built_once(command: Command, folder: Path, cache: Path) -> None:
    records = folder / "home" / "evals" / "corpora"
    built = set()
    for name in ("bm25", "convex"):
        done = command("eval", name, "--data", "rivers", "--json", AGENTRAG_CACHE=str(cache))
        assert done.code == 0, done.err
        found = json.loads(done.out)
        assert {"ndcg@10", "recall@5", "sufficiency@5"} <= set(found["metrics"])
        assert found["metrics"]["recall@5"] == {"mean": 1.0, "low": 1.0, "high": 1.0}
        assert (folder / "home" / "evals" / found["run"] / "run.trec").is_file()
        built |= {(path.name, path.stat().st_mtime_ns) for path in records.iterdir()}
    assert len(built) == 1


@pytest.mark.model
def test_the_corpus_fills_every_collection_slot_of_a_graph(command: Command, folder: Path, cache: Path) -> None:
    (folder / "found.yaml").write_text(FOUND, encoding="utf-8")
    done = command("eval", "found.yaml", "--data", "rivers", "--json", AGENTRAG_CACHE=str(cache))
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert {"ndcg@10", "recall@5", "sufficiency@5"} <= set(found["metrics"])
    assert found["metrics"]["sufficiency@5"]["mean"] == 1.0
    assert found["usage"]["search"]["calls"] == 3


def test_an_evaluation_that_was_stopped_says_how_to_go_on(command: Command, folder: Path) -> None:
    done = command("eval", "bm25-plain", "--data", "rivers", "-o", "run")
    assert done.code == 0, done.err
    (folder / "run" / "answers.jsonl").write_text((folder / "run" / "answers.jsonl").read_text().splitlines()[0] + "\n")
    again = command("eval", "--resume", "run", "--json")
    assert json.loads(again.out)["n"] == 3
    assert "run folder: run" in again.err


def test_a_baseline_that_was_better_is_told_and_can_be_an_error(command: Command, folder: Path) -> None:
    """Forty questions with one right document each; the worse run is made from the better one."""
    write_many(folder / "many", 40)
    assert command("eval", "bm25-plain", "--data", "many", "-o", "good").code == 0
    same = command("eval", "bm25-plain", "--data", "many", "--baseline", "good", "--fail-on", "regression")
    assert same.code == 0, same.err
    assert "no regression against good" in same.err
    worse = command(
        "eval", "bm25-plain", "--data", "many", "-i", "k=1", "--baseline", "good", "--fail-on", "regression", "--json"
    )
    assert worse.code == 3
    found = json.loads(worse.out)
    assert found["regressions"]["retrieved"].startswith("of the first 10 documents of the baseline 51.2%")
    assert "regression: retrieved: " in worse.err
    shown = command("eval", "bm25-plain", "--data", "many", "-i", "k=1", "--baseline", "good")
    assert shown.code == 0
    assert "no difference shown" in shown.out or "do not differ" in shown.out


def test_runs_are_compared_and_scored_again(command: Command, folder: Path) -> None:
    for name, k in (("deep", "3"), ("flat", "1")):
        assert command("eval", "bm25-plain", "--data", "rivers", "-i", f"k={k}", "-o", name).code == 0
    first = command("compare", "deep", "flat")
    assert first.code == 0, first.err
    assert first.out.startswith("flat against deep\n")
    assert command("compare", "deep", "flat").out == first.out
    assert json.loads(command("compare", "deep", "flat", "--metric", "ndcg@10", "--json").out)["tests"] == 1
    assert command("compare", "deep", "flat", "-o", "both.md").out == ""
    assert (folder / "both.md").read_text().startswith("## flat against deep\n")
    scored = json.loads(command("score", "deep", "--metric", "success@1", "--json").out)
    assert scored[0]["metrics"]["success@1"]["mean"] == 1.0
    assert (command("compare", "deep").code, command("compare", "deep", "--metric", "x", "flat").code) == (2, 1)


def test_a_ranking_of_another_tool_is_judged_by_a_data_set(command: Command, folder: Path) -> None:
    (folder / "theirs.trec").write_text("q1 Q0 p2 1 2.0 t\nq1 Q0 p1 2 1.0 t\nq2 Q0 p2 1 1.0 t\n")
    assert command("eval", "bm25-plain", "--data", "rivers", "-o", "ours").code == 0
    scored = json.loads(command("score", "theirs.trec", "--data", "rivers", "--metric", "mrr@10", "--json").out)
    assert scored[0]["metrics"]["mrr@10"]["mean"] == pytest.approx((1 / 2 + 1) / 2)
    found = json.loads(command("compare", "ours", "theirs.trec", "--data", "rivers", "--metric", "mrr@10", "--json").out)
    assert [(row["system"], row["n"], row["after"]) for row in found["rows"]] == [("theirs", 2, pytest.approx(0.75))]
    assert found["notes"]["theirs"] == ["1 question was left out: only ours was asked."]
    assert command("score", "theirs.trec").code == 2
    (folder / "theirs.trec").write_text("q1 Q0 p2 1 nan t\n")
    assert "the score of document 'p2' is nan" in command("score", "theirs.trec", "--data", "rivers").err


def test_a_baseline_in_a_folder_of_the_same_name_is_compared(command: Command, folder: Path) -> None:
    """As a CI has it: main/run beside pr/run."""
    assert command("eval", "bm25-plain", "--data", "rivers", "-o", "main/run").code == 0
    done = command("eval", "bm25-plain", "--data", "rivers", "-o", "pr/run", "--baseline", "main/run")
    assert done.code == 0, done.err
    assert "pr/run against main/run" in done.out


def test_a_baseline_of_other_questions_does_not_hide_what_was_measured(command: Command, folder: Path) -> None:
    write_many(folder / "many", 8)
    assert command("eval", "bm25-plain", "--data", "many", "-o", "others").code == 0
    done = command("eval", "bm25-plain", "--data", "rivers", "-o", "run", "--baseline", "others")
    assert done.code == 1
    assert "Question 'q1' was judged by different gold" in done.err
    assert "run folder: run" in done.err
    assert "ndcg@10" in done.out


def test_runs_are_compared_in_metrics_that_they_were_not_scored_with(command: Command, folder: Path) -> None:
    for name in ("one", "two"):
        assert command("eval", "bm25-plain", "--data", "rivers", "-o", name).code == 0
    found = json.loads(command("compare", "one", "two", "--metric", "ndcg@3", "--json").out)
    assert [row["metric"] for row in found["rows"]] == ["ndcg@3"]
