"""Data sets on disk: one folder each, read as a stream, every fault told with its file and line.

corpus.jsonl.gz or corpus.jsonl   a passage a line: id, title (may be empty), text
queries.jsonl                     a question a line: id, text, and where there are any answers, history and others
qrels.tsv                         a header line, then query-id, doc-id, score
unanswerable.jsonl                questions that the corpus cannot answer; not in every data set
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from agentrag.core.errors import DataSetError
from agentrag.core.types import Message, Role

_SPEAKERS: Mapping[str, Role] = {"user": "user", "agent": "assistant", "assistant": "assistant"}


@dataclass(frozen=True, slots=True)
class Question:
    """All of a query that may reach a graph or a retriever."""

    id: str
    text: str
    history: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class Gold:
    """What a query is judged by. It has no way into a run: what answers a question takes a `Question`.

    Attributes:
        answers: Accepted answers; empty where the data set gives none.
        relevant: Judged score by document id; above 0 is relevant, unlisted counts as 0.
        fields: Everything else that the data set says of the query: evidences, calls, steps, type ...
    """

    answers: tuple[str, ...] = ()
    relevant: Mapping[str, int] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Query:
    """A question and, apart from it, what its answer is judged by."""

    question: Question
    gold: Gold

    @property
    def id(self) -> str:
        """Id of the question."""
        return self.question.id


@dataclass(frozen=True)
class DataSet:
    """One data set folder. Reading is lazy: each method streams its file again."""

    folder: Path

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            raise DataSetError(f"{self.folder} is not a folder. Give the folder of a data set, with corpus.jsonl.gz in it.")

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.resolve().name

    @cached_property
    def corpus(self) -> Path:
        """The corpus file.

        Raises:
            DataSetError: There is none.
        """
        names = ("corpus.jsonl.gz", "corpus.jsonl")
        for name in names:
            if (path := self.folder / name).is_file():
                return path
        raise DataSetError(f"{self.folder} has no {' or '.join(names)}: it is not a data set with passages.")

    def documents(self) -> Iterator[str]:
        """Ids of the corpus, in file order.

        Raises:
            DataSetError: A line is wrong, or an id occurs twice.
        """
        for place, row in _unique(self.corpus):
            _text(place, row, "text")
            yield row["id"]

    def queries(self) -> Iterator[Query]:
        """The queries that the corpus can answer, in file order.

        Raises:
            DataSetError: A line is wrong, an id occurs twice, or a judgement names an unknown query.
        """
        judged = self._judgements()
        path = self.folder / "queries.jsonl"
        seen = set()
        for place, row in _unique(path):
            seen.add(row["id"])
            yield _query(place, row, judged.get(row["id"], {}))
        if strangers := sorted(judged.keys() - seen):
            raise DataSetError(f"{self.folder / 'qrels.tsv'}: judges query '{strangers[0]}', which {path.name} does not have.")

    def unanswerable(self) -> Iterator[Query]:
        """Questions that the corpus cannot answer, in file order; none where the data set has no such file.

        Raises:
            DataSetError: A line is wrong, or an id occurs twice.
        """
        path = self.folder / "unanswerable.jsonl"
        if path.is_file():
            for place, row in _unique(path):
                yield _query(place, row, {})

    def check_judgements(self) -> None:
        """Read corpus and judgements once and compare their ids.

        Raises:
            DataSetError: A judgement names a document that the corpus does not have.
        """
        known = set(self.documents())
        for query, scores in self._judgements().items():
            if strangers := sorted(scores.keys() - known):
                where = self.folder / "qrels.tsv"
                raise DataSetError(f"{where}: query '{query}' names document '{strangers[0]}', which the corpus does not have.")

    def _judgements(self) -> dict[str, dict[str, int]]:
        path = self.folder / "qrels.tsv"
        judged: dict[str, dict[str, int]] = {}
        if not path.is_file():
            return judged
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            next(rows, None)
            for number, row in enumerate(rows, start=2):
                query, document, score = _judgement(f"{path}:{number}", row)
                if document in judged.setdefault(query, {}):
                    raise DataSetError(f"{path}:{number}: judges document '{document}' twice for query '{query}'.")
                judged[query][document] = score
        return judged


def _judgement(place: str, row: list[str]) -> tuple[str, str, int]:
    try:
        query, document, score = row
        return query, document, int(score)
    except ValueError as error:
        raise DataSetError(f"{place}: should be query-id, doc-id and a whole score with tabs between, is {row}.") from error


def _query(place: str, row: dict[str, Any], relevant: dict[str, int]) -> Query:
    answers = row.get("answers", [])
    if not isinstance(answers, list) or not all(isinstance(answer, str) for answer in answers):
        raise DataSetError(f"{place}: 'answers' should be a list of texts.")
    question = Question(row["id"], _text(place, row, "text"), _history(place, row.get("history", [])))
    fields = {key: value for key, value in row.items() if key not in {"id", "text", "history", "answers"}}
    return Query(question, Gold(tuple(answers), relevant, fields))


def _history(place: str, turns: object) -> tuple[Message, ...]:
    try:
        return tuple(Message(_SPEAKERS[turn["speaker"]], turn["text"]) for turn in turns)  # type: ignore[attr-defined]  # what is not so raises
    except (TypeError, KeyError) as error:
        raise DataSetError(
            f"{place}: 'history' should be a list of turns with 'speaker' (user or agent) and 'text'."
        ) from error


def _text(place: str, row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        raise DataSetError(f"{place}: has no text under '{key}'.")
    return value


def _unique(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    seen: dict[str, str] = {}
    for place, row in _rows(path):
        name = _text(place, row, "id")
        if name in seen:
            raise DataSetError(f"{place}: id '{name}' is already taken at {seen[name]}.")
        seen[name] = place
        yield place, row


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, row) of every line that is not blank."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield f"{path}:{number}", _row(f"{path}:{number}", line)
    except FileNotFoundError as error:
        raise DataSetError(f"{path.parent} has no {path.name}.") from error
    except (OSError, EOFError) as error:
        raise DataSetError(f"{path} cannot be read: {error}") from error


def _row(place: str, line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DataSetError(f"{place}: is not JSON: {error}") from error
    if not isinstance(row, dict):
        raise DataSetError(f"{place}: should be an object, is {type(row).__name__}.")
    return row
