"""The command `agentrag`: its sub-commands and the edge where errors become exit codes.

Exit codes: 0 well, 1 an error of the library or the system, 2 wrong usage, 3 a plan beyond a limit or an evaluation
worse than its baseline, 130 Ctrl-C, 141 the reader went away.
"""

from __future__ import annotations

from typing import Annotated

import typer

from agentrag.cli import (
    ask,
    chat,
    check,
    collections,
    compare,
    demo,
    doctor,
    draw,
    ingest,
    init,
    models,
    plan,
    report,
    run,
    runs,
    schema,
    score,
    split,
    tenants,
)
from agentrag.cli.console import errors, fail
from agentrag.cli.eval import evaluate

app = typer.Typer(
    name="agentrag",
    help="Ask your documents, locally, with citations; describe agents as graphs, check them, run them.",
    no_args_is_help=True,
    rich_markup_mode=None,  # rich's help takes as long again as everything else of --help
    pretty_exceptions_enable=False,  # a traceback is for a bug report: plain and whole
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # lazy: 15 ms that only --version needs

        typer.echo(f"agentrag {version('agentrag')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Ask your documents, locally, with citations; describe agents as graphs, check them, run them."""


app.command("ingest", short_help="Read documents into a collection.")(ingest.ingest)
app.command("ask")(ask.ask)
app.command("chat")(chat.chat)
app.command("run")(run.run)
app.command("check")(check.check)
app.command("plan")(plan.plan)
app.command("draw")(draw.draw)
app.command("schema")(schema.schema)
app.command("eval", short_help="Score a graph or a retriever on a data set.")(evaluate)
app.command("compare", short_help="Whether a run is better than another, and by how much.")(compare.compare)
app.command("report", short_help="One page about runs: tables, plots, commands.")(report.report)
app.command("score", short_help="The numbers of runs, computed again.")(score.score)
app.command("split", short_help="Folds that test inside and outside of what was trained on.")(split.split)
app.command("init")(init.init)
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)
app.command("tenants")(tenants.tenants)
app.add_typer(collections.app, name="collections")
app.add_typer(models.app, name="models")
app.add_typer(runs.app, name="runs")


def main() -> None:
    """Run the command line of this process; always ends in SystemExit."""
    with errors():
        try:
            app()
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            raise fail(f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")) from error
