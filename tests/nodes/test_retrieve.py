"""The search node."""

from dataclasses import replace

from agentrag.core.types import Passage, SearchRequest
from agentrag.nodes.retrieve import Retrieve
from agentrag.testing import fake_deps, passages


class Recording:
    """A collection that keeps what it was asked."""

    name, version = "fake", "1"

    def __init__(self) -> None:
        self.asked: list[SearchRequest] = []

    async def search(self, request: SearchRequest) -> list[Passage]:
        self.asked.append(request)
        return passages("found")


async def test_the_query_is_filled_from_channels_and_the_settings_are_passed_on() -> None:
    collection = Recording()
    search = Retrieve(query="{question} {answer?}", k=3, mode="rrf", where={"lang": "en"}, neighbours=1)
    out = await search({"question": "Why?"}, fake_deps(collection=collection))
    assert collection.asked == [SearchRequest("Why?", 3, "rrf", {"lang": "en"}, 1)]
    assert [passage.id for passage in out["passages"]] == ["found"]


class Scored:
    """A collection with a fixed ranking for each query."""

    name, version = "fake", "1"

    def __init__(self, **rankings: dict[str, float]) -> None:
        self.rankings = rankings

    async def search(self, request: SearchRequest) -> list[Passage]:
        ranking = self.rankings[request.query]
        return [replace(passages(text)[0], score=score) for text, score in ranking.items()][: request.k]


async def test_a_second_query_is_joined_by_the_mean_of_the_scores() -> None:
    collection = Scored(one={"a": 1.0, "b": 0.8}, two={"b": 1.0, "c": 0.9})
    out = await Retrieve(query="{question}", also="{contextual}", k=2)(
        {"question": "one", "contextual": "two"}, fake_deps(collection=collection)
    )
    assert [(passage.id, passage.score) for passage in out["passages"]] == [("b", 0.9), ("a", 0.5)]


async def test_an_equal_second_query_is_not_searched_again() -> None:
    collection = Recording()
    await Retrieve(also="{contextual}")({"question": "x", "contextual": "x"}, fake_deps(collection=collection))
    assert len(collection.asked) == 1
