"""Recorded runs as lines of at most 100 columns, without credentials."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_core import to_jsonable_python

from agentrag.cli.results import priced
from agentrag.cli.run_json import outputs_of
from agentrag.core.errors import Question
from agentrag.core.redact import redacted

if TYPE_CHECKING:
    from agentrag.graph.recorded.economy import Economy
    from agentrag.graph.recorded.tree import TreeStep
    from agentrag.journal.past import PastRun
    from agentrag.runs import Shown

WIDTH = 100
_ASKED = 20
_ENDS = {"exhausted": "at_most", "finish": "the ladder", "budget": "the budget"}
_NUMBERS = ("made", "reused", "in", "cached", "out", "USD", "seconds")


def run_lines(runs: Sequence[PastRun], questions: Mapping[str, Mapping[str, Question]]) -> Iterator[str]:
    """A table of runs, one a line; money has a column where any was paid. Below a run stand its open questions."""
    money = any(past.usage.usd for past in runs)
    usd = f" {'USD':>8}" if money else ""
    yield f"{'run':24} {'graph':14} {'status':9} {'calls':>5} {'tokens':>8}{usd} {'seconds':>7}  input"
    for past in runs:
        usage, record = past.usage, past.record
        usd = f" {usage.usd:8.4f}" if money else ""
        cost = f"{usage.calls:5,} {usage.prompt_tokens + usage.completion_tokens:8,}{usd} {past.seconds:7.1f}"
        yield _cut(f"{record.run:24} {_cut(record.graph, 14):14} {_status(past):9} {cost}  {_first_text(record.inputs)}")
        if past.damage:
            yield _cut(f"  damaged: {_flat(past.damage)}")
        yield from (_cut(f"  {line}") for line in question_lines(questions.get(record.run, {})))


def _status(past: PastRun) -> str:
    return "killed" if past.status == "running" and not past.alive else past.status


def question_lines(questions: Mapping[str, Question]) -> Iterator[str]:
    """A line for each open question: the step that asks, the text, and what an answer must be."""
    for step, asked in questions.items():
        wanted = ", ".join(asked.choices) if asked.schema is None else json.dumps(dict(asked.schema), ensure_ascii=False)
        yield f"{step}: {_flat(asked.text)}" + (f" ({wanted})" if wanted else "")


def value_line(label: str, name: str, value: object) -> str:
    """A channel and its value on one line."""
    data = to_jsonable_python(value, serialize_unknown=True)
    return _cut(f"{label}{name}: {_flat(data)}")


def shown_lines(shown: Shown) -> Iterator[str]:
    """A run in full: how it began, its steps, what it cost, how it ended."""
    for line in _head(shown.run):
        yield from _wrapped(line)
    yield ""
    yield from _Tree(money=any(usage.usd for usage in (*shown.usage.values(), *shown.saved.values()))).lines(shown.steps)
    yield ""
    for line in _end(shown):
        yield from _wrapped(line)


def _head(past: PastRun) -> Iterator[str]:
    record = past.record
    yield f"run       {record.run}"
    yield f"graph     {record.graph}" + (f" ({record.ref})" if record.ref not in ("", record.graph) else "")
    if record.parent:
        yield f"parent    {record.parent}" + (f", but for what came from step {record.cut} on" if record.cut else "")
    if thread := record.options.get("thread"):
        yield f"thread    {_flat(thread)}"
    for place, values in record.options.get("edits", {}).items():
        for name, value in values.items():
            yield f"edited    before {place}, {name}: {_flat(value)}"
    yield f"started   {past.started:%Y-%m-%d %H:%M:%S} UTC"
    for name, value in record.inputs.items():
        yield f"input     {name}: {_flat(value)}"
    for kind, label in (("models", "models"), ("collections", "searched")):
        if slots := record.options.get(kind):
            yield f"{label:9} " + _flat(", ".join(f"{slot}={_names(name)}" for slot, name in slots.items()))


def _end(shown: Shown) -> Iterator[str]:
    past = shown.run
    yield f"paid      {priced(shown.usage.values())}"
    if any(usage.reused for usage in shown.usage.values()):
        yield f"reused    {priced(shown.saved.values())} that were paid before"
    yield from _budget(shown.economy)
    for key, target in shown.in_doubt.items():
        yield f"in doubt  write to {target}: resume with --settle {key}=redo or ={{its result as JSON}}"
    why = "" if shown.questions else _flat(past.error)  # a run that waits says there what it asks
    yield f"{_status(past):9} after {past.seconds:.1f} s" + (f": {why}" if why else "")
    for line in question_lines(shown.questions):
        yield f"asks      {line}"
    if past.status != "finished" and not past.alive:
        yield from _onward(shown)
    for name, value in (outputs_of(past) or {}).items():
        yield f"output    {name}: {_flat(value)}"


def _budget(economy: Economy) -> Iterator[str]:
    """What was spent of a budget, what was made cheaper for it, and where it ended something."""
    if economy.budget is not None:
        spent = economy.budget.spent._asdict()
        parts = [f"{spent[unit]:,.6g} of {limit:,.6g} {unit}" for unit, limit in economy.budget.limits.items()]
        if parts:
            yield f"budget    {', '.join(parts)}" + (" (audit)" if economy.budget.mode == "audit" else "")
    for taken in economy.degraded:
        yield f"cheaper   {_flat(taken.rung)} at {taken.step}: {taken.reason}"
    for ended in economy.limited:
        yield f"limited   {ended.step}: {ended.reason}"


def _onward(shown: Shown) -> Iterator[str]:
    """How to go on with a run that did not finish."""
    run = shown.run.record.run
    if not shown.questions:
        yield f"go on     agentrag runs resume {run}"
    for step in shown.questions:
        named = f" {step}" if len(shown.questions) > 1 else ""
        yield f"answer    agentrag runs answer {run}{named} VALUE"


@dataclass(frozen=True)
class _Tree:
    """Prints steps, with a column for money where any was paid."""

    money: bool

    @property
    def label(self) -> int:
        """Columns of the step's name."""
        return WIDTH - _ASKED - 2 - len(self._columns(*_NUMBERS))

    def lines(self, steps: Iterable[TreeStep]) -> Iterator[str]:
        yield f"{'step':{self.label}} {'asked':{_ASKED}} {self._columns(*_NUMBERS)}"
        for step in steps:
            yield from self._step(step, 0)

    def _columns(self, *cells: str) -> str:
        made, reused, read, cached, wrote, usd, seconds = cells
        counts = f"{made:>4} {reused:>6} {read:>6} {cached:>6} {wrote:>5}"
        return f"{counts} {usd:>7} {seconds:>7}" if self.money else f"{counts} {seconds:>7}"

    def _step(self, step: TreeStep, depth: int) -> Iterator[str]:
        indent = "  " * depth
        yield _cut(indent + _structure(step)) if step.kind != "node" else self._node(step, indent)
        for attempt, reason in sorted(step.retried.items()):
            yield _cut(f"{indent}  attempt {attempt} failed: {_flat(reason)}")
        if step.reason:
            yield _cut(f"{indent}  {step.outcome}: {_flat(step.reason)}")
        for inner in step.inside:
            yield from self._step(inner, depth + 1)

    def _node(self, step: TreeStep, indent: str) -> str:
        asked = dict.fromkeys(call.model or call.target.partition("@")[0] for call in step.calls)
        label = f"{indent}{step.number} {step.node or step.name}" + ("" if step.outcome else " (did not end)")
        usage = step.usage
        tokens = [usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens]
        cells = [f"{count:,}" if count else "" for count in (usage.calls, usage.reused, *tokens)]
        numbers = self._columns(*cells, f"{usage.usd:.4f}" if usage.usd else "", f"{step.seconds:.2f}")
        return f"{_cut(label, self.label):{self.label}} {_cut(', '.join(asked), _ASKED):{_ASKED}} {numbers}"


