"""The search node."""

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
