from pathlib import Path

import pytest

from agentrag.core.errors import DataSetError, StoreError
from agentrag.core.types import SearchRequest
from agentrag.evaluation.asking.plain import PlainBm25
from agentrag.evaluation.data.dataset import DataSet


async def test_words_are_found_as_they_are_and_not_by_their_stems(rivers: Path) -> None:
    searcher = PlainBm25(DataSet(rivers))
    found = await searcher.search(SearchRequest("flows into the North Sea", k=2, mode="lexical"))
    assert [passage.record for passage in found] == ["p2", "p1"]
    assert await searcher.search(SearchRequest("flowing mountain's", mode="lexical")) == await searcher.search(
        SearchRequest("mountain", mode="lexical")
    )


async def test_the_title_is_searched_too(rivers: Path) -> None:
    found = await PlainBm25(DataSet(rivers)).search(SearchRequest("mountains", mode="lexical"))
    assert [passage.record for passage in found] == ["p3"]


@pytest.mark.parametrize("request_", [SearchRequest("x", mode="dense"), SearchRequest("x", mode="lexical", where={"a": 1})])
async def test_vectors_and_conditions_are_refused(rivers: Path, request_: SearchRequest) -> None:
    with pytest.raises(StoreError, match="searches by words alone"):
        await PlainBm25(DataSet(rivers)).search(request_)


def test_judgements_of_unknown_documents_are_told(rivers: Path) -> None:
    (rivers / "qrels.tsv").write_text("header\nq1\tp9\t1\n", encoding="utf-8")
    with pytest.raises(DataSetError, match="names document 'p9'"):
        PlainBm25(DataSet(rivers))


def test_the_version_follows_from_the_documents(rivers: Path) -> None:
    first = PlainBm25(DataSet(rivers)).version
    assert PlainBm25(DataSet(rivers)).version == first
    (rivers / "corpus.jsonl.gz").unlink()
    (rivers / "corpus.jsonl").write_text('{"id": "p1", "text": "a"}\n{"id": "p2", "text": "b"}\n{"id": "p3", "text": "c"}\n')
    assert PlainBm25(DataSet(rivers)).version != first