def _structure(step: TreeStep) -> str:
    """What a step that is no node did, in a line."""
    told = step.told
    match step.kind:
        case "round":
            return f"round {step.number}" + _round(told)
        case "item" | "branch":
            which = step.name or str(step.number)
            return f"{step.kind} {which}" + (f": {step.outcome}" if step.outcome else " (did not end)")
        case "exhausted":
            return f"{step.number} after the last round"
        case "choose":
            return f"{step.number} choose: {_flat(told.get('branch', '(did not end)'))}"
        case "repeat":
            return f"{step.number} repeat" + _loop(told)
        case "each" if "given" in told:
            return f"{step.number} each: {told['given']} items, of which {told['kept']} were taken"
        case "ask_human":
            return f"{step.number} ask_human: {_flat(told.get('answer', '(no answer yet)'))}"
        case kind:
            return f"{step.number} {kind}"


def _round(told: Mapping[str, Any]) -> str:
    if not told:
        return " (did not end)"
    values = {"until": told.get("until"), **told.get("measures", {}), "best_by": told.get("best_by")}
    parts = [f"{name} {_value(value)}" for name, value in values.items() if value is not None]
    return ": " + ", ".join(parts) if parts else ""


def _loop(told: Mapping[str, Any]) -> str:
    if not told:
        return " (did not end)"
    rounds = f"{told['rounds']} round" + ("" if told["rounds"] == 1 else "s")
    return f": {rounds}, ended by {_ENDS.get(told['why'], told['why'])}, round {told['kept']} kept"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.3g}" if isinstance(value, int | float) else _flat(value)


def _first_text(inputs: Mapping[str, Any]) -> str:
    return next((_flat(value) for value in inputs.values() if isinstance(value, str)), "")


def _names(given: str | list[str]) -> str:
    return given if isinstance(given, str) else "+".join(given)


def _flat(value: Any) -> str:
    """Data on one line; credentials are blanked before anything is cut."""
    shown = redacted(value)
    return " ".join((shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False)).split())


def _wrapped(line: str) -> list[str]:
    """A line of the head or the end on at most three lines."""
    return textwrap.wrap(line, WIDTH, subsequent_indent=" " * 10, max_lines=3, placeholder=" ...", drop_whitespace=True)


def _cut(text: str, width: int = WIDTH) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."
