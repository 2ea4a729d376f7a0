"""Two tenants, one process, one event loop, the same questions of collections of one name, every cache on: nothing crosses.

With Chroma, the embedder, the journal and the purses as they are; only the language model is a stub, so that it can be seen
what it was asked.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from agentrag.app import Graph, Result
from agentrag.back_ends import open_deps
from agentrag.core.calls import new_run_id
from agentrag.core.deps import Deps, Origin
from agentrag.core.errors import StoreError, UnknownNameError
from agentrag.core.settings import DEFAULT_EMBEDDER, Settings, load_settings
from agentrag.journal.history import History
from agentrag.journal.purse import standings
from agentrag.journal.sqlite import SqliteJournal
from agentrag.models.pull import pull
from agentrag.retrieval.collection import Chunk, NewDocument
from agentrag.retrieval.collections import Collections
from agentrag.retrieval.embed import open_embedder
from agentrag.retrieval.vector_cache import cache_key
from agentrag.runs import Runs
from agentrag.testing.server import StubChatServer
from agentrag.threads import Thread

pytestmark = pytest.mark.model

TENANTS = ("acme", "zeta")
SECRETS = {"acme": "K4711", "zeta": "K8152"}
QUESTIONS = ("What is the code of the north door?", "Who may open the south door?")
GRAPH = """\
agentrag: 1
name: tell
inputs: {question: str}
outputs: [answer, passages, guess]
models: {writer: default}
channels: {guess: {type: str}}
nodes:
  guess: {use: generate, prompt: t/guess, out: {answer: guess}}
  search: {use: retrieve, collection: docs, k: 2}
  write: {use: generate, prompt: t/tell}
flow: [guess, search, write]
"""
"""The requests of `guess` are equal for all tenants: only the tenant in their keys tells them apart."""
PROMPT = """\
---
about: the text that a test asks
source: own
version: 1
inputs: %s
---
## user
%s
"""
PROMPTS = {
    "tell": PROMPT % ("{question: data, passages: data}", "{passages} {question}"),
    "guess": PROMPT % ("{question: data}", "{question}"),
}


def documents(tenant: str) -> list[str]:
    secret = SECRETS[tenant]
    return [f"The code of the north door is {secret}.", f"The south door opens for number {secret} only."]


@pytest.fixture
async def server() -> AsyncIterator[StubChatServer]:
    """A model that says which numbers it was shown, and what number of answer this is."""

    def reply(body: dict[str, Any]) -> str:
        numbers = sorted(set(re.findall(r"K\d{4}", str(body["messages"]))))
        return f"answer {len(stub.bodies)}: {' '.join(numbers)}"

    async with StubChatServer(reply) as stub:
        yield stub


@pytest.fixture
async def house(tmp_path: Path, server: StubChatServer) -> Settings:
    """Settings with a collection `docs` of each tenant and a budget for each."""
    (tmp_path / "agentrag.yaml").touch()
    kept = load_settings(tmp_path / "agentrag.yaml").cache
    pull(DEFAULT_EMBEDDER, kept)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "models").symlink_to(kept / "models")
    (tmp_path / "prompts" / "t").mkdir(parents=True)
    for name, text in PROMPTS.items():
        (tmp_path / "prompts" / "t" / f"{name}.md").write_text(text, encoding="utf-8")
    (tmp_path / "tell.yaml").write_text(GRAPH, encoding="utf-8")
    binding = {"provider": "openai-compatible", "url": server.url, "model": "stub"}
    settings = Settings.model_validate(
        {
            "home": tmp_path / "home",
            "cache": tmp_path / "cache",
            "models": {"default": binding},
            "tenants": {"*": {"budget": {"calls": 100, "passages": 100, "per": "ever"}}},
        }
    )
    for tenant in TENANTS:
        own = settings.of_tenant(tenant)
        async with Collections(own, open_embedder(own)).open("docs", write=True) as docs, docs.writer() as writer:
            for number, text in enumerate(documents(tenant)):
                writer.begin(NewDocument(f"/docs/{number}", "1"))
                await writer.add(f"/docs/{number}", [Chunk(text, 0, len(text))])
                writer.finish(f"/docs/{number}")
    return settings


@pytest.fixture
def journal(house: Settings) -> Iterator[SqliteJournal]:
    with closing(SqliteJournal(house.home / "journal.sqlite", reuse=True)) as journal:
        yield journal


def numbers_in(result: Result) -> set[str]:
    return set(re.findall(r"K\d{4}", str(result.outputs)))


def paid(result: Result) -> int:
    return sum(usage.calls for usage in result.usage.values())


async def test_nothing_crosses(house: Settings, journal: SqliteJournal, server: StubChatServer) -> None:
    graph = Graph.load(str(house.home.parent / "tell.yaml"))
    async with AsyncExitStack() as stack:
        deps = {
            tenant: await stack.enter_async_context(open_deps(graph, house, journal=journal, tenant=tenant))
            for tenant in TENANTS
        }
        for tenant in TENANTS:  # the second pays although the first has paid for the same questions
            first = [await graph.run(deps[tenant], question=question) for question in QUESTIONS]
            assert [(numbers_in(result), paid(result)) for result in first] == [({SECRETS[tenant]}, 3)] * 2
        asked = len(server.bodies)
        wanted = [(tenant, question) for question in QUESTIONS for tenant in TENANTS] * 4
        results = await asyncio.gather(*(graph.run(deps[tenant], question=question) for tenant, question in wanted))
        for (tenant, _), result in zip(wanted, results, strict=True):
            assert (numbers_in(result), paid(result)) == ({SECRETS[tenant]}, 0)
        assert len(server.bodies) == asked == 8
        await refuse_what_is_not_theirs(graph, deps, results[0].run)
    journal.close()
    look_into_the_journal(house)
    look_into_the_files(house)
    spent = {standing.tenant: (standing.spent.calls, standing.spent.passages) for standing in standings(house)}
    assert spent == dict.fromkeys(TENANTS, (6, 4))


async def refuse_what_is_not_theirs(graph: Graph, deps: dict[str, Deps], run_of_acme: str) -> None:
    zeta = deps["zeta"]
    with pytest.raises(StoreError, match="another tenant's"):
        await graph.run(zeta.but(run=run_of_acme), question=QUESTIONS[0])
    with pytest.raises(StoreError, match="Unknown run"):
        await graph.run(zeta.but(run=new_run_id(), origin=Origin(parent=run_of_acme)), question=QUESTIONS[0])


def look_into_the_journal(house: Settings) -> None:
    """Every answer, request, output and note of a tenant's runs is free of the other's number, and every run is listed once."""
    path = house.home / "journal.sqlite"
    listed = []
    for tenant, other in (TENANTS, TENANTS[::-1]):
        with closing(History(path, tenant)) as history:
            runs = history.runs(limit=None)
            listed += [past.record.run for past in runs]
            for past in runs:
                calls = [history.exchange(call) for call in history.calls(past.record.run)]
                everything = str([past, calls, history.notes(past.record.run), history.settled(past.record.run)])
                assert SECRETS[tenant] in everything
                assert SECRETS[other] not in everything
    with closing(History(path)) as history:
        assert sorted(listed) == sorted(past.record.run for past in history.runs(limit=None))
    with closing(sqlite3.connect(path)) as database:
        shared = (
            """SELECT answer FROM calls JOIN runs ON runs.id = calls.run GROUP BY answer HAVING count(DISTINCT tenant) > 1"""
        )
        assert database.execute(shared).fetchall() == []


def look_into_the_files(house: Settings) -> None:
    """A tenant's folders hold its texts and its vectors alone; nothing but the journal and the purses is in common."""
    assert sorted(path.name for path in house.home.iterdir() if not path.name.startswith("journal")) == [
        *sorted(path.name for path in house.home.glob("budgets*")),
        "tenants",
    ]
    assert sorted(path.name for path in house.cache.iterdir()) == ["models", "tenants"]
    embedder = open_embedder(house).name
    for tenant, other in (TENANTS, TENANTS[::-1]):
        texts = b"".join(path.read_bytes() for path in (house.home / "tenants" / tenant).rglob("*") if path.is_file())
        assert SECRETS[tenant].encode() in texts
        assert SECRETS[other].encode() not in texts
        with closing(sqlite3.connect(house.cache / "tenants" / tenant / "vectors" / "vectors.sqlite")) as cache:
            held = {key for (key,) in cache.execute("SELECT key FROM vectors")}
        assert held == {cache_key(embedder, text) for text in (*documents(tenant), *QUESTIONS)}


