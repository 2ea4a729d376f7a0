"""What language models and people once wrote for the queries of a data set, to be used again.

reformulations.jsonl.gz   id, runs: a list of method, model, text
decompositions.jsonl      id, steps: texts, or objects whose `question` is the text
agent_requests.jsonl      id, model, calls: of those with action "route" the `query`
agent_runs.jsonl          id, runs: of the one with trial 1, of its actions "search", the `query`

Each may be packed (.jsonl.gz) or not, and may be missing. Nothing else is kept of a line: answers and documents of steps,
facts, what a router matched, which tools ran, thoughts and later trials tell what a query is judged by.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from agentrag.core.errors import DataSetError, RecordingError, unknown
from agentrag.core.ports import RecordingKind
from agentrag.evaluation.data.lines import text_of, unique

RUNS_AGENT = "react"
"""Name of the agent of agent_runs.jsonl, which says none: a ReAct agent (Reflexion, arXiv:2303.11366)."""

_Author = tuple[str, str]
"""Method and model."""
_Table = Mapping[str, Mapping[_Author, Sequence[str]]]
"""Texts by query and author."""
_Written = Iterator[tuple[_Author, list[str]]]


@dataclass(frozen=True)
class RecordedOutputs:
    """The recorded outputs of one data set folder; each file is read once, when first asked for.

    Cost: 0.2 s for the 8,000 reformulations of SciFact, once.
    """

    folder: Path
    _read: dict[RecordingKind, _Table] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.resolve().name

    @property
    def files(self) -> list[Path]:
        """The files that are there."""
        return [path for kind in _FILES for path, _ in self._files(kind)]

    @cached_property
    def version(self) -> str:
        """Twelve hex digits that change with the content of any of the files.

        Raises:
            DataSetError: A file cannot be read.
        """
        digest = hashlib.sha256()
        for path in self.files:
            try:
                digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
            except OSError as error:
                raise DataSetError(f"{path} cannot be read: {error}") from error
        return digest.hexdigest()[:12]

    def of(self, query: str) -> QueryRecordings:
        """The recorded outputs for one query, by its id; there need not be any."""
        return QueryRecordings(self, query)

    def table(self, kind: RecordingKind) -> _Table:
        """All texts of one kind by query, then by method and model.

        Raises:
            DataSetError: A line is wrong, or an id occurs twice.
        """
        if kind not in self._read:
            table: dict[str, dict[_Author, list[str]]] = {}
            for path, parse in self._files(kind):
                for place, row in unique(path):
                    written = table.setdefault(row["id"], {})
                    for author, texts in parse(place, row):
                        written.setdefault(author, []).extend(texts)
            self._read[kind] = table
        return self._read[kind]

    def _files(self, kind: RecordingKind) -> Iterator[tuple[Path, _Parse]]:
        for stem, parse in _FILES[kind].items():
            for path in (self.folder / f"{stem}.jsonl.gz", self.folder / f"{stem}.jsonl"):
                if path.is_file():
                    yield path, parse
                    break


@dataclass(frozen=True)
class QueryRecordings:
    """The recorded outputs for one query; see `agentrag.core.ports.Recordings`."""

    outputs: RecordedOutputs
    query: str

    @property
    def name(self) -> str:
        """Name of the data set."""
        return self.outputs.name

    @property
    def version(self) -> str:
        """Changes with the files of the data set."""
        return self.outputs.version

    def texts(self, kind: RecordingKind, method: str = "", model: str = "") -> list[str]:
        """The texts of one author in file order; arguments and errors as `agentrag.core.ports.Recordings.texts`."""
        table = self.outputs.table(kind)
        written = table.get(self.query, {})
        found = [author for author in _meant((method, model), written) if author in written]
        if len(found) == 1:
            return list(written[found[0]])
        reason = _ambiguous(model, found) if found else _missing((method, model), written, table)
        by = "".join(f" of {what} '{name}'" for what, name in (("method", method), (_WRITER[kind], model)) if name)
        raise RecordingError(f"Data set '{self.name}', query '{self.query}': no {kind}{by} can be used. {reason}")


def _meant(asked: _Author, written: Iterable[_Author]) -> list[_Author]:
    """The author of exactly this name, or else all whose model's name ends in it after a slash."""
    known = list(written)
    method, model = asked
    return [asked] if asked in known else [each for each in known if each[0] == method and each[1].endswith(f"/{model}")]


def _ambiguous(model: str, found: Iterable[_Author]) -> str:
    return f"'{model}' may be {' or '.join(sorted(name for _, name in found))}: give the whole name."


def _missing(asked: _Author, written: Iterable[_Author], table: _Table) -> str:
    """Why nothing is found, and what there is."""
    written = list(written)
    method, model = asked
    if not written:
        return f"Nothing of the kind is recorded for it; {len(table):,} queries of the data set have something."
    if any(_meant(asked, others) for others in table.values()):
        there = sorted(name for known, name in written if known == method)
        return f"Other queries have it; recorded for this one, of that method: {', '.join(there) or 'nothing'}."
    methods = {known for known, _ in written}
    if method not in methods:
        return unknown("method", method, methods)
    names = {name if "/" in model else name.rpartition("/")[2] for known, name in written if known == method}
    return unknown("model", model, names)


_Parse = Callable[[str, dict[str, Any]], _Written]


def _reformulations(place: str, row: dict[str, Any]) -> _Written:
    for run in _objects(place, row, "runs"):
        yield (text_of(place, run, "method"), text_of(place, run, "model")), [text_of(place, run, "text")]


def _steps(place: str, row: dict[str, Any]) -> _Written:
    steps = row.get("steps")
    if not isinstance(steps, list) or not steps:
        raise DataSetError(f"{place}: 'steps' should be a list with one step or more.")
    objects = [{"question": step} if isinstance(step, str) else step for step in steps]
    yield ("", ""), [text_of(place, step, "question") for step in _objects(place, {"steps": objects}, "steps")]


def _routed(place: str, row: dict[str, Any]) -> _Written:
    calls = _objects(place, row, "calls")
    queries = [text_of(place, call, "query") for call in calls if call.get("action") == "route"]
    yield ("", text_of(place, row, "model")), queries


def _searched(place: str, row: dict[str, Any]) -> _Written:
    for run in _objects(place, row, "runs"):
        if run.get("trial") == 1:  # later trials were told that the first one was wrong
            actions = _objects(place, run, "actions")
            queries = [text_of(place, action, "query") for action in actions if action.get("action") == "search"]
            yield ("", RUNS_AGENT), queries


def _objects(place: str, row: dict[str, Any], key: str) -> list[dict[str, Any]]:
    items = row.get(key)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise DataSetError(f"{place}: '{key}' should be a list of objects.")
    return items


_FILES: Mapping[RecordingKind, Mapping[str, _Parse]] = {
    "reformulation": {"reformulations": _reformulations},
    "decomposition": {"decompositions": _steps},
    "request": {"agent_requests": _routed, "agent_runs": _searched},
}
_WRITER: Mapping[RecordingKind, str] = {"reformulation": "model", "decomposition": "model", "request": "agent"}
