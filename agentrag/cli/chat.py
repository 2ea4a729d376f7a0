"""`agentrag chat`: a conversation about your documents."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from agentrag.cli.console import errors, fail, logged, note, pairs, say, terminable
from agentrag.cli.options import (
    CollectionOption,
    EveryModelOption,
    GraphOption,
    InputOption,
    ModelsOption,
    ThreadOption,
    bindings,
    collections,
)

if TYPE_CHECKING:
    from agentrag.app import Graph
    from agentrag.core.deps import Deps
    from agentrag.core.types import Citation, Message
    from agentrag.threads import Thread

MAX_TURNS = 10
MAX_CHARACTERS = 6000
COMMANDS = "/sources lists what the last answer cites, /clear forgets the conversation, /quit ends it (Ctrl-D too)"


def chat(
    collection: CollectionOption = None,
    graph: GraphOption = "ask",
    every: EveryModelOption = None,
    models: ModelsOption = None,
    inputs: InputOption = None,
    thread: ThreadOption = None,
) -> None:
    """Ask several questions in a row.

    Each may lean on the ones before, with --thread also on those of earlier times. Where its input
    is piped, it reads one question a line.
    """
    slots, named, given = bindings(every, models), collections(collection), pairs(inputs or [], "--input")
    # lazy: --help needs none of it
    from agentrag.app import Graph
    from agentrag.back_ends import open_deps
    from agentrag.cli.inputs import typed
    from agentrag.threads import Thread

    # The loop runs only while a question is answered: Ctrl-C is then the loop's to cancel, and the prompt's otherwise.
    with errors(), terminable(), logged(), asyncio.Runner() as runner:
        agent = Graph.load(graph)
        if "history" not in agent.spec.inputs:
            raise fail(f"graph '{agent.spec.name}' has no input `history`, so it holds no conversation; use: agentrag ask", 2)
        values = typed(agent.spec, given)
        stack = AsyncExitStack()
        deps = runner.run(stack.enter_async_context(open_deps(agent, models=slots, collections=named)))
        try:
            kept = None if thread is None else Thread(thread)
            Conversation(agent, deps, values, kept).hold(runner)
        finally:
            runner.run(stack.aclose())


class Conversation:
    """The turns so far, and the loop that makes more of them; with a thread, those of earlier times are among them."""

    def __init__(self, agent: Graph, deps: Deps, inputs: dict[str, Any], thread: Thread | None = None) -> None:
        self._agent, self._inputs = agent, inputs
        self._deps = deps if thread is None else thread.joined(deps)
        self._history: list[Message] = [] if thread is None else thread.history(agent.spec)
        self._citations: Sequence[Citation] = ()

    def hold(self, runner: asyncio.Runner) -> None:
        """Read lines and answer them until the input ends or /quit comes."""
        if sys.stdin.isatty():
            note(COMMANDS)
        while (line := _read()) not in {None, "/quit"}:
            if line and line.startswith("/"):
                self._obey(line)
            elif line:
                self._try(runner, line)

    def _obey(self, command: str) -> None:
        from agentrag.cli.answers import print_sources

        if command == "/clear":
            self._history, self._citations = [], ()
        elif command == "/sources":
            print_sources(self._citations)
        else:
            note(f"'{command}' is not a command: {COMMANDS}")

    def _try(self, runner: asyncio.Runner, question: str) -> None:
        """Answer; where a person asks, a failure or Ctrl-C ends the answer only."""
        from agentrag.core.errors import AgentRagError

        try:
            runner.run(self._answer(question))
        except (AgentRagError, KeyboardInterrupt) as error:
            if not sys.stdin.isatty():
                raise
            note(f"error: {error}" if str(error) else "interrupted; ask again, or /quit")

    async def _answer(self, question: str) -> None:
        from agentrag.cli.answers import Draft, print_answer
        from agentrag.core.types import Message
        from agentrag.threads import said

        with Draft() as draft:
            history = trimmed(self._history)
            result = await self._agent.run(self._deps, on_event=draft.see, question=question, history=history, **self._inputs)
        print_answer(result)
        say()
        self._history += [Message("user", question), Message("assistant", said(result.outputs))]
        self._citations = result.outputs.get("citations", ())


def trimmed(history: Sequence[Message]) -> list[Message]:
    """The newest turns that fit: at most 10 of each side and 6,000 characters, never beginning with an answer."""
    kept: list[Message] = []
    left = MAX_CHARACTERS
    for message in reversed(history[-2 * MAX_TURNS :]):
        left -= len(message.content)
        if left < 0:
            break
        kept.insert(0, message)
    return kept[1:] if kept and kept[0].role == "assistant" else kept


def _read() -> str | None:
    """The next line, or None at the end of the input."""
    if not sys.stdin.isatty():
        line = sys.stdin.readline()
        return line.strip() if line else None
    try:
        return input("> ").strip()
    except EOFError:
        say()
        return None