async def test_a_thread_of_one_name_is_another_one_for_each_tenant(house: Settings) -> None:
    graph = Graph.load(str(house.home.parent / "tell.yaml"))
    threads = {tenant: Thread("talk", house.of_tenant(tenant)) for tenant in TENANTS}
    for question in QUESTIONS:
        results = await asyncio.gather(*(thread.run(graph, question=question) for thread in threads.values()))
        assert [numbers_in(result) for result in results] == [{SECRETS[tenant]} for tenant in TENANTS]
    for tenant, thread in threads.items():
        turns = thread.turns()
        assert [question for question, _ in turns] == list(QUESTIONS)
        assert all(SECRETS[tenant] in answer for _, answer in turns)
    assert Thread("talk", house.of_tenant("nemo")).turns() == []


async def test_nothing_can_be_done_with_a_run_of_another_tenant(house: Settings, tmp_path: Path) -> None:
    graph = Graph.load(str(house.home.parent / "tell.yaml"))
    for tenant in TENANTS:
        await graph.run(settings=house.of_tenant(tenant), question=QUESTIONS[0])
    acme, zeta = (Runs(house.of_tenant(tenant)) for tenant in TENANTS)
    run, own = acme.find("last").record.run, zeta.find("last").record.run
    assert [past.record.run for past in zeta.list(limit=None)] == [own]
    for name in (run, run[:-1]):
        for look in (zeta.find, zeta.show, lambda name: zeta.export([name], tmp_path / "out.jsonl")):
            with pytest.raises(UnknownNameError) as refused:
                look(name)
            assert refused.value.known == [own]
        for go in (zeta.resume, zeta.replay, zeta.fork):
            with pytest.raises(UnknownNameError):
                await go(name)
    assert zeta.prune(keep=0).runs == (own,)
    assert acme.find("last").record.run == run
    assert (await acme.replay("last")).differs == {}


async def test_a_purse_that_is_empty_ends_the_runs_of_its_tenant_alone(house: Settings, journal: SqliteJournal) -> None:
    graph = Graph.load(str(house.home.parent / "tell.yaml"))
    budgets = {"acme": {"budget": {"calls": 5, "per": "ever"}}, "zeta": {"budget": {"calls": 100, "per": "ever"}}}
    poor = Settings.model_validate({**house.model_dump(), "tenants": budgets})
    results: dict[str, list[Result]] = {}
    for tenant in TENANTS:
        async with open_deps(graph, poor, journal=journal, tenant=tenant) as deps:
            results[tenant] = [await graph.run(deps, question=question) for question in QUESTIONS]
    assert [paid(result) for result in results["acme"]] == [3, 2]
    assert [paid(result) for result in results["zeta"]] == [3, 3]
    spent = {standing.tenant: standing.spent.calls for standing in standings(poor)}
    assert spent == {"acme": 5, "zeta": 6}
