"""Runs graphs against a stub server, each in a process of its own that the test may kill.

Argument: the server's address. A line of standard input, "JOURNAL RUN GRAPH", begins or resumes a run in a forked process,
whose id goes to standard output. After another line it is waited for, and its exit status told; until then it can be killed
without a fear for others, ended or not. Forking spares the imports.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from agentrag.core.channels import State
from agentrag.core.deps import Deps
from agentrag.core.node import ModelSlot, Node, PromptName, node
from agentrag.core.prompts import Prompts
from agentrag.core.types import ChatRequest
from agentrag.graph.interpreter import Program, execute
from agentrag.graph.loader import load_graph_text
from agentrag.graph.spec import GraphSpec
from agentrag.journal.sqlite import SqliteJournal
from agentrag.models.openai import Endpoint, OpenAIModel

INPUTS = {"question": "Why?", "parts": ["north", "east", "south", "west"]}
CALLS, CONCURRENCY = 12, 3
SAMPLES, SAMPLES_AT_ONCE = 10, 4
HEAD = "---\nabout: a step of the test\nsource: own\nversion: 1\ninputs: {{{holes}}}\n---\n## user\n{name}: {filled}\n"
HOLES = {
    "draft": ["question"],
    "left": ["answer"],
    "right": ["answer"],
    "note": ["part", "left", "right"],
    "revise": ["answer", "notes"],
    "check": ["answer"],
    "finish": ["question", "answer", "verdict", "notes"],
    "sample": ["question"],
}
GRAPHS = {
    "twelve": """\
agentrag: 1
name: twelve
inputs: {question: str, parts: "list[str]"}
outputs: [answer, notes]
models: {writer: default}
channels:
  left: {type: str, untrusted: true}
  right: {type: str, untrusted: true}
  note: {type: str, untrusted: true}
  notes: {type: "list[str]", untrusted: true}
  verdict: {type: str, untrusted: true}
nodes:
  draft: {use: generate, prompt: k/draft}
  left: {use: generate, prompt: k/left, temperature: 0.8, out: {answer: left}}
  right: {use: generate, prompt: k/right, out: {answer: right}}
  note: {use: generate, prompt: k/note, temperature: 0.8, out: {answer: note}}
  revise: {use: generate, prompt: k/revise}
  check: {use: generate, prompt: k/check, temperature: 0.8, out: {answer: verdict}}
  finish: {use: generate, prompt: k/finish}
flow:
  - draft
  - parallel: {branches: {a: [left], b: [right]}}
  - each: {in: parts, as: part, do: [note], collect: {note: notes}, at_most: 4, concurrency: 3}
  - repeat: {do: [revise, check], until: "verdict == 'enough'", at_most: 2}
  - finish
""",
    "samples": """\
agentrag: 1
name: samples
inputs: {question: str, parts: "list[str]"}
outputs: [notes]
models: {writer: default}
channels: {notes: {type: "list[str]", untrusted: true}}
nodes: {sample: {use: k.sample, prompt: k/sample}}
flow: [sample]
""",
}


class Sample(Node):
    """Ask the same ten times, some at once; writes `notes`: the answers in the order of the questions."""

    prompt: PromptName
    model: ModelSlot = "writer"

    def writes(self) -> frozenset[str]:
        return frozenset({"notes"})

    async def __call__(self, state: State, deps: Deps) -> State:
        request = ChatRequest(deps.prompts[self.prompt].messages(state), max_tokens=16, temperature=1.0)
        free = asyncio.Semaphore(SAMPLES_AT_ONCE)

        async def one() -> str:
            async with free:
                return (await deps.chat(self.model, request)).text

        return {"notes": await asyncio.gather(*(one() for _ in range(SAMPLES)))}


def spec(name: str) -> GraphSpec:
    """The graph with its prompts; the type "k.sample" must be registered."""
    texts = {f"k/{prompt}": _prompt(prompt, holes) for prompt, holes in HOLES.items()}
    return load_graph_text(GRAPHS[name], f"{name}.yaml", Prompts(texts=texts))


def _prompt(name: str, holes: list[str]) -> str:
    declared = ", ".join(f"{hole}: data" for hole in holes)
    return HEAD.format(holes=declared, name=name, filled=" ".join(f"{{{hole}}}" for hole in holes))


async def run(url: str, journal: Path, name: str, graph: GraphSpec) -> dict[str, Any]:
    """Begin or resume a run to its end."""
    model = OpenAIModel("stub", Endpoint(url, "stub"))
    with closing(SqliteJournal(journal)) as record:
        deps = Deps({"writer": model}, {}, graph.prompts, record, run=name)
        try:
            return await execute(Program.of(graph), INPUTS, deps)
        finally:
            await model.aclose()


def main() -> None:
    node("k.sample")(Sample)
    graphs = {name: spec(name) for name in GRAPHS}
    while line := sys.stdin.readline():
        journal, name, graph = line.split()
        child = os.fork()
        if not child:
            asyncio.run(run(sys.argv[1], Path(journal), name, graphs[graph]))
            os._exit(0)
        print(child, flush=True)
        sys.stdin.readline()
        print(os.waitpid(child, 0)[1], flush=True)


if __name__ == "__main__":
    main()
