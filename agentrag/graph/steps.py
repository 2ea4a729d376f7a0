"""The steps of a flow, as data, and how to go through them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, StrictInt, Tag
from pydantic_core import PydanticCustomError

from agentrag.core.errors import unknown
from agentrag.core.located import SAID
from agentrag.core.node import TemplateText
from agentrag.graph.parts import ChannelName, Label, OnError, Part, Place


def _said(choice: str) -> str:
    if not choice.strip():
        raise ValueError("a choice should say something")
    return choice


def _step_kind(value: Any) -> str | None:
    if isinstance(value, str):
        return "<node>"
    for word, kind in STEPS.items():
        if isinstance(value, kind) or (isinstance(value, Mapping) and word in value):
            return f"<{word}>"
    return None


def _known_step(value: Any) -> Any:
    if isinstance(value, Mapping) and value and not STEPS.keys() & value.keys():
        raise PydanticCustomError(SAID, "{text}", {"text": unknown("step", str(next(iter(value))), STEPS)})
    return value


def _branch_kind(value: Any) -> str:
    other = isinstance(value, Otherwise) or (isinstance(value, Mapping) and "otherwise" in value and "when" not in value)
    return "<otherwise>" if other else "<when>"


def _word_or_steps(value: Any) -> str:
    return "<word>" if isinstance(value, str) else "<steps>"


def _word_or_quorum(value: Any) -> str:
    return "<word>" if isinstance(value, str) else "<quorum>"


class When(Part):
    """A branch that is taken when its condition is true and none before it was.

    Attributes:
        when: Condition in CEL over channels and measures.
        do: The steps of the branch.
    """

    when: str
    do: Steps


class Otherwise(Part):
    """The branch that is taken when no condition was true.

    Attributes:
        otherwise: The steps of the branch; may be none.
    """

    otherwise: Steps


Branch = Annotated[
    Annotated[When, Tag("<when>")] | Annotated[Otherwise, Tag("<otherwise>")],
    Discriminator(_branch_kind),
]


class Choose(Part):
    """Take the first branch whose condition is true; the last branch is `otherwise`."""

    choose: tuple[Branch, ...]


class RepeatSpec(Part):
    """A loop.

    Attributes:
        do: The steps of a round.
        until: Evaluated after each round; the loop ends when it is true.
        at_most: Most rounds.
        on_exhausted: What follows the last round when `until` never was true: the channels of the best round stay, the run
            fails, or these steps run over the channels of the last round.
        best_by: A number over channels and measures, evaluated after each round; the later of equal rounds is the better.
            Without it the last round is the best.
    """

    do: Steps
    until: str | None = None
    at_most: Annotated[StrictInt, Field(ge=1, le=1000)]
    on_exhausted: Annotated[
        Annotated[Literal["return_best", "fail"], Tag("<word>")] | Annotated[Steps, Tag("<steps>")],
        Discriminator(_word_or_steps),
    ] = "return_best"
    best_by: str | None = None


class Repeat(Part):
    """Run steps again and again, a bounded number of times."""

    repeat: RepeatSpec


class Quorum(Part):
    """Wait for so many branches.

    Attributes:
        quorum: How many have to end well.
    """

    quorum: Annotated[StrictInt, Field(ge=1)]


class ParallelSpec(Part):
    """Branches that run at once, each over the state before them.

    Attributes:
        join: For each channel that several branches write, the join that makes one value of theirs.
        wait: For how many branches to wait; the others are cancelled then.
        on_error: Whether a failed branch ends the run, or is left out as long as enough others end well.
    """

    branches: Annotated[dict[Label, Steps], Field(min_length=2)]
    join: dict[ChannelName, str] = Field(default_factory=dict)
    wait: Annotated[
        Annotated[Literal["all", "first"], Tag("<word>")] | Annotated[Quorum, Tag("<quorum>")],
        Discriminator(_word_or_quorum),
    ] = "all"
    on_error: OnError = "fail"

    @property
    def need(self) -> int:
        """How many branches are waited for."""
        words = {"all": len(self.branches), "first": 1}
        return self.wait.quorum if isinstance(self.wait, Quorum) else words[self.wait]

    @property
    def sure(self) -> int:
        """How many branches have ended well, at the least, when the step ends well."""
        return 1 if self.wait == "all" and self.on_error == "collect" else self.need


class Parallel(Part):
    """Run branches at once and join what they write."""

    parallel: ParallelSpec


class EachSpec(Part):
    """Steps that run once for each item of a list, some items at once.

    Attributes:
        in_: The list channel.
        as_: The channel that holds the item; it and all else that `do` writes is seen inside only.
        collect: Channels of `do` (or the item itself) and the list channels outside that their values go to, in the order of
            the items. Lists that go to a list of the same type are joined, without what is there already.
        at_most: Most items; those beyond are left out.
        concurrency: Most items in work at once.
        on_error: Whether a failed item ends the run, or is left out as long as one ends well.
    """

    in_: ChannelName = Field(alias="in")
    as_: ChannelName = Field(alias="as")
    do: Steps
    collect: dict[ChannelName, ChannelName]
    at_most: Annotated[StrictInt, Field(ge=1, le=10000)]
    concurrency: Annotated[StrictInt, Field(ge=1, le=1000)] = 4
    on_error: OnError = "fail"


class Each(Part):
    """Run steps for each item of a list."""

    each: EachSpec


class SubGraphSpec(Part):
    """Another graph as a step.

    Attributes:
        use: Name of a shipped graph, or path of a file from the folder of this one.
        in_: Inputs of the other graph and the channels here that fill them; what is not named takes its default.
        out: Outputs of the other graph and the channels here that they are written to.
        share: The part of what is left of the budget, in every unit, that it may use; all of it where there is none.
    """

    use: str
    in_: dict[ChannelName, ChannelName] = Field(default_factory=dict, alias="in")
    out: Annotated[dict[ChannelName, ChannelName], Field(min_length=1)]
    share: Annotated[float, Field(gt=0, le=1)] | None = None


class SubGraph(Part):
    """Run another graph."""

    graph: SubGraphSpec


class AskHumanSpec(Part):
    """A question to a person.

    Attributes:
        question: Text with holes for channels.
        choices: The allowed answers; any text where empty.
        schema_: JSON Schema (draft 2020-12) that the answer must satisfy. Its `type` is string, integer, number, boolean,
            object, or array with items of type string.
        out: The channel that the answer is written to.
    """

    question: TemplateText
    choices: tuple[Annotated[str, AfterValidator(_said)], ...] = ()
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    out: ChannelName


class AskHuman(Part):
    """Wait for a person's answer."""

    ask_human: AskHumanSpec


