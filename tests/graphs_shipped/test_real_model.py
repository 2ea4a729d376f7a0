"""The shipped graphs on a real model, one too small to answer well: they end, keep their bounds, and cite what stands there."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from agentrag.app import Graph, Result
from agentrag.back_ends import open_deps
from agentrag.core.resources import shipped
from agentrag.core.settings import Settings
from agentrag.ingest.pipeline import Options, ingest
from agentrag.models.pull import pull
from agentrag.retrieval.collections import Collections
from agentrag.retrieval.embed import open_embedder
from tests.graphs_shipped.shelf import Mind

pytestmark = pytest.mark.model

DOCUMENTS = ("history.md", "notices.md", "power-and-water.md")
SIMPLE = "Who led the field station from 1979 to 1996?"
COMPOUND = "When was the lamp of the lighthouse first lit, and at how many litres does the low-fuel alarm sound?"
ANSWERING = {"judge": 1, "write": 1, "name-it": 1, "cite": 1, "cite-span": 1}
BOUNDS: Mapping[str, Mapping[str, int]] = {
    "multi-query": {"expand": 1, "as-asked": 1, "one": 1, "two": 1, "three": 1, "select": 1, **ANSWERING},
    "corrective": {"rewrite": 2, "search": 3, "select": 3, "grade": 3 * 6, **ANSWERING},
    "sub-questions": {
        "decompose": 1,
        **dict.fromkeys(("search", "select", "judge", "write"), 4),
        **dict.fromkeys(("combine", "name-it", "name-whole", "cite", "cite-span"), 1),
    },
}
"""Most outward calls of each node; what is not listed makes none."""


@pytest.fixture(scope="module")
def library(smollm: Settings) -> Settings:
    """Settings with three sample documents in the collection `docs`."""
    pull(smollm.embedder, smollm.cache)
    asyncio.run(fill(smollm))
    return smollm


async def fill(settings: Settings) -> None:
    async with Collections(settings, open_embedder(settings)).open("docs", write=True) as collection:
        await ingest([Path(str(shipped("samples"))) / name for name in DOCUMENTS], collection, Options.of(settings))


@pytest.mark.parametrize("name", BOUNDS)
async def test_a_shipped_graph_ends_within_its_bounds(name: str, library: Settings) -> None:
    result = await Graph.load(name).run(settings=library, question=COMPOUND, style="short")
    assert_kept(name, result)


@pytest.mark.parametrize("name", BOUNDS)
async def test_what_the_model_writes_is_cited_with_what_stands_there_or_refused(name: str, library: Settings) -> None:
    """A gate that says yes to everything lets this model write: by itself it hardly ever calls a question answerable."""
    graph = Graph.load(name)
    async with open_deps(graph, library) as deps:
        yes = Mind().model()
        result = await graph.run(replace(deps, models={**deps.models, "gate": yes}), question=SIMPLE)
    assert {"write", "combine"} & result.usage.keys()
    assert_kept(name, result)


def assert_kept(name: str, result: Result) -> None:
    made = Counter({node: usage.calls + usage.reused for node, usage in result.usage.items()})
    assert not made - Counter(BOUNDS[name])
    assert made["search"] + made["as-asked"] >= 1
    assert_verified(result)
    if result["abstained"]:
        assert (result["answer"], result["citations"]) == ("not in the documents", [])
    else:
        assert result["answer"].strip()
        assert result["citations"]


def assert_verified(result: Result) -> None:
    """Every quote is the slice that it says, of a passage that was found."""
    for citation in result["citations"]:
        assert any(
            passage.text[citation.start - passage.start : citation.end - passage.start] == citation.quote
            for passage in result.state["passages"]
            if passage.source == citation.source and passage.start <= citation.start < passage.end
        )
