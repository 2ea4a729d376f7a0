"""Run the text of a flow and see what it told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

from agentrag.core.deps import Deps
from agentrag.core.events import Event, RunFinished, RunStarted
from agentrag.graph.interpreter import Program, execute
from agentrag.graph.loader import load_graph_text
from agentrag.testing.fakes import fake_deps, passages
from tests.graph.sample_nodes import PROMPTS

HEAD = 'agentrag: 1\nname: case\ninputs: {question: str, xs: {type: "list[str]", default: []}}\nmodels: {writer: default}\n'
NODES = """\
nodes:
  ask: {use: t.ask, prompt: t/plain}
  tell: {use: t.say, text: "{question} {answer?}"}
  weigh: {use: t.length}
  search: {use: t.search, k: 2}
  wide: {use: t.search, k: 3}
  broken: {use: t.fail}
  item: {use: t.say, text: "{question}-{x?}"}
  fast: {use: t.say, text: fast}
  slow: {use: t.slow, text: slow, seconds: 0.05}
  stuck: {use: t.slow, text: stuck, seconds: 30}
"""
T = TypeVar("T")


@dataclass(frozen=True)
class Course:
    """What a run told and gave."""

    outputs: dict[str, Any]
    events: list[Event]

    def told(self, kind: type[T]) -> list[T]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def state(self) -> dict[str, Any]:
        return self.told(RunFinished)[0].state

    @property
    def run(self) -> str:
        return self.told(RunStarted)[0].run


def program(flow: str, outputs: str = "[answer]") -> Program:
    """A program of the flow's text, with those of the usual nodes that it names."""
    lines = NODES.splitlines(keepends=True)
    used = [line for line in lines[1:] if line.split(":")[0].strip() in _words(flow)]
    models = HEAD if any("t.ask" in line for line in used) else HEAD.replace("models: {writer: default}\n", "")
    return Program.of(
        load_graph_text(f"{models}outputs: {outputs}\n{lines[0]}{''.join(used)}flow:\n{flow}", "case.yaml", PROMPTS)
    )


def _words(text: str) -> set[str]:
    return set("".join(sign if sign.isalnum() or sign in "-_" else " " for sign in text).split())


async def run(flow: str, deps: Deps | None = None, outputs: str = "[answer]", **inputs: Any) -> Course:
    events: list[Event] = []
    listening = replace(deps or fake_deps(collection=passages("a cat", "dog", "cat")), listen=events.append)
    given = await execute(program(flow, outputs), {"question": "cat", **inputs}, listening)
    return Course(given, events)
