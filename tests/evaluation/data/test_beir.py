"""Folders as BEIR publishes them."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from agentrag.core.errors import DataSetError
from agentrag.evaluation.data.dataset import DataSet


def write(path: Path, *rows: Mapping[str, object]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    write(tmp_path / "corpus.jsonl", {"_id": "d1", "title": "", "text": "one"}, {"_id": "d2", "title": "Two", "text": "two"})
    queries: list[dict[str, object]] = [{"_id": name, "text": f"what is {name}?", "metadata": {}} for name in ("a", "b", "c")]
    write(tmp_path / "queries.jsonl", *queries)
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\na\td1\t2\na\td2\t-1\n", encoding="utf-8")
    (tmp_path / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\nb\td2\t1\n", encoding="utf-8")
    return tmp_path


def test_the_test_split_is_read_where_none_is_named(beir: Path) -> None:
    (query,) = DataSet(beir).queries()
    assert (query.id, query.question.text, query.gold.relevant) == ("a", "what is a?", {"d1": 2, "d2": -1})
    assert [document["id"] for document in DataSet(beir).documents()] == ["d1", "d2"]


def test_another_split_has_its_own_queries(beir: Path) -> None:
    assert [query.id for query in DataSet(beir, "dev").queries()] == ["b"]
    DataSet(beir, "dev").check_judgements()


def test_a_split_that_is_not_there_is_told_with_those_that_are(beir: Path) -> None:
    with pytest.raises(DataSetError, match=r"Unknown split 'tset'\. Did you mean 'test'\? Known: dev, test"):
        list(DataSet(beir, "tset").queries())


def test_a_split_of_a_data_set_that_has_none_is_told(rivers: Path) -> None:
    with pytest.raises(DataSetError, match=r"has no splits: no file qrels/dev\.tsv"):
        list(DataSet(rivers, "dev").queries())


def test_judgements_of_documents_that_are_not_there_are_told(beir: Path) -> None:
    (beir / "qrels" / "test.tsv").write_text("header\na\td9\t1\n", encoding="utf-8")
    with pytest.raises(DataSetError, match=r"test\.tsv: query 'a' names document 'd9'"):
        DataSet(beir).check_judgements()


def test_queries_without_judgements_are_asked_where_a_set_has_no_splits(rivers: Path) -> None:
    (rivers / "qrels.tsv").write_text("header\nq1\tp1\t1\n", encoding="utf-8")
    assert [bool(query.gold.relevant) for query in DataSet(rivers).queries()] == [True, False, False]
