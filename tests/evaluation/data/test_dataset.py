import dataclasses
import gzip
import json
import os
from pathlib import Path

import pytest

from agentrag.core.errors import DataSetError
from agentrag.core.types import Message
from agentrag.evaluation.data.dataset import DataSet, Question


def test_a_data_set_gives_its_queries_with_what_they_are_judged_by(rivers: Path) -> None:
    first = next(DataSet(rivers).queries())
    assert first.question == Question("q1", "Where does the Danube begin?")
    assert first.gold.answers == ("the Black Forest", "Black Forest")
    assert first.gold.relevant == {"p1": 1}
    assert first.gold.fields == {"type": "place"}


def test_a_question_has_no_room_for_gold() -> None:
    assert {field.name for field in dataclasses.fields(Question)} == {"id", "text", "history"}


def test_questions_without_an_answer_are_kept_apart(rivers: Path) -> None:
    (query,) = DataSet(rivers).unanswerable()
    assert (query.id, query.gold.answers, query.gold.fields) == ("u1", (), {"doc": "p1"})
    (rivers / "unanswerable.jsonl").unlink()
    assert list(DataSet(rivers).unanswerable()) == []


def test_a_conversation_becomes_messages(rivers: Path) -> None:
    turns = [{"speaker": "user", "text": "Hello"}, {"speaker": "agent", "text": "Ask."}]
    row = {"id": "u2", "text": "And the Rhine?", "history": turns}
    (rivers / "unanswerable.jsonl").write_text(json.dumps(row))
    (query,) = DataSet(rivers).unanswerable()
    assert query.question.history == (Message("user", "Hello"), Message("assistant", "Ask."))


def test_a_plain_corpus_file_is_read_too(rivers: Path) -> None:
    packed = rivers / "corpus.jsonl.gz"
    (rivers / "corpus.jsonl").write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    assert [document["id"] for document in DataSet(rivers).documents()] == ["p1", "p2", "p3"]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("queries.jsonl", '{"id": "q1", "text": "a"}\n{', r"queries\.jsonl:2: is not JSON"),
        ("queries.jsonl", "[]\n", r"queries\.jsonl:1: should be an object, is list"),
        ("queries.jsonl", '\n{"id": "q1"}\n', r"queries\.jsonl:2: has no text under 'text'"),
        ("queries.jsonl", '{"id": 1.5, "text": "a"}', r"queries\.jsonl:1: has no text under 'id'"),
        ("queries.jsonl", '{"id": "q1", "text": "\\ud800"}', r"queries\.jsonl:1: 'text' holds half a character"),
        ("queries.jsonl", '{"id": "q1", "text": "a"}\n' * 2, r"jsonl:2: id 'q1' is already taken at .*queries\.jsonl:1"),
        ("queries.jsonl", '{"id": "q1", "text": "a", "answers": "b"}', r"jsonl:1: 'answers' should be a list of texts"),
        ("queries.jsonl", '{"id": "q1", "text": "a", "history": ["b"]}', r"jsonl:1: 'history' should be a list of turns"),
        ("queries.jsonl", '{"id": "q1", "text": "a", "history": 3}', r"jsonl:1: 'history' should be a list of turns"),
        ("queries.jsonl", '{"id": "q1", "text": "a"}', r"qrels\.tsv: judges query 'q2', which queries\.jsonl does not have"),
        ("qrels.tsv", "q1\tp1\t1\n", r"qrels\.tsv:1: should be a header line, and looks like a judgement"),
        ("qrels.tsv", "header\nq1\tp1\n", r"qrels\.tsv:2: should be query-id, doc-id and a whole score"),
        ("qrels.tsv", "header\nq1\tp1\thigh\n", r"qrels\.tsv:2: should be .*, is \['q1', 'p1', 'high'\]"),
        ("qrels.tsv", "header\nq1\tp1\t1\nq1\tp1\t0\n", r"qrels\.tsv:3: judges document 'p1' twice for query 'q1'"),
    ],
)
def test_a_wrong_line_is_told_with_its_place(rivers: Path, name: str, text: str, says: str) -> None:
    (rivers / name).write_text(text)
    with pytest.raises(DataSetError, match=says):
        list(DataSet(rivers).queries())


def test_a_judgement_of_an_unknown_document_is_told(rivers: Path) -> None:
    (rivers / "qrels.tsv").write_text("header\nq1\tp9\t1\n")
    with pytest.raises(DataSetError, match="query 'q1' names document 'p9', which the corpus does not have"):
        DataSet(rivers).check_judgements()


def test_a_cut_corpus_file_is_told(rivers: Path) -> None:
    packed = rivers / "corpus.jsonl.gz"
    packed.write_bytes(packed.read_bytes()[:-12])
    with pytest.raises(DataSetError, match=r"corpus\.jsonl\.gz cannot be read"):
        list(DataSet(rivers).documents())


def test_judgements_that_are_no_text_are_told_and_blank_lines_are_none(rivers: Path) -> None:
    (rivers / "qrels.tsv").write_text("header\nq1\tp1\t1\n\n", encoding="utf-8")
    assert next(DataSet(rivers).queries()).gold.relevant == {"p1": 1}
    (rivers / "qrels.tsv").write_bytes(b"header\nq1\tp\xff\t1\n")
    with pytest.raises(DataSetError, match=r"qrels\.tsv cannot be read"):
        list(DataSet(rivers).queries())


def test_a_folder_that_is_no_data_set_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match="is not a folder"):
        DataSet(tmp_path / "missing")
    with pytest.raises(DataSetError, match=r"has no corpus\.jsonl\.gz or corpus\.jsonl or tools"):
        list(DataSet(tmp_path).documents())
    with pytest.raises(DataSetError, match=r"has no queries\.jsonl"):
        list(DataSet(tmp_path).queries())


def test_every_public_set_with_passages_is_well_formed() -> None:
    root = Path(os.environ.get("AGENTRAG_DATA", "../shared/data"))
    if not root.is_dir():
        pytest.skip(f"there are no evaluation data at {root} (AGENTRAG_DATA)")
    for name in ("squad", "mtrag-un", "cisi", "seal-tools", "toolbench"):
        data = DataSet(root / name)
        data.check_judgements()
        assert all(query.gold.relevant for query in data.queries())
        assert all(query.question.text for query in data.unanswerable())