class Return(Part):
    """End the graph here. `return_` names the channels that outputs take their values from, where not from their own."""

    return_: dict[ChannelName, ChannelName] = Field(alias="return")


STEPS: Mapping[str, type[Part]] = {
    "choose": Choose,
    "repeat": Repeat,
    "parallel": Parallel,
    "each": Each,
    "graph": SubGraph,
    "ask_human": AskHuman,
    "return": Return,
}
"""All steps that are more than the name of a node, by their word."""


_HINT = "a step is a node name or one of: " + ", ".join(
    ("ask_human: {...}", "choose: [...]", "each: {...}", "graph: {...}", "parallel: {...}", "repeat: {...}", "return: {...}")
)
Step = Annotated[
    Annotated[Label, Tag("<node>")]
    | Annotated[Choose, Tag("<choose>")]
    | Annotated[Repeat, Tag("<repeat>")]
    | Annotated[Parallel, Tag("<parallel>")]
    | Annotated[Each, Tag("<each>")]
    | Annotated[SubGraph, Tag("<graph>")]
    | Annotated[AskHuman, Tag("<ask_human>")]
    | Annotated[Return, Tag("<return>")],
    Discriminator(_step_kind, custom_error_type="step", custom_error_message=_HINT),
    BeforeValidator(_known_step),
]
Steps = tuple[Step, ...]
for _kind in (When, Otherwise, Choose, RepeatSpec, Repeat, ParallelSpec, Parallel, EachSpec, Each):
    _kind.model_rebuild()  # they hold steps, which are known only now


def inner_flows(step: Step) -> Iterator[tuple[Place, Steps]]:
    """Yield the flows inside a step, each with its path in the file below the step."""
    if isinstance(step, Choose):
        for number, branch in enumerate(step.choose):
            if isinstance(branch, When):
                yield ("choose", number, "do"), branch.do
            else:
                yield ("choose", number, "otherwise"), branch.otherwise
    elif isinstance(step, Repeat):
        yield ("repeat", "do"), step.repeat.do
        if isinstance(step.repeat.on_exhausted, tuple):
            yield ("repeat", "on_exhausted"), step.repeat.on_exhausted
    elif isinstance(step, Parallel):
        for name, branch_steps in step.parallel.branches.items():
            yield ("parallel", "branches", name), branch_steps
    elif isinstance(step, Each):
        yield ("each", "do"), step.each.do


def walk(steps: Steps, path: Place = ("flow",)) -> Iterator[tuple[Place, Step]]:
    """Yield every step of a flow with its path in the file, in file order, a step before those inside it."""
    for index, step in enumerate(steps):
        place = (*path, index)
        yield place, step
        for below, inner in inner_flows(step):
            yield from walk(inner, (*place, *below))
