"""Data sets on disk: one folder each, read as a stream, every fault told with its file and line.

corpus.jsonl.gz or corpus.jsonl   a passage a line: id, title (may be empty), text
tools.jsonl.gz or tools.jsonl     in place of a corpus: name, description, parameters
queries.jsonl                     a question a line: id, text, and where there are any answers, history and others
qrels.tsv                         a header line, then query-id, doc-id, score
unanswerable.jsonl                questions that the corpus cannot answer; not in every data set

BEIR's own folders are read too: `_id` for `id`, and judgements in qrels/<split>.tsv, of which one split is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from agentrag.core.errors import DataSetError, unknown
from agentrag.core.types import Message, Role
from agentrag.evaluation.data import tools
from agentrag.evaluation.data.judgements import judgements
from agentrag.evaluation.data.lines import text_of, unique

_SPEAKERS: Mapping[str, Role] = {"user": "user", "agent": "assistant", "assistant": "assistant"}
_CORPUS = ("corpus.jsonl.gz", "corpus.jsonl")
_TOOLS = ("tools.jsonl.gz", "tools.jsonl")
_USUAL_SPLIT = "test"


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
        answerable: Whether the corpus can answer it.
    """

    answers: tuple[str, ...] = ()
    relevant: Mapping[str, int] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)
    answerable: bool = True


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
    """One data set folder. Reading is lazy: each method streams its file again.

    Attributes:
        folder: Where its files are.
        split: Of BEIR's folders: whose judgements are read; "test" where None. Only its queries are asked.
    """

    folder: Path
    split: str | None = None

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            raise DataSetError(
                f"{self.folder} is not a folder. Give the folder of a data set, with corpus.jsonl and queries.jsonl in it."
            )

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.resolve().name

    @cached_property
    def corpus(self) -> Path:
        """The file of passages or of tools.

        Raises:
            DataSetError: There is none.
        """
        for name in (*_CORPUS, *_TOOLS):
            if (path := self.folder / name).is_file():
                return path
        raise DataSetError(f"{self.folder} has no {' or '.join((*_CORPUS, *_TOOLS))}: it is not a data set.")

    @property
    def has_tools(self) -> bool:
        """Whether its documents are tools."""
        return self.corpus.name in _TOOLS

    def documents(self) -> Iterator[dict[str, Any]]:
        """The documents, each with `id`, `title` and `text`, in file order.

        Raises:
            DataSetError: A line is wrong, or an id occurs twice.
        """
        if self.has_tools:
            yield from tools.documents(self.corpus)
            return
        for place, row in unique(self.corpus):
            text_of(place, row, "text")
            yield row

    def queries(self) -> Iterator[Query]:
        """The queries that the corpus can answer, in file order.

        Raises:
            DataSetError: A line is wrong, an id occurs twice, or a judgement names an unknown query.
        """
        judged = self._judgements()
        path = self.folder / "queries.jsonl"
        seen = set()
        for place, row in unique(path):
            seen.add(row["id"])
            if row["id"] in judged or not self._splits:
                yield _query(place, row, judged.get(row["id"], {}))
        if strangers := sorted(judged.keys() - seen):
            raise DataSetError(f"{self.judged_in}: judges query '{strangers[0]}', which {path.name} does not have.")

    def unanswerable(self) -> Iterator[Query]:
        """Questions that the corpus cannot answer, in file order; none where the data set has no such file.

        Raises:
            DataSetError: A line is wrong, or an id occurs twice.
        """
        path = self.folder / "unanswerable.jsonl"
        if path.is_file():
            for place, row in unique(path):
                yield _query(place, row, {}, answerable=False)

    def check_judgements(self) -> None:
        """Read corpus and judgements once and compare their ids.

        Raises:
            DataSetError: A judgement names a document that the corpus does not have.
        """
        known = {document["id"] for document in self.documents()}
        for query, scores in self._judgements().items():
            if strangers := sorted(scores.keys() - known):
                what = f"query '{query}' names document '{strangers[0]}', which the corpus does not have."
                raise DataSetError(f"{self.judged_in}: {what}")

    @cached_property
    def judged_in(self) -> Path | None:
        """The file of judgements; None where there is none.

        Raises:
            DataSetError: The split is not there, or the folder has no splits.
        """
        if not self._splits:
            if self.split is not None:
                raise DataSetError(f"{self.folder} has no splits: no file qrels/{self.split}.tsv.")
            path = self.folder / "qrels.tsv"
            return path if path.is_file() else None
        split = self.split or _USUAL_SPLIT
        if split not in self._splits:
            raise DataSetError(f"{self.folder}: {unknown('split', split, self._splits)}")
        return self._splits[split]

    @cached_property
    def _splits(self) -> dict[str, Path]:
        """Files of judgements by split; none where there is one for all queries."""
        if (self.folder / "qrels.tsv").is_file():
            return {}
        return {path.stem: path for path in sorted((self.folder / "qrels").glob("*.tsv"))}

    def _judgements(self) -> dict[str, dict[str, int]]:
        return {} if self.judged_in is None else judgements(self.judged_in)


def _query(place: str, row: dict[str, Any], relevant: dict[str, int], *, answerable: bool = True) -> Query:
    answers = row.get("answers", [])
    if not isinstance(answers, list) or not all(isinstance(answer, str) for answer in answers):
        raise DataSetError(f"{place}: 'answers' should be a list of texts.")
    question = Question(row["id"], _whole(place, text_of(place, row, "text")), _history(place, row.get("history", [])))
    fields = {key: value for key, value in row.items() if key not in {"id", "text", "history", "answers"}}
    return Query(question, Gold(tuple(answers), relevant, fields, answerable))


def _whole(place: str, text: str) -> str:
    """The text, where it is one that files can hold."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataSetError(f"{place}: 'text' holds half a character ({error.reason}).") from error
    return text


def _history(place: str, turns: object) -> tuple[Message, ...]:
    try:
        return tuple(Message(_SPEAKERS[turn["speaker"]], turn["text"]) for turn in turns)  # type: ignore[attr-defined]  # what is not so raises
    except (TypeError, KeyError) as error:
        raise DataSetError(
            f"{place}: 'history' should be a list of turns with 'speaker' (user or agent) and 'text'."
        ) from error
