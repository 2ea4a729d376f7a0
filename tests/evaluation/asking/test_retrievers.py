from agentrag.core.types import Passage, SearchRequest, Usage
from agentrag.evaluation.asking.retrievers import RETRIEVERS, Depth, retriever
from agentrag.evaluation.data.dataset import Question
from agentrag.testing.fakes import fake_deps, passages


class Listening:
    """A searcher that keeps what it is asked."""

    name, version = "docs", "1"

    def __init__(self) -> None:
        self.requests: list[SearchRequest] = []

    async def search(self, request: SearchRequest) -> list[Passage]:
        self.requests.append(request)
        return passages("a", "b")


async def test_each_retriever_searches_in_its_own_mode_and_deep_enough_for_cut_documents() -> None:
    searcher = Listening()
    for name in RETRIEVERS:
        answered = await retriever(name, fake_deps(collection=searcher))(Question("q", "where?"))
        assert [passage.id for passage in answered.passages or ()] == ["a", "b"]
        assert answered.answer is None
        assert answered.usage["search"].calls == 1
    assert [request.mode for request in searcher.requests] == ["lexical", "lexical", "dense", "rrf", "convex"]
    assert {(request.query, request.k) for request in searcher.requests} == {("where?", 100)}


async def test_depth_and_weight_reach_the_search() -> None:
    searcher = Listening()
    depth = Depth.of("convex", {"k": "7", "weight": "0.3", "depth": "20"})
    await retriever("convex", fake_deps(collection=searcher), depth)(Question("q", "where?"))
    assert searcher.requests == [SearchRequest("where?", k=7, mode="convex", weight=0.3, depth=20)]
    assert depth.as_json() == {"k": 7, "weight": 0.3, "depth": 20}


async def test_a_retriever_pays_for_searches_only() -> None:
    answered = await retriever("bm25", fake_deps(collection=passages("a")))(Question("q", "a"))
    cost = answered.usage["search"]
    assert (cost.calls, cost.prompt_tokens, cost.usd) == (1, 0, 0.0)
    assert answered.saved == {"search": Usage()}
