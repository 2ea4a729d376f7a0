import gzip
import os
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from agentrag.core.deps import Deps
from agentrag.core.errors import DataSetError
from agentrag.core.prompts import Prompts
from agentrag.core.settings import Settings
from agentrag.evaluation.asking.ask import ask_all
from agentrag.evaluation.asking.retrievers import retriever
from agentrag.evaluation.data.corpus import corpus_collection
from agentrag.evaluation.data.dataset import DataSet
from agentrag.evaluation.scoring.scores import Summary, score, summarise
from agentrag.ingest.chunk import Limit
from agentrag.ingest.pipeline import Options, Progress
from agentrag.journal.memory import MemoryJournal
from agentrag.retrieval.collections import Collections
from agentrag.testing.fakes import WordEmbedder

CUT = Options(Limit(160, lambda text: len(text.split())), prune=True)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", cache=tmp_path / "cache")


async def named(folder: Path, settings: Settings, cut: Options = CUT) -> tuple[str, bool]:
    """The collection of a data set, and whether it was built now."""
    built: list[Progress] = []
    name = await corpus_collection(DataSet(folder), settings, WordEmbedder(), cut, built.append)
    return name, bool(built)


async def evaluated(folder: Path, settings: Settings, mode: str) -> Summary:
    name, _ = await named(folder, settings)
    with closing(Collections(settings, WordEmbedder()).open(name)) as searcher:
        deps = Deps({}, {"docs": searcher}, Prompts(), MemoryJournal())
        outcomes = await ask_all(retriever(mode, deps), list(DataSet(folder).queries()))
        return summarise(outcomes, score(outcomes))


async def test_a_corpus_becomes_a_collection_once(rivers: Path, settings: Settings) -> None:
    first, built = await named(rivers, settings)
    assert built
    assert first.startswith("eval-rivers-")
    assert await named(rivers, settings) == (first, False)
    with closing(Collections(settings, WordEmbedder()).open(first)) as collection:
        assert sorted(source.split("#")[1] for source in collection.documents()) == ["p1", "p2", "p3"]


async def test_an_equal_corpus_elsewhere_is_not_built_again(rivers: Path, settings: Settings, tmp_path: Path) -> None:
    first, _ = await named(rivers, settings)
    shutil.copytree(rivers, tmp_path / "elsewhere" / "rivers")
    assert await named(tmp_path / "elsewhere" / "rivers", settings) == (first, False)


async def test_another_corpus_and_another_cut_have_collections_of_their_own(rivers: Path, settings: Settings) -> None:
    first, _ = await named(rivers, settings)
    other, built = await named(rivers, settings, Options(Limit(40, CUT.limit.count)))
    assert built
    text = gzip.decompress((rivers / "corpus.jsonl.gz").read_bytes()).replace(b"North", b"south")
    (rivers / "corpus.jsonl.gz").write_bytes(gzip.compress(text))
    changed, built = await named(rivers, settings)
    assert built
    assert len({first, other, changed}) == 3


async def test_a_deleted_collection_is_built_again(rivers: Path, settings: Settings) -> None:
    first, _ = await named(rivers, settings)
    Collections(settings, None).delete(first)
    assert await named(rivers, settings) == (first, True)


async def test_a_build_that_was_stopped_is_finished_by_the_next_call(rivers: Path, settings: Settings) -> None:
    def stop(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await corpus_collection(DataSet(rivers), settings, WordEmbedder(), CUT, stop)
    name, built = await named(rivers, settings)
    assert built
    with closing(Collections(settings, WordEmbedder()).open(name)) as collection:
        assert len(collection.documents()) == 3


async def test_a_record_that_cannot_be_ingested_is_told(rivers: Path, settings: Settings) -> None:
    (rivers / "corpus.jsonl.gz").write_bytes(gzip.compress(b'{"id": "p1", "text": "a"}\n{"id": "p2", "title": 3, "text": "b"}'))
    (rivers / "qrels.tsv").unlink()
    with pytest.raises(DataSetError, match=r"1 records cannot be ingested; the first: .*are not both strings"):
        await named(rivers, settings)


async def test_documents_without_any_text_are_passed_over(rivers: Path, settings: Settings) -> None:
    lines = gzip.decompress((rivers / "corpus.jsonl.gz").read_bytes()) + b'{"id": "p4", "title": "", "text": ""}\n'
    (rivers / "corpus.jsonl.gz").write_bytes(gzip.compress(lines))
    name, _ = await named(rivers, settings)
    with closing(Collections(settings, WordEmbedder()).open(name)) as collection:
        assert len(collection.documents()) == 3


async def test_ids_stay_as_they_are(rivers: Path, settings: Settings) -> None:
    text = gzip.decompress((rivers / "corpus.jsonl.gz").read_bytes()).replace(b'"p1"', b'"p  one "')
    (rivers / "corpus.jsonl.gz").write_bytes(gzip.compress(text))
    (rivers / "qrels.tsv").write_text("header\t\t\nq1\tp  one \t1\n")
    summary = await evaluated(rivers, settings, "bm25")
    assert summary.metrics["ndcg@10"].mean == 1.0


async def test_judgements_of_unknown_documents_stop_before_anything_is_built(rivers: Path, settings: Settings) -> None:
    (rivers / "qrels.tsv").write_text("header\nq1\tp9\t1\n")
    with pytest.raises(DataSetError, match="names document 'p9'"):
        await named(rivers, settings)
    assert Collections(settings, None).names() == []


@pytest.mark.parametrize("mode", ["bm25", "dense", "rrf", "convex"])
async def test_each_retriever_finds_the_passages_of_a_small_set(rivers: Path, settings: Settings, mode: str) -> None:
    summary = await evaluated(rivers, settings, mode)
    assert summary.n == 3
    assert summary.metrics["recall@5"].mean == 1.0
    assert summary.metrics["ndcg@10"].mean == 1.0


async def test_bm25_on_squad_agrees_with_the_reference_of_plain_code(settings: Settings) -> None:
    folder = Path(os.environ.get("AGENTRAG_DATA", "../shared/data")) / "squad"
    if not folder.is_dir():
        pytest.skip(f"there are no evaluation data at {folder.parent} (AGENTRAG_DATA)")
    summary = await evaluated(folder, settings, "bm25")
    assert summary.n == 900
    assert summary.metrics["ndcg@10"].mean == pytest.approx(0.873, abs=0.005)
    assert summary.metrics["recall@5"].mean == pytest.approx(0.934, abs=0.005)
