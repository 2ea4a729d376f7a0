"""What is evaluated, on what: everything that has to be said again to get the same numbers."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from agentrag.core.errors import DataSetError
from agentrag.core.ports import RecordingKind
from agentrag.evaluation.data.halves import Half
from agentrag.evaluation.scoring.metrics import DEFAULT


@dataclass(frozen=True)
class Setup:
    """An evaluation as it was asked for.

    Attributes:
        system: A retriever's name, or a graph's name or path.
        data: Folder of the data set.
        split: Of BEIR's folders; see `DataSet`.
        where: Only queries whose fields say so, e.g. {"part": "beir-test"}.
        recorded: Only queries for which such outputs are recorded: "reformulation", "decomposition" or "request".
        half: Which questions: settings are chosen on "tune", numbers quoted on "report".
        limit: Only the first so many of them by the hex digest of their ids.
        unanswerable: So many questions besides that the corpus cannot answer, of the same half, drawn the same way.
        inputs: Fixed inputs of the graph, or settings of the retriever, as texts.
        fields: By input of the graph, the field of the data set's queries that fills it.
        models: Bindings by slot.
        whole: Every document is one passage, as in BEIR's reference runs.
        cassette: File in which every call is recorded once; equal calls of later evaluations are answered from it.
        concurrency: Questions in flight, >= 1.
        metrics: Of rankings; those of answers, citations, refusals and cost are taken wherever they apply.
    """

    system: str
    data: str
    split: str | None = None
    where: Mapping[str, str] = field(default_factory=dict)
    recorded: RecordingKind | None = None
    half: Half | Literal["all"] = "all"
    limit: int | None = None
    unanswerable: int = 0
    inputs: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    whole: bool = False
    cassette: str | None = None
    concurrency: int = 1
    metrics: tuple[str, ...] = DEFAULT

    def __post_init__(self) -> None:
        if self.cassette:
            object.__setattr__(self, "cassette", str(Path(self.cassette).resolve()))
        object.__setattr__(self, "metrics", tuple(self.metrics))
        _check("half", self.half, (*get_args(Half), "all"))
        _check("recorded", self.recorded, (None, *get_args(RecordingKind)))
        for name, least in (("concurrency", 1), ("limit", 1), ("unanswerable", 0)):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < least):
                raise DataSetError(f"{name} is a whole number, {least} or more, not {value!r}.")

    def as_json(self) -> dict[str, Any]:
        """The setup as JSON data."""
        return asdict(self) | {"metrics": list(self.metrics)}

    @classmethod
    def of(cls, data: Any) -> Setup:
        """The setup from its JSON data; a DataSetError where a key is not known, so that nothing asked for is ignored."""
        if not isinstance(data, dict):
            raise DataSetError("This evaluation does not say its setup.")
        if strangers := sorted(data.keys() - {each.name for each in fields(cls)}):
            raise DataSetError(f"The setup of this evaluation says '{strangers[0]}', which this version does not know.")
        try:
            return cls(**{**data, "metrics": tuple(data.get("metrics", DEFAULT))})
        except TypeError as error:
            raise DataSetError(f"The setup of this evaluation is damaged: {error}.") from error

    @property
    def command(self) -> str:
        """The command line that asks for it."""
        return shlex.join(["agentrag", "eval", self.system, "--data", self.data, *self._options()])

    def _options(self) -> Iterator[str]:
        for name, value in (("split", self.split), ("limit", self.limit), ("cassette", self.cassette)):
            yield from () if value is None else (f"--{name}", str(value))
        yield from () if self.half == "all" else ("--half", self.half)
        yield from ("--unanswerable", str(self.unanswerable)) if self.unanswerable else ()
        yield from ("--recorded", self.recorded) if self.recorded else ()
        for option, pairs in (("--where", self.where), ("-i", self.inputs), ("--field", self.fields)):
            for name, value in pairs.items():
                yield from (option, f"{name}={value}")
        for slot, binding in self.models.items():
            yield from ("-m", binding) if slot == "*" else ("--models", f"{slot}={binding}")
        yield from ("--whole",) if self.whole else ()
        yield from ("--concurrency", str(self.concurrency)) if self.concurrency > 1 else ()
        for metric in () if self.metrics == DEFAULT else self.metrics:
            yield from ("--metric", metric)


def _check(name: str, value: object, known: tuple[object, ...]) -> None:
    if value not in known:
        raise DataSetError(f"{name} is one of {', '.join(str(each) for each in known if each)}, not {value!r}.")
