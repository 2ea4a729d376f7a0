"""`agentrag plan`: what a run of a graph will cost, before it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from agentrag.cli.console import errors, fail, note, say, say_json
from agentrag.cli.options import EveryModelOption, JsonOption, ModelsOption, bindings

if TYPE_CHECKING:
    from agentrag.core.settings import Settings
    from agentrag.graph.planning.figures import Plan
    from agentrag.graph.spec import GraphSpec
    from agentrag.journal.past import Expected

TOO_MUCH = 3
"""Exit code where the worst case exceeds a limit."""


def plan(
    graph: Annotated[str, typer.Argument(metavar="GRAPH", help="Path of a graph, or name of a shipped one.")],
    every: EveryModelOption = None,
    models: ModelsOption = None,
    max_calls: Annotated[int | None, typer.Option(min=0, help="Most outward calls that a run may make.")] = None,
    max_usd: Annotated[float | None, typer.Option(min=0, help="Most that a run may cost, in USD.")] = None,
    max_seconds: Annotated[float | None, typer.Option(min=0, help="Longest that a run may take.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=0, help="Most tokens of prompts and answers of a run.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a run of a graph costs: at best, as expected, at worst; run nothing.

    The worst case is a bound that no run exceeds in calls, passages, tokens and
    seconds. Where it exceeds a --max-*, the exit code is 3 and the nodes that weigh
    most are named.
    """
    slots = bindings(every, models)
    limits = {"calls": max_calls, "usd": max_usd, "seconds": max_seconds, "tokens": max_tokens}
    with errors():
        made = _planned(graph, slots)
        if as_json:
            say_json(made.as_json())
        else:
            _print(made)
        excesses = _excesses(made, {name: limit for name, limit in limits.items() if limit is not None})
    for excess in excesses:
        fail(excess)
    if excesses:
        raise SystemExit(TOO_MUCH)


def _planned(graph: str, given: Mapping[str, str]) -> Plan:
    # lazy: --help needs none of it
    from agentrag.app import Graph
    from agentrag.back_ends import EVERY_SLOT, slot_bindings
    from agentrag.core.errors import UnknownNameError
    from agentrag.core.settings import load_settings
    from agentrag.graph import plan as planning
    from agentrag.graph.planning.prices import prices_of

    agent = Graph.load(graph)
    spec = agent.spec
    known = spec.slots
    for slot in given.keys() - known.keys() - {EVERY_SLOT}:
        raise UnknownNameError("model slot", slot, known)
    settings = load_settings()
    return planning.plan(spec, prices_of(settings, slot_bindings(agent, settings, given)), _past(settings, spec))


def _past(settings: Settings, spec: GraphSpec) -> Expected | None:
    from agentrag.core.errors import StoreError
    from agentrag.journal.history import History

    file = settings.home / "journal.sqlite"
    if not file.is_file():
        return None
    try:
        with History(file, settings.tenant or None) as history:
            return history.expected(spec.name)
    except StoreError as error:  # what earlier runs cost is worth a note, not the plan
        note(f"earlier runs do not count: {error}")
        return None


def _print(made: Plan) -> None:
    cases = {"best": made.best, "expected": made.expected, "worst": made.worst}
    figures = ["calls", "passages", "tokens", *_priced(made), "seconds"]
    rows = [[name, *(_number(getattr(case, figure)) for figure in figures)] for name, case in cases.items()]
    if made.budget:
        rows.append(["budget", *(_number(made.budget[figure]) if figure in made.budget else "" for figure in figures)])
    for line in _aligned([["", *map(_head, figures)], *rows]):
        say(line)
    say()
    say("each node, at best / as expected / at worst:")
    nodes = _node_rows(made)
    for line in _aligned(nodes, text=(0, len(nodes[0]) - 1)):
        say(line)
    say()
    earlier = "1 earlier run" if made.runs == 1 else f"{made.runs} earlier runs"
    say(f"Expected is the mean of {earlier}." if made.runs else "Expected rests on assumptions: no earlier run.")
    for doubt in made.doubts:
        note(doubt)


def _node_rows(made: Plan) -> list[list[str]]:
    """A row for each node, of its best, expected and worst figures; the step too where it stands at several."""
    figures = ["calls", "tokens", *_priced(made), "seconds"]
    names = [node.node for node in made.nodes]
    rows = [["node", "times", *map(_head, figures), ""]]
    for node in made.nodes:
        cases = (node.best, node.expected, node.worst)
        columns = [" / ".join(_number(getattr(case, figure)) for case in cases) for figure in figures]
        step = node.step.rpartition(":")[0] if names.count(node.node) > 1 else ""
        rows.append([node.node, f"{node.times:,}", *columns, step])
    return rows


def _priced(made: Plan) -> list[str]:
    """The column of money, where it says something."""
    return [] if made.worst.usd == 0.0 else ["usd"]


def _head(figure: str) -> str:
    return "USD" if figure == "usd" else figure


def _aligned(rows: Sequence[Sequence[str]], text: Sequence[int] = (0,)) -> Iterator[str]:
    """Lines of a table, its columns of `text` to the left, numbers to the right. They are never cut or wrapped."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(widths[n]) if n in text else cell.rjust(widths[n]) for n, cell in enumerate(row)]
        yield "  ".join(cells).rstrip()


def _number(number: float | None) -> str:
    """A number as people read it: whole where it is large, else with a few places.

    >>> [_number(number) for number in (1234.6, 12.34, 0.5, 0.00012, 0, None)]
    ['1,235', '12.3', '0.5', '0.00012', '0', '?']
    """
    if number is None:
        return "?"
    if number >= 100 or number == int(number):
        return f"{number:,.0f}"
    return f"{number:.3g}"


def _excesses(made: Plan, limits: Mapping[str, float]) -> list[str]:
    """Say which limits the worst case exceeds; what is not known may be anything."""
    told = []
    for name, limit in limits.items():
        worst = getattr(made.worst, name)
        if worst is None:
            told.append(f"--max-{name} {limit:g}: what models cost is not known. {'; '.join(made.doubts)}")
        elif worst > limit:
            heavy = ", ".join(f"{node.node} {_number(weight)} ({node.step})" for node, weight in made.heaviest(name))
            told.append(f"--max-{name} {limit:g}: the worst case is {_number(worst)} {name}. Most of it: {heavy}")
    return told
