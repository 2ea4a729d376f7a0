"""Runs that belong together, such as the turns of a conversation that goes on after a restart."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from agentrag.app import Graph, Result
from agentrag.back_ends import CollectionNames, ModelNames, open_deps
from agentrag.core.channels import MOST_ITEMS
from agentrag.core.deps import Deps
from agentrag.core.events import Event
from agentrag.core.settings import Settings, load_settings
from agentrag.core.types import Message
from agentrag.graph.channels import channels_of
from agentrag.graph.spec import GraphSpec
from agentrag.graph.values.bounds import bounded
from agentrag.journal.schema import faults, open_to_read

THREAD = "thread"
"""Where `RunRecord.options` keeps the name of the thread."""
_MARKS = re.compile(r" ?\[(?:\d+|\?)\]")
_RUNS = """SELECT run, inputs, outputs FROM runs
           WHERE tenant = ?1 AND CASE WHEN json_valid(options) THEN json_extract(options, '$.thread') END = ?2"""


class Thread:
    """A conversation that a journal keeps: the runs of one name and one tenant.

    Args:
        name: What it is called.
        settings: Read from agentrag.yaml and the environment where None; they name the journal's home and the tenant.

    Raises:
        StoreError: From every method: the journal cannot be used.

    >>> Thread("holiday", Settings(home=Path("no-such-folder"))).turns()
    []
    """

    def __init__(self, name: str, settings: Settings | None = None) -> None:
        self.name, self.settings = name, settings or load_settings()

    @property
    def path(self) -> Path:
        """The journal's file."""
        return self.settings.home / "journal.sqlite"

    def turns(self, most: int = MOST_ITEMS) -> list[tuple[str, str]]:
        """Question and answer of the finished runs, oldest first: the latest `most`. Other runs are no turns."""
        if not self.path.exists():
            return []
        query = f"{_RUNS} AND status = 'finished' AND outputs IS NOT NULL ORDER BY id DESC"
        with closing(open_to_read(self.path)) as database, faults(self.path, "read"):
            found = database.execute(query, (self.settings.tenant, self.name))
            turns: list[tuple[str, str]] = []
            while len(turns) < most and (row := found.fetchone()):
                turns += _turn(row[1], row[2])
        return turns[::-1]

    def history(self, spec: GraphSpec) -> list[Message]:
        """The turns as a graph takes them: the latest ones, as many as its channel `history` holds."""
        channel = channels_of(spec)["history"]
        turns = self.turns((MOST_ITEMS if channel.max is None else channel.max) // 2)
        messages = [part for asked, answer in turns for part in (Message("user", asked), Message("assistant", answer))]
        return list(bounded(channel, messages))

    def joined(self, deps: Deps) -> Deps:
        """The back ends for runs of the thread."""
        return deps.but(origin=replace(deps.origin, options={**deps.origin.options, THREAD: self.name}))

    async def run(
        self,
        graph: Graph,
        *,
        models: ModelNames | None = None,
        collections: CollectionNames | None = None,
        budget: Mapping[str, Any] | None = None,
        on_event: Callable[[Event], None] | None = None,
        **inputs: Any,
    ) -> Result:
        """Run a graph as the next turn. One with an input `history` that is not given takes the turns so far.

        Arguments and errors are those of `Graph.run`.
        """
        if "history" in graph.spec.inputs and "history" not in inputs:
            inputs["history"] = self.history(graph.spec)
        async with open_deps(graph, self.settings, models=models, collections=collections, budget=budget) as deps:
            return await graph.run(self.joined(deps), on_event=on_event, **inputs)


def said(outputs: Mapping[str, Any]) -> str:
    """The answer as the next turn sees it: without the marks of sources.

    >>> said({"answer": "Six beds [1]."})
    'Six beds.'
    """
    return _MARKS.sub("", str(outputs.get("answer", "")))


def _turn(inputs: str, outputs: bytes) -> Sequence[tuple[str, str]]:
    """The turn that a run was, if it was one: asked a question and gave an answer."""
    try:
        given, gave = json.loads(inputs), json.loads(outputs)
        return [(str(given["question"]), said(gave))] if "answer" in gave else []
    except (ValueError, TypeError, KeyError):  # damaged, or no question
        return []


async def run_in(thread: str | None, graph: Graph, **arguments: Any) -> Result:
    """Run a graph with the arguments of `Graph.run`, in the thread of this name where there is one."""
    return await (graph.run(**arguments) if thread is None else Thread(thread).run(graph, **arguments))
