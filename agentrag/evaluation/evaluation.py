"""A finished evaluation: what was asked, what came of it, and every number that follows."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from agentrag.core.types import Usage
from agentrag.evaluation.asking.ask import Outcome
from agentrag.evaluation.comparing.comparison import compare_systems
from agentrag.evaluation.comparing.results import Comparison, System
from agentrag.evaluation.data.dataset import DataSet
from agentrag.evaluation.folder.folder import RunFolder
from agentrag.evaluation.folder.trec import ranked_outcomes, read_rankings
from agentrag.evaluation.scoring.metrics import DEFAULT, Scores, metric
from agentrag.evaluation.scoring.ranking import parse
from agentrag.evaluation.scoring.scores import Summary, score, summarise
from agentrag.evaluation.statistics.intervals import Interval

_GIVEN = re.compile(r"\d{8}-\d{6}-")
"""How ids begin that no person chose."""


@dataclass(frozen=True)
class Evaluation:
    """The result of `agentrag.evaluate`, or one read again from its folder.

    All numbers are computed from `outcomes`, now: nothing that was written beside them is believed.

    Attributes:
        run: Its id.
        about: Setup, versions, hashes; see run.json of `agentrag.evaluation.folder.folder`.
        outcomes: Each question with what became of it, in the order of the sample.
        folder: Where it is written; None where it is not.
        name: What it is called beside others; see `labelled`.
    """

    run: str
    about: Mapping[str, Any]
    outcomes: tuple[Outcome, ...]
    folder: Path | None = None
    name: str = ""

    @cached_property
    def scores(self) -> Scores:
        """What each question adds to each metric that applies."""
        return score(self.outcomes, self.ranking_metrics)

    @property
    def ranking_metrics(self) -> tuple[str, ...]:
        """Metrics of rankings that it is scored with; see `scored_by`."""
        return tuple(self.about.get("setup", {}).get("metrics", DEFAULT))

    @cached_property
    def summary(self) -> Summary:
        """Means with their 95 % intervals, failures and costs."""
        return summarise(self.outcomes, self.scores)

    @property
    def metrics(self) -> Mapping[str, Interval]:
        """Mean and 95 % interval by metric."""
        return self.summary.metrics

    @property
    def n(self) -> int:
        """Questions asked."""
        return len(self.outcomes)

    @property
    def failed(self) -> Mapping[str, str]:
        """Why a question has no answer, by its id."""
        return self.summary.failed

    @property
    def usage(self) -> Mapping[str, Usage]:
        """What was paid, by node."""
        return self.summary.usage

    @property
    def unjudged(self) -> int:
        """Answerable questions that are in no ranking metric, because nothing was judged relevant to them."""
        golds = [outcome.query.gold for outcome in self.outcomes]
        return sum(gold.answerable and not any(score > 0 for score in gold.relevant.values()) for gold in golds)

    def rows(self) -> list[dict[str, Any]]:
        """A flat row per question, for `pandas.DataFrame`: query, text, answer, error, a column per metric.

        A metric that does not apply to a question is None.
        """
        return [self._row(outcome) for outcome in self.outcomes]

    def _row(self, outcome: Outcome) -> dict[str, Any]:
        answered, query = outcome.answered, outcome.query
        row: dict[str, Any] = {"query": query.id, "text": query.question.text}
        row |= {"answer": answered and answered.answer, "error": outcome.error}
        for name, values in self.scores.items():
            share = values.get(query.id)
            row[name] = share.part / share.whole if share and share.whole else None
        return row

    def as_json(self) -> dict[str, Any]:
        """The means as JSON data: metrics, n, unjudged, usage, run, failed."""
        return {
            "metrics": {name: asdict(value) for name, value in self.metrics.items()},
            "n": self.n,
            "unjudged": self.unjudged,
            "usage": {node: asdict(usage) for node, usage in self.usage.items()},
            "run": self.run,
            "failed": dict(self.failed),
        }

    def scored_by(self, metrics: Sequence[str]) -> Evaluation:
        """The same with other metrics of the ranking; a DataSetError where one is not known."""
        for name in metrics:
            parse(name)
        return replace(self, about={**self.about, "setup": {**self.about.get("setup", {}), "metrics": list(metrics)}})

    def as_system(self) -> System:
        """What a comparison needs of it."""
        return System(
            name=self.name or self.run,
            scores=self.scores,
            questions={outcome.query.id: outcome.query.question.text for outcome in self.outcomes},
            better={name: metric(name).better for name in self.scores},
            judged={outcome.query.id: _judged(outcome) for outcome in self.outcomes},
            costs=frozenset(name for name in self.scores if metric(name).kind == "cost"),
        )


def load_evaluation(path: Path | str) -> Evaluation:
    """Read a run folder; what was not answered when it was left is missing from it.

    Raises:
        DataSetError: It is no run folder, or is damaged.
    """
    folder = RunFolder(Path(path))
    about, queries = folder.about(), folder.queries()
    done = folder.outcomes(queries)
    outcomes = tuple(done[query.id] for query in queries if query.id in done)
    return Evaluation(folder.run, about, outcomes, folder.path)


def ranked_evaluation(path: Path, data: DataSet) -> Evaluation:
    """A ranking that another tool wrote in TREC's form, judged by a data set; its name is that of the file.

    Its questions are the queries that it ranks documents for, as for trec_eval.

    Raises:
        DataSetError: The file is wrong, or ranks for a query or a document that the data set does not have.
    """
    outcomes = ranked_outcomes(read_rankings(path), data, path)
    return Evaluation(path.stem, {"data": {"name": data.name}}, tuple(outcomes))


def compare(
    first: Evaluation | Path | str,
    *others: Evaluation | Path | str,
    metrics: Sequence[str] | None = None,
) -> Comparison:
    """Compare evaluations with the first one, question by question.

    Args:
        first: The baseline: an evaluation or its folder.
        others: What is compared with it, at least one.
        metrics: Which; all that both have where None.

    Raises:
        DataSetError: No common question, the same question judged differently, or an unknown metric.
    """
    runs = [run if isinstance(run, Evaluation) else load_evaluation(run) for run in (first, *others)]
    return compare_systems([run.as_system() for run in labelled(runs)], metrics)


def labelled(runs: Sequence[Evaluation]) -> list[Evaluation]:
    """The runs with names that tell them apart, as short as can be: those that they have, else what was evaluated.

    Where two would be called the same, what was set for them is added, and last the end of their ids.
    """
    for label in (_system, _system_as_set, lambda run: f"{_system_as_set(run)} {run.run[-8:]}", _place, lambda run: run.run):
        names = [run.name or label(run) for run in runs]
        if len(set(names)) == len(names):
            break
    return [replace(run, name=name) for run, name in zip(runs, names, strict=True)]


def _system(run: Evaluation) -> str:
    """The graph or retriever; the folder's name where a person chose it."""
    if not _GIVEN.match(run.run):
        return run.run
    return Path(str(run.about.get("setup", {}).get("system", run.run))).stem


def _place(run: Evaluation) -> str:
    """The folder with the one that it is in."""
    return run.run if run.folder is None else "/".join(run.folder.resolve().parts[-2:])


def _system_as_set(run: Evaluation) -> str:
    setup = run.about.get("setup", {})
    pairs = [f"{name}={value}" for part in ("inputs", "models") for name, value in setup.get(part, {}).items()]
    return " ".join([_system(run), *pairs, *(["whole"] if setup.get("whole") else [])])


def _judged(outcome: Outcome) -> str:
    gold = outcome.query.gold
    judged = [sorted(gold.answers), sorted(gold.relevant.items()), gold.answerable]
    return hashlib.sha256(json.dumps(judged, ensure_ascii=False).encode()).hexdigest()
