"""What the evaluation adds: scoring beside pytrec_eval alone, and asking a graph whose calls are all recorded.

Bars: scoring 10,000 queries with 100 results each takes at most 1.5 times what pytrec_eval takes for the same metrics from
the same rankings; a replayed graph answers at least 500 questions a second. The second needs AGENTRAG_DATA (squad).
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

from agentrag.core.settings import Settings, load_settings
from agentrag.evaluation.asking.ask import Outcome
from agentrag.evaluation.scoring.metrics import DEFAULT
from agentrag.evaluation.scoring.ranking import rank_scores
from agentrag.evaluations import Evaluation, Watch, evaluate
from agentrag.testing.server import Reply, StubChatServer
from benchmarks.clock import settled_memory, verdict

QUERIES, RESULTS, ROUNDS = 10_000, 100, 5
QUESTIONS = 900
THEIRS = {"ndcg_cut.10", "recall.5,10", "recip_rank", "map", "success.5"}
"""What pytrec_eval has to compute for our usual metrics."""
NAIVE = """\
agentrag: 1
name: naive
about: Search, then answer from what was found.
inputs: {question: str}
outputs: [answer, passages]
models: {writer: default}
nodes:
  search: {use: retrieve, collection: docs, k: 5}
  write: {use: generate, prompt: answer/naive, model: writer, max_tokens: 32}
flow: [search, write]
"""
PROMPT = """\
---
about: Answer from passages.
source: own
version: 1
inputs: {passages: data, question: data}
---
## user
{passages}

Question: {question}
"""


def rankings(queries: int, results: int) -> tuple[dict[str, list[str]], dict[str, dict[str, int]]]:
    """Document ids by query, and graded judgements of some of them."""
    drawn = random.Random(0)
    ids = [f"d{number:05d}" for number in range(20_000)]
    found = {f"q{number}": drawn.sample(ids, results) for number in range(queries)}
    judged = {query: {name: drawn.randint(1, 3) for name in drawn.sample(ranked, 5)} for query, ranked in found.items()}
    return found, judged


def theirs(found: Mapping[str, Sequence[str]], judged: Mapping[str, Mapping[str, int]]) -> Any:
    """The same metrics by pytrec_eval alone, from the same rankings."""
    import pytrec_eval

    runs = {query: {name: float(-place) for place, name in enumerate(ranked)} for query, ranked in found.items()}
    return pytrec_eval.RelevanceEvaluator(judged, THEIRS).evaluate(runs)


def scoring(queries: int = QUERIES, results: int = RESULTS, rounds: int = ROUNDS) -> tuple[float, float]:
    """Processor seconds of ours and of pytrec_eval alone, medians of rounds that take turns."""
    found, judged = rankings(queries, results)
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    with settled_memory():
        for _ in range(rounds):
            for name, work in (
                ("ours", lambda: rank_scores(found, judged, DEFAULT)),
                ("theirs", lambda: theirs(found, judged)),
            ):
                begun = process_time()
                work()
                times[name].append(process_time() - begun)
    return median(times["ours"]), median(times["theirs"])


@dataclass
class Asked:
    """When an evaluation asked its first question and had its last answer."""

    marks: list[float] = field(default_factory=list)

    def asking(self, folder: Path, total: int) -> None:
        """The back ends are open."""
        self.marks.append(perf_counter())

    def answered(self, outcome: Outcome) -> None:
        """A question is answered."""
        self.marks.append(perf_counter())

    @property
    def seconds(self) -> float:
        """From the first question to the last answer."""
        return self.marks[-1] - self.marks[0]


async def replaying(system: str, data: Path, settings: Settings, folder: Path, limit: int) -> tuple[float, float]:
    """Questions a second of the second of two evaluations with one cassette, and seconds until it asked the first."""
    asked = Asked()
    for name in ("recorded", "replayed"):
        asked, begun = Asked(), perf_counter()
        where = folder / f"{Path(system).stem}-{name}"
        options = {"whole": True, "limit": limit, "concurrency": 2, "cassette": str(folder / f"{Path(system).stem}.sqlite")}
        await _evaluated(system, data, settings, where, asked, options)
    return limit / asked.seconds, asked.marks[0] - begun


async def _evaluated(
    system: str, data: Path, settings: Settings, folder: Path, asked: Asked, options: Mapping[str, Any]
) -> Evaluation:
    watch = Watch(asking=asked.asking, answered=asked.answered)
    return await evaluate(system, data, settings=settings, folder=folder, watch=watch, **options)


async def replays(data: Path, limit: int = QUESTIONS) -> dict[str, tuple[float, float]]:
    """Both figures of a search and an answer and of the shipped `ask`, over the recorded answers of a stub."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "naive.yaml").write_text(NAIVE, encoding="utf-8")
        (Path(folder) / "prompts" / "answer").mkdir(parents=True)
        (Path(folder) / "prompts" / "answer" / "naive.md").write_text(PROMPT, encoding="utf-8")
        own = load_settings()
        async with StubChatServer(lambda body: Reply("yes" if body.get("logprobs") else "In 1912.")) as server:
            binding = {"provider": "openai-compatible", "url": server.url, "model": "stub"}
            settings = Settings(home=own.home, cache=own.cache, models={"default": binding})
            systems = {"naive": str(Path(folder) / "naive.yaml"), "ask": "ask"}
            return {name: await replaying(system, data, settings, Path(folder), limit) for name, system in systems.items()}


def main() -> None:
    """Measure and hold against the bars."""
    ours, alone = scoring()
    print(f"{QUERIES:,} queries x {RESULTS} results: ours {ours:.3f} s, pytrec_eval alone {alone:.3f} s")
    print(verdict("scoring beside pytrec_eval", ours / alone, 1.5, "x"))
    data = Path(os.environ.get("AGENTRAG_DATA", "../shared/data")) / "squad"
    if not data.is_dir():
        print(f"no evaluation data at {data.parent} (AGENTRAG_DATA), so no graph was replayed")
        return
    for name, (rate, opened) in asyncio.run(replays(data)).items():
        print(f"{name}: {rate:.0f} questions/s replayed, {opened:.2f} s until the first was asked")
        print(verdict(f"a replayed question of {name}", 1000 / rate, 2.0, "ms"))


if __name__ == "__main__":
    main()
