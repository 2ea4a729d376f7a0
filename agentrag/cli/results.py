"""Runs on the terminal: watched while they run, their outputs, what they cost, and how to go on with one that did not end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from agentrag.cli.answers import Draft, note_cost, print_answer
from agentrag.cli.budgets import budget_json, note_budget
from agentrag.cli.console import fail, note, say
from agentrag.core.errors import AgentRagError, PausedError
from agentrag.core.events import Event, RunStarted
from agentrag.core.types import Usage

if TYPE_CHECKING:
    from agentrag.app import Result

T = TypeVar("T")
OnEvent = Callable[[Event], None]


async def watched(work: Callable[[OnEvent], Awaitable[T]], *, quiet: bool, journal: Path | None = None) -> T:
    """Do `work`, which runs a graph and tells its events; its draft is shown unless `quiet`.

    Where the run is interrupted or waits for a person, standard error says how to go on with it; `journal` is its
    journal's file where that was named.
    """
    with _resumable(journal) as hear:
        if quiet:
            return await work(hear)
        with Draft() as draft:

            def see(event: Event) -> None:
                hear(event)
                draft.see(event)

            return await work(see)


@contextmanager
def _resumable(journal: Path | None) -> Iterator[OnEvent]:
    run = ""

    def hear(event: Event) -> None:
        nonlocal run
        if isinstance(event, RunStarted) and not run:
            run = event.run

    try:
        yield hear
    except PausedError as error:
        raise fail(_asked(error, journal)) from error
    except AgentRagError as error:
        ending = fail(str(error))
        _note_onward(run, journal)
        raise ending from error
    except (KeyboardInterrupt, asyncio.CancelledError):
        _note_onward(run, journal)
        raise


def _note_onward(run: str, journal: Path | None) -> None:
    """Say how to go on with a run that was begun."""
    if run:
        note(f"What run {run} did is recorded. Go on with it: {_command('resume', run, journal)}")


def _command(what: str, run: str, journal: Path | None, more: str = "") -> str:
    return f"agentrag runs {what} {run}{more}" + (f" --journal {journal}" if journal else "")


def _asked(error: PausedError, journal: Path | None) -> str:
    """What a run asks, and the command that answers each question."""
    from agentrag.cli.run_tree import question_lines  # lazy: it imports this module

    several = len(error.questions) > 1
    commands = [_command("answer", error.run, journal, f" {step} VALUE" if several else " VALUE") for step in error.questions]
    asked = [f"  {line}" for line in question_lines(error.questions)]
    return "\n".join([f"run {error.run} waits for a person", *asked, *(f"Answer with: {each}" for each in commands)])


def as_json(result: Result) -> dict[str, Any]:
    """Outputs, usage by node and id of a run as JSON data."""
    from pydantic_core import to_jsonable_python

    usage = to_jsonable_python(result.usage)
    return {"outputs": to_jsonable_python(result.outputs), "usage": usage, "run": result.run, **budget_json(result)}


def print_outputs(result: Result) -> None:
    """Print the answer with its sources, then the other outputs, one a line; where a person watches, also what it cost."""
    from pydantic_core import to_json

    if "answer" in result.outputs:
        print_answer(result)
    for name, value in result.outputs.items():
        if name not in {"answer", "abstained", "citations"}:
            say(f"{name}: {value if isinstance(value, str) else to_json(value).decode()}")
    note_budget(result)
    note_cost(result)


def note_saved(result: Result) -> None:
    """Say on standard error what a run paid, and what it was spared because that was recorded."""
    note(f"paid {priced(result.usage.values())}; saved {priced(result.saved.values())}")


def priced(usages: Iterable[Usage]) -> str:
    """What calls cost in all, in words.

    >>> priced([Usage(calls=2, prompt_tokens=1000, completion_tokens=20, seconds=1.5)])
    '2 calls, 1,020 tokens, 1.5 s'
    """
    usage = sum(usages, Usage())
    calls = f"{usage.calls:,} call" + ("" if usage.calls == 1 else "s")
    tokens = f"{usage.prompt_tokens + usage.completion_tokens:,} tokens"
    return f"{calls}, {tokens}, {usage.seconds:.1f} s" + (f", {usage.usd:.4f} USD" if usage.usd else "")
