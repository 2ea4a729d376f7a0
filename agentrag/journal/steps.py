"""Puts the calls and notes of a run together into steps, and steps into what nodes cost."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from agentrag.core.types import Usage
from agentrag.journal.past import Expected, Mean, PastCall, PastNote, PastStep

_ATTEMPT = re.compile(r"~(\d+)$")


def node_of(step: str) -> str:
    """Name of the node at the end of a step's path.

    >>> node_of("flow.2.repeat#1.0:write~2")
    'write'
    """
    return _ATTEMPT.sub("", step).rsplit(":", 1)[-1]


def steps_of(calls: Sequence[PastCall], notes: Sequence[PastNote]) -> list[PastStep]:
    """The attempts of steps, in the order in which the first thing in each ended."""
    found: dict[str, _Step] = {}
    ends = [note for note in notes if note.kind == "step"]
    both: list[PastCall | PastNote] = [*calls, *ends]
    for one in sorted(both, key=lambda one: one.seq):
        path = one.step if isinstance(one, PastCall) else _attempt_path(one)
        step = found.setdefault(path, _Step(node_of(path)))
        if isinstance(one, PastCall):
            step.calls.append(one)
        else:
            step.end(one)
    return [step.told(path) for path, step in found.items()]


def by_node(steps: Iterable[PastStep]) -> dict[str, tuple[Usage, Usage]]:
    """What each node cost, and what its reused answers had cost, by node name in the order of the steps."""
    costs: dict[str, tuple[Usage, Usage]] = {}
    for step in steps:
        paid, saved = costs.get(step.node, (Usage(), Usage()))
        costs[step.node] = (paid + step.usage, saved + step.saved)
    return costs


def mean(runs: Sequence[Sequence[PastStep]], seconds: Sequence[float]) -> Expected:
    """What runs cost in the mean, of which at least one must be given, with their wall times."""
    nodes: dict[str, Usage] = {}
    for steps in runs:
        for name, usage in _first_times(steps):
            nodes[name] = nodes.get(name, Usage()) + usage
    everything = sum(nodes.values(), Usage())
    means = {name: _mean(usage, len(runs)) for name, usage in nodes.items()}
    return Expected(len(runs), means, _mean(everything, len(runs)), sum(seconds) / len(runs))


@dataclass
class _Step:
    node: str
    outcome: str = ""
    reason: str = ""
    seconds: float = 0.0
    calls: list[PastCall] = field(default_factory=list)

    def end(self, note: PastNote) -> None:
        """Take over what its end said; a step that was answered from the record when its run was resumed has several."""
        self.node = note.body.get("node", self.node)
        self.outcome, self.reason = note.body.get("outcome", ""), note.body.get("reason", "")
        self.seconds += note.body.get("seconds", 0.0)

    def told(self, path: str) -> PastStep:
        number = _ATTEMPT.search(path)
        attempt = int(number[1]) if number else 1
        return PastStep(path, self.node, attempt, self.outcome, self.reason, self.seconds, tuple(self.calls))


def _attempt_path(note: PastNote) -> str:
    attempt = note.body.get("attempt", 1)
    return note.step if attempt == 1 or _ATTEMPT.search(note.step) else f"{note.step}~{attempt}"


def _first_times(steps: Sequence[PastStep]) -> Iterator[tuple[str, Usage]]:
    """The node and cost of every call whose answer the run had not got before, paid by it or by another run."""
    seen: set[int] = set()
    made = [(step.node, call) for step in steps for call in step.calls]
    for node, call in sorted(made, key=lambda one: one[1].seq):
        if call.answer not in seen:
            seen.add(call.answer)
            yield node, call.saved if call.reused else call.usage


def _mean(usage: Usage, runs: int) -> Mean:
    parts = (usage.calls, usage.prompt_tokens, usage.completion_tokens, usage.usd, usage.seconds)
    return Mean(*(part / runs for part in parts))
