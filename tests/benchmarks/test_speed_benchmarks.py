"""The engine benchmarks run, measure what they say, and hold it against their bars. What the figures are is not tested."""

import asyncio
import ctypes
from pathlib import Path

import pytest

from agentrag.graph.loader import load_graph_text
from agentrag.graph.steps import inner_flows
from benchmarks import concurrency, durable, engines
from benchmarks.clock import cpu_per_run, verdict
from benchmarks.durable_ways import SAVER, durable_ways
from benchmarks.graph import condition_cost, large_text, loading
from benchmarks.peers import PEERS, open_peers, plain
from benchmarks.peers.langgraph_nodes import bare_run_of
from benchmarks.peers.work import QUESTION, Work, nothing


@pytest.mark.parametrize(("nodes", "rounds"), [(5, 3), (9, 1), (2, 2)], ids=["loop", "sequence", "shortest"])
async def test_every_engine_does_the_whole_work(nodes: int, rounds: int) -> None:
    done: list[str] = []

    async def body() -> None:
        done.append(name)

    work = Work(nodes, rounds, body)
    ways = {"plain": plain.run_of(work), "bare": bare_run_of(work), **open_peers(work).runs}
    for name, run in ways.items():  # noqa: B007  # the body says for which of them it was awaited
        assert await run() == QUESTION
    assert done == [name for name in ways for _ in range(nodes * rounds)]


def test_the_lock_of_the_benchmarks_has_every_peer() -> None:
    lock = (Path(__file__).resolve().parents[2] / "requirements-bench.lock").read_text(encoding="utf-8")
    locked = {line.split("==")[0] for line in lock.splitlines() if "==" in line}
    assert {*PEERS, SAVER} <= locked
    assert "://" not in lock


def test_a_peer_that_is_not_installed_is_named() -> None:
    found = open_peers(Work(2, 1, nothing), {"no-such-engine": "nowhere", "langgraph": "langgraph_nodes"})
    assert found.missing == ("no-such-engine",)
    assert [name.split()[0] for name in found.runs] == ["langgraph"]


async def test_time_is_taken_of_every_way_and_of_nothing_else() -> None:
    calls = {"a": 0, "b": 0}

    async def a() -> None:
        calls["a"] += 1

    async def b() -> None:
        calls["b"] += 1
        sum(range(100_000))

    found = await cpu_per_run({"a": a, "b": b}, runs=3, rounds=2)
    assert calls == {"a": 8, "b": 8}  # one more in each round, before the clock starts
    assert found["b"] > 10 * found["a"] > 0


@pytest.mark.parametrize(("value", "word"), [(59.0, "met"), (60.0, "met"), (61.0, "NOT met")])
def test_a_verdict_holds_a_value_against_its_bar(value: float, word: str) -> None:
    assert verdict("a node", value, 60.0, "us") == f"{word:8}a node: {value:.3g} us, bar 60"


async def test_the_steps_of_all_engines_stand_in_one_table() -> None:
    found = await engines.measured(runs=1, rounds=1)
    lines = engines.report(found).splitlines()
    assert [line[:38].strip() for line in lines[1:-1]] == list(found)
    assert {engines.PLAIN, engines.BOUNDARY, engines.OURS} < found.keys()
    assert all(value > 0 for value in found.values())
    assert "a node, events streamed" in lines[-1]


async def test_our_ways_of_running_the_loop_all_run_it() -> None:
    assert {name: await run() for name, run in engines.own_ways().items()} == dict.fromkeys(engines.own_ways(), QUESTION)


async def test_runs_at_once_wait_at_once() -> None:
    runs = concurrency.engines(pause=0.02).runs
    found = await concurrency.measured(runs, count=4, turns=1)
    assert found.keys() == runs.keys()
    assert 9 * 0.02 <= found[concurrency.PLAIN].wall < 4 * 9 * 0.02
    table = concurrency.report(found, dict.fromkeys(found, 10.0), 4)
    assert "met     memory of a run: 10 kB, bar 45" in table


async def test_memory_is_that_of_the_runs_under_way() -> None:
    async def run() -> int:
        kept = bytearray(1_000_000)
        await asyncio.sleep(0.05)
        return len(kept)

    if concurrency.resident():
        ctypes.CDLL(None).malloc_trim(0)  # what tests before freed is no room for these
        assert 500 < await concurrency.memory_of(run, 20) < 1500  # what the process had freed before is taken again


def test_memory_of_an_engine_is_taken_in_a_process_of_its_own() -> None:
    assert 0 <= concurrency.memory_in_process(concurrency.PLAIN, 20) < 100


async def test_files_grow_by_what_was_recorded() -> None:
    ways, _ = durable_ways()
    found = await durable.measured(ways, runs=2, turns=1)
    for name, cost in found.items():
        kept = "journal" in name or "saver" in name
        least = durable.NEW_BYTES if "4 kB" in name else 1
        assert cost.bytes >= least if kept else cost.bytes == 0, name
    table = durable.report(found)
    assert all(name in table for name in found)
    assert "agentrag, journal, 4 kB a node: " in table


def test_the_large_graph_has_the_size_it_claims() -> None:
    spec = load_graph_text(large_text(10), "large.yaml")
    assert len(spec.nodes) == 61
    assert (
        sum(1 for step in spec.flow for _ in inner_flows(step)) == 60
    )  # all but `begin`: two branches, a loop, two branches, a map


def test_loading_and_conditions_are_timed() -> None:
    fresh, again = loading(large_text(1), turns=1)
    assert fresh > 0
    assert again > 0
    assert condition_cost(5, 2) > 0
