"""The files of a run folder.

run.json       setup, command, versions, hashes of data, models, graph and prompts, seed
graph.yaml     the graph, with its prompts and inner graphs in graph.json; not of a retriever
queries.jsonl  the questions asked, with what their answers are judged by; qrels.tsv their judged documents
answers.jsonl  a line per question, written when it is answered
run.trec       the ranking in TREC's form: query, Q0, document, rank, score, run
scores.csv     metrics by question; metrics.json their means and intervals
calls.sqlite   the journal of the calls, where no cassette was named; `agentrag runs --journal` reads it

run.trec, scores.csv and metrics.json follow from the files above them: nothing has to be asked again to make them anew.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentrag.core.errors import DataSetError, StoreError
from agentrag.evaluation.asking.ask import Outcome
from agentrag.evaluation.data.dataset import Query
from agentrag.evaluation.data.judgements import judgements
from agentrag.evaluation.data.lines import parsed, rows
from agentrag.evaluation.folder.lines import outcome_line, query_line, read_outcome, read_query
from agentrag.evaluation.folder.trec import as_field
from agentrag.evaluation.scoring.metrics import Scores
from agentrag.evaluation.scoring.scores import ranked

FORMAT = 1
ABOUT, GRAPH, QUERIES, QRELS = "run.json", "graph.yaml", "queries.jsonl", "qrels.tsv"
ANSWERS, RANKING, SCORES, METRICS, CALLS = "answers.jsonl", "run.trec", "scores.csv", "metrics.json", "calls.sqlite"


@dataclass(frozen=True)
class RunFolder:
    """A run folder on disk; its name is the run id."""

    path: Path

    @property
    def run(self) -> str:
        """Id of the run."""
        return self.path.resolve().name

    @property
    def journal(self) -> Path:
        """Where its calls are recorded."""
        return self.path / CALLS

    def begin(self, about: Mapping[str, Any], queries: Sequence[Query], sources: Mapping[str, str]) -> None:
        """Write what is known before the first question is asked.

        Raises:
            StoreError: It cannot be written.
        """
        with self._written():
            self.path.mkdir(parents=True, exist_ok=True)
            if sources:
                _write(self.path / GRAPH, [sources["graph"].rstrip("\n")])
                _write(self.path / "graph.json", [json.dumps(dict(sources), ensure_ascii=False, indent=2)])
            _write(self.path / QUERIES, (json.dumps(query_line(query), ensure_ascii=False) for query in queries))
            _write(self.path / QRELS, ["query-id\tdoc-id\tscore", *_judged(queries)])
            _write(self.path / ABOUT, [json.dumps({"format": FORMAT, **about}, ensure_ascii=False, indent=2)])

    def mend(self) -> None:
        """Cut off what was not written to its end when the evaluation was stopped; for who holds the folder alone."""
        path = self.path / ANSWERS
        if path.is_file():
            with self._written():
                _write(path, _whole(path).decode().split("\n")[:-1])

    def add(self, outcome: Outcome) -> None:
        """Keep what became of a question, at once."""
        with self._written(), (self.path / ANSWERS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(outcome_line(outcome), ensure_ascii=False) + "\n")

    def finish(self, outcomes: Sequence[Outcome], scores: Scores, metrics: Mapping[str, Any]) -> None:
        """Write all outcomes in their order, and what follows from them."""
        with self._written():
            _write(self.path / ANSWERS, (json.dumps(outcome_line(each), ensure_ascii=False) for each in outcomes))
            _write(self.path / RANKING, (line for outcome in outcomes for line in _trec(outcome, self.run)))
            _table(self.path / SCORES, outcomes, scores)
            _write(self.path / METRICS, [json.dumps(metrics, ensure_ascii=False, indent=2)])

    def about(self) -> dict[str, Any]:
        """What run.json says.

        Raises:
            DataSetError: It is not there, or was written by a later version.
        """
        path = self.path / ABOUT
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if found["format"] > FORMAT:
                raise DataSetError(f"{path} was written by a later version of agentrag.")
            _check_about(path, found)
        except FileNotFoundError as error:
            raise DataSetError(f"{self.path} is no run folder: it has no {ABOUT}.") from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataSetError(f"{path} cannot be read: {error}") from error
        return dict(found)

    def queries(self) -> list[Query]:
        """The questions that were or are to be asked, in order.

        Raises:
            DataSetError: A file is damaged.
        """
        judged = judgements(self.path / QRELS) if (self.path / QRELS).is_file() else {}
        return [_read(place, read_query, line, judged.get(line.get("id", ""), {})) for place, line in rows(self.path / QUERIES)]

    def outcomes(self, queries: Sequence[Query]) -> dict[str, Outcome]:
        """What became of each question that was answered so far, by its id. A last line that was cut off is left out.

        Raises:
            DataSetError: The file is damaged elsewhere, or answers a question that is not among `queries`.
        """
        path = self.path / ANSWERS
        if not path.is_file():
            return {}
        known = {query.id: query for query in queries}
        found: dict[str, Outcome] = {}
        for place, line in parsed(path, _whole(path).splitlines()):
            if str(line.get("id")) not in known:
                raise DataSetError(f"{place}: answers '{line.get('id')}', which is none of the questions of this run.")
            found[line["id"]] = _read(place, read_outcome, line, known[line["id"]])
        return found

    @contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except (OSError, UnicodeError) as error:
            raise StoreError(f"Run folder {self.path} cannot be written: {error}") from error


def _check_about(path: Path, found: Mapping[str, Any]) -> None:
    setup = found.get("setup")
    if not (isinstance(found.get("run"), str) and isinstance(setup, dict) and isinstance(setup.get("system"), str)):
        raise DataSetError(f"{path} cannot be read: it says no run, or no setup with a system.")


def _read(place: str, read: Any, line: Mapping[str, Any], beside: Any) -> Any:
    try:
        return read(line, beside)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataSetError(f"{place}: is not a line of a run folder ({type(error).__name__}: {error}).") from error


def _whole(path: Path) -> bytes:
    """The lines that were written to their end. The file may be written to at this moment, so it is left as it is."""
    text = path.read_bytes()
    return text[: text.rfind(b"\n") + 1]


def _judged(queries: Sequence[Query]) -> Iterator[str]:
    for query in queries:
        for document, score in query.gold.relevant.items():
            yield f"{query.id}\t{document}\t{score}"


def _write(path: Path, lines: Iterable[str]) -> None:
    """Write a file anew: until it is whole, the earlier one stays."""
    new = path.with_name(f"{path.name}.new")
    with new.open("w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in lines)
    new.replace(path)


def _trec(outcome: Outcome, run: str) -> Iterator[str]:
    found = ranked(outcome)
    for rank, document in enumerate(found, start=1):
        yield f"{as_field(outcome.query.id)} Q0 {as_field(document)} {rank} {len(found) - rank + 1} {as_field(run)}"


def _table(path: Path, outcomes: Sequence[Outcome], scores: Scores) -> None:
    """A line per question and a column per metric, empty where it does not apply."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["query", *scores])
        for outcome in outcomes:
            shares = [values.get(outcome.query.id) for values in scores.values()]
            cells = ["" if share is None or not share.whole else repr(share.part / share.whole) for share in shares]
            table.writerow([outcome.query.id, *cells])
