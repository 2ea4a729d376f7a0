"""`agentrag runs answer` and `agentrag runs resume`: go on with runs that wait, failed or were ended."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentrag.cli.console import fail, note, pairs, run_async, say_json
from agentrag.cli.keeping import JournalOption, RunArgument
from agentrag.cli.options import JsonOption

if TYPE_CHECKING:
    from agentrag.app import Result
    from agentrag.core.errors import Question


def answer(
    run: RunArgument,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[PAUSE] VALUE",
            help="The step that asks, where several questions are open; and the answer: text, or JSON where more is asked for. "
            "`-` reads it from standard input.",
        ),
    ],
    hold: Annotated[bool, typer.Option("--hold", help="Only keep the answer; do not go on with the run.")] = False,
    as_json: JsonOption = False,
    journal: JournalOption = None,
) -> None:
    """Answer a question that a run waits with, and go on with the run.

    An answer is kept once and for good. `agentrag runs show` says what is asked, and what an
    answer must be. Write -- before a value that begins with a dash.
    """
    if len(words) > 2:
        raise fail("write [PAUSE] VALUE; put a value of several words in quotes", 2)
    pause, text = (words[0] if len(words) == 2 else None), words[-1]

    async def main() -> None:
        # lazy: --help needs none of it
        from agentrag.cli.results import watched
        from agentrag.cli.run_json import questions_as_json
        from agentrag.cli.run_tree import question_lines
        from agentrag.runs import Runs

        runs = Runs(journal=journal)
        name = runs.find(run).record.run
        value = _reply(runs.questions(name), pause, sys.stdin.read().rstrip("\n") if text == "-" else text)
        left = runs.answer(name, pause, value)
        if not hold:
            note("The answer is kept.")
            result = await watched(lambda see: runs.resume(name, on_event=see), quiet=as_json, journal=journal)
            print_result(result, as_json, saved=True)
        elif as_json:
            say_json({"run": name, "questions": questions_as_json(left)})
        else:
            note(f"The answer is kept. Go on with: agentrag runs resume {name}")
            for line in question_lines(left):
                note(line)

    run_async(main)


def _reply(questions: Mapping[str, Question], pause: str | None, text: str) -> Any:
    """The value of an answer: JSON where its question asks for more than text. What nobody asks is for `Runs` to tell."""
    import json  # lazy: --help needs none of it

    from agentrag.graph.values.replies import reply_type

    asked = list(questions.values()) if pause is None else [questions[pause]] if pause in questions else []
    if len(asked) != 1 or asked[0].schema is None or reply_type(asked[0].schema) is str:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        told = f"the answer should be JSON of the schema {json.dumps(dict(asked[0].schema), ensure_ascii=False)}"
        raise fail(f"{told}; '{text[:80]}' is not JSON: {error}") from error


def resume(
    run: RunArgument,
    answer: Annotated[
        list[str] | None,
        typer.Option("--answer", metavar="[STEP=]TEXT", help="Answer to the open question, or to that of a step. Repeat it."),
    ] = None,
    settle: Annotated[
        list[str] | None,
        typer.Option(
            "--settle",
            metavar="KEY=redo|JSON",
            help="What became of a write in doubt, by its idempotency key: do it again, or its result. Repeat it.",
        ),
    ] = None,
    as_json: JsonOption = False,
    journal: JournalOption = None,
) -> None:
    """Go on with a run, paying for no call twice.

    A run that waits for a person lists its questions, unless it is given answers. The
    graph, its prompts and its nodes must be those that the run began with.
    """
    texts, settled = _answers(answer or []), _settled(settle or [])

    async def main() -> None:
        # lazy: --help needs none of it
        from agentrag.cli.results import watched
        from agentrag.runs import Runs

        runs = Runs(journal=journal)
        past = runs.find(run)
        name = past.record.run
        questions = runs.questions(name) if texts else {}
        answers = {step: _reply(questions, step or None, text) for step, text in texts.items()}
        given = answers[""] if "" in answers and len(answers) == 1 else answers
        result = await watched(
            lambda see: runs.resume(name, answers=given, settle=settled, on_event=see), quiet=as_json, journal=journal
        )
        if past.status == "finished":
            note(f"run {name} had finished already; these are its outputs")
        print_result(result, as_json, saved=past.status != "finished")

    run_async(main)


def print_result(result: Result, as_json: bool, *, saved: bool, **more: str) -> None:
    """Print what a run gave, and where it `saved` calls what they had cost."""
    from agentrag.cli.results import as_json as to_data
    from agentrag.cli.results import note_saved, print_outputs

    if as_json:
        from pydantic_core import to_jsonable_python

        say_json({**to_data(result), "saved": to_jsonable_python(result.saved), **more})
    else:
        print_outputs(result)
    if saved:
        note_saved(result)


def _answers(items: list[str]) -> dict[str, str]:
    """Answers by step; "" stands for that of the open question."""
    answers: dict[str, str] = {}
    for item in items:
        step, _, text = item.partition("=") if item.startswith("flow.") and "=" in item else ("", "", item)
        if step in answers:
            raise fail(f"--answer was given twice for {step or 'the open question'}; STEP=TEXT names the step", 2)
        answers[step] = text
    return answers


def _settled(items: list[str]) -> dict[str, Any]:
    import json  # lazy: only --settle needs it

    decided: dict[str, Any] = {}
    for key, text in pairs(items, "--settle").items():
        try:
            decided[key] = {"redo": True} if text == "redo" else {"result": json.loads(text)}
        except (ValueError, RecursionError):
            raise fail(f"--settle takes KEY=redo or KEY=JSON; '{text}' is neither", 2) from None
    return decided
