"""Graphs described in Python: the same GraphSpec as from YAML, with the same checks.

Each function makes one step and takes the keys of its YAML form as arguments; a step is a node's name or one of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, TypedDict, TypeVar

from pydantic import BaseModel, Field, ValidationError

from agentrag.core.chain import chained
from agentrag.core.errors import Problem, SpecError
from agentrag.core.located import Located, Nowhere, validation_problems
from agentrag.core.node import Node
from agentrag.core.prompts import Prompts
from agentrag.graph.assemble import assembled
from agentrag.graph.checks.view import Doubts
from agentrag.graph.loader import load_graph
from agentrag.graph.parts import OnError
from agentrag.graph.spec import LANGUAGE, GraphSpec, known_keys
from agentrag.graph.steps import AskHuman, Choose, Each, Parallel, Repeat, Return, SubGraph, walk

FlowStep: TypeAlias = str | Choose | Repeat | Parallel | Each | SubGraph | AskHuman | Return
Nested: TypeAlias = "FlowStep | Sequence[Nested]"
S = TypeVar("S", bound=BaseModel)


class QuorumDict(TypedDict):
    """How many branches of a `parallel` to wait for."""

    quorum: int


class HasSpec(Protocol):
    """What `subgraph` takes for a graph."""

    @property
    def spec(self) -> GraphSpec:
        """The graph as data."""
        ...


def seq(*steps: Nested) -> list[FlowStep]:
    """Steps one after the other, out of steps and of sequences of steps, however nested.

    >>> search = ["condense", "search"]
    >>> seq(search, "write", ["cite", []])
    ['condense', 'search', 'write', 'cite']
    """
    return list(_flat(steps))


def _flat(steps: Sequence[Nested]) -> Iterator[FlowStep]:
    for step in steps:
        if isinstance(step, Sequence) and not isinstance(step, str):
            yield from _flat(step)
        else:
            yield step


def choose(conditions: Mapping[str, Sequence[FlowStep]], *, otherwise: Sequence[FlowStep]) -> Choose:
    """A step that takes the first branch whose condition is true.

    Args:
        conditions: Steps by condition (CEL over the graph's channels), in the order in which they are tried.
        otherwise: Steps when none is true; may be empty.

    Raises:
        SpecError: An argument has the wrong form; so do all of these functions. The graph's checks come later.

    >>> choose({"size(passages) == 0": ["refuse"]}, otherwise=["write", "cite"]).choose[0].when
    'size(passages) == 0'
    """
    branches = [{"when": when, "do": steps} for when, steps in conditions.items()]
    return _step(Choose, choose=[*branches, {"otherwise": otherwise}])


def repeat(
    do: Sequence[FlowStep],
    *,
    at_most: int,
    until: str | None = None,
    on_exhausted: Literal["return_best", "fail"] | Sequence[FlowStep] = "return_best",
    best_by: str | None = None,
) -> Repeat:
    """A loop.

    Args:
        do: The steps of a round.
        at_most: Most rounds, 1..1000.
        until: Condition that ends the loop, evaluated after each round.
        on_exhausted: What follows when it never was true: the best round's channels stay, the run fails, or these steps run.
        best_by: The number that makes a round the best one; the last round is where there is none.

    >>> repeat(["search", "write", "weigh"], until="stable(answer)", at_most=3, best_by="support").repeat.at_most
    3
    """
    settings = {"do": do, "until": until, "at_most": at_most, "on_exhausted": on_exhausted, "best_by": best_by}
    return _step(Repeat, repeat=settings)


def parallel(
    branches: Mapping[str, Sequence[FlowStep]],
    *,
    join: Mapping[str, str] | None = None,
    wait: Literal["all", "first"] | QuorumDict = "all",
    on_error: OnError = "fail",
) -> Parallel:
    """Branches that run at once, each over the state before them.

    Args:
        branches: Steps by branch name, two branches at least.
        join: Name of a join by each channel that several branches write.
        wait: For how many branches to wait, e.g. `{"quorum": 2}`; the others are cancelled then.
        on_error: Whether a failed branch ends the run, or is left out.

    >>> parallel({"lexical": ["bm25"], "dense": ["search"]}, join={"passages": "rrf"}).parallel.need
    2
    """
    return _step(Parallel, parallel={"branches": branches, "join": join or {}, "wait": wait, "on_error": on_error})


def each(
    do: Sequence[FlowStep],
    *,
    in_: str,
    as_: str,
    collect: Mapping[str, str],
    at_most: int,
    concurrency: int = 4,
    on_error: OnError = "fail",
) -> Each:
    """Steps that run once for each item of a list.

    Args:
        do: The steps; what they write is seen inside only.
        in_: The list channel.
        as_: The channel that holds the item.
        collect: By channel of `do` (or `as_` itself), the list channel outside that its values go to, in order of the items.
        at_most: Most items, 1..10000; those beyond are left out.
        concurrency: Most items in work at once.
        on_error: Whether a failed item ends the run, or is left out.

    >>> step = each(["search", "write"], in_="parts", as_="part", collect={"answer": "answers"}, at_most=6)
    >>> step.each.in_, step.each.concurrency
    ('parts', 4)
    """
    names = {"in": in_, "as": as_, "do": do, "collect": collect}
    return _step(Each, each=names | {"at_most": at_most, "concurrency": concurrency, "on_error": on_error})


def subgraph(
    use: str | HasSpec, *, in_: Mapping[str, str] | None = None, out: Mapping[str, str], share: float | None = None
) -> SubGraph:
    """Another graph as a step; `graph:` in YAML.

    Args:
        use: A graph made in Python, the name of a shipped graph, or the path of a file.
        in_: By input of that graph, the channel here that fills it; what is not named takes its default.
        out: By output of that graph, the channel here that it is written to.
        share: The part of what is left of the budget that it may use, in (0, 1]; all of it where None.

    >>> subgraph("ask", in_={"question": "part"}, out={"answer": "part_answer"}).graph.use
    'ask'
    """
    said = {"in": in_ or {}, "out": out} | ({} if share is None else {"share": share})
    if isinstance(use, str):
        return _step(SubGraph, graph={"use": use, **said})
    return _step(_Given, graph={"use": use.spec.name, **said}, given=use.spec)


class _Given(SubGraph):
    """A sub-graph that stands in no file, so that its step brings it along as far as `spec_from_python`."""

    given: GraphSpec = Field(exclude=True, repr=False)


def ask_human(question: str, *, choices: Sequence[str] = (), schema: Mapping[str, Any] | None = None, out: str) -> AskHuman:
    """A question to a person; the run waits for the answer.

    Args:
        question: Text with holes for channels.
        choices: The allowed answers; any text where empty.
        schema: JSON Schema that the answer must satisfy; a text where None. It excludes `choices`.
        out: The channel that the answer is written to.

    >>> ask_human("Send this? {answer}", choices=["approve", "refuse"], out="decision").ask_human.choices
    ('approve', 'refuse')
    """
    said = {"question": question, "choices": choices, "out": out} | ({} if schema is None else {"schema": dict(schema)})
    return _step(AskHuman, ask_human=said)


def return_(outputs: Mapping[str, str] | None = None) -> Return:
    """The end of the graph; `outputs` names the channels that outputs take their values from, where not from their own.

    >>> return_({"answer": "draft"}).return_
    {'answer': 'draft'}
    """
    return _step(Return, **{"return": outputs or {}})


def _step(kind: type[S], **settings: Any) -> S:
    try:
        return kind.model_validate(settings)
    except ValidationError as error:
        raise SpecError(validation_problems(error, Nowhere("step", None, None), known=known_keys)) from error


def spec_from_python(
    header: Mapping[str, Any],
    nodes: Mapping[str, Node],
    flow: Sequence[FlowStep],
    models: Mapping[str, str | Sequence[str]],
    channels: Mapping[str, Any],
) -> GraphSpec:
    """Build and check a graph from its parts; `header` holds name, about, source, inputs, outputs, and
    what else a file may say of the whole.

    Prompts are looked for in `prompts/` of the working directory, then among the shipped ones; files of sub-graphs from the
    working directory.

    Raises:
        SpecError: The graph is wrong; `.problems` lists all that is, by path in the graph.
    """
    located = Nowhere(f"graph '{header.get('name')}'", None, None)
    folder = Path("prompts")
    prompts = Prompts(folder.resolve() if folder.is_dir() else None)
    graphs, problems = _given_graphs(flow, located)
    parts = {"nodes": dict(nodes), "models": _models(models), "channels": dict(channels), "prompts": prompts, "graphs": graphs}
    # as data, for a step that brought its graph along is not the same as one from a file
    steps = [step.model_dump() if isinstance(step, BaseModel) else step for step in flow]
    return assembled({"agentrag": LANGUAGE, **header, **parts, "flow": steps}, located, problems, Doubts(), load_graph)


def _models(given: Mapping[str, str | Sequence[str]]) -> dict[str, str | list[str]]:
    """Bindings as a file names them: a chain may be one text here, as on the command line."""
    names = {slot: chained(said).split(",") for slot, said in given.items()}
    return {slot: chain[0] if len(chain) == 1 else [name.strip() for name in chain] for slot, chain in names.items()}


def _given_graphs(flow: Sequence[FlowStep], located: Located) -> tuple[dict[str, GraphSpec], list[Problem]]:
    graphs: dict[str, GraphSpec] = {}
    problems = []
    for place, step in walk(tuple(flow)):
        if isinstance(step, _Given) and graphs.setdefault(step.graph.use, step.given) != step.given:
            what = f"two graphs are named '{step.graph.use}'; give one of them another name"
            problems.append(located.problem((*place, "graph", "use"), what))
    return graphs, problems
