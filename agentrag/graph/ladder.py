"""What a graph says of its budget: limits, and the rungs of the ladder that it climbs down when too little is left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from agentrag.core.budget import UNITS, Limits, Mode
from agentrag.core.errors import unknown
from agentrag.core.located import SAID
from agentrag.graph.parts import Label, Part


class BudgetSpec(Limits):
    """The most that a run of the graph may cost; where another graph runs it, that its run there may cost.

    Attributes:
        calls: Calls of models, of searches, embeddings and tools, further attempts included.
        passages: Passages that searches return.
        tokens: Tokens of prompts and answers.
        usd: Money.
        seconds: Active time; waiting for a person is none.
        mode: "audit" refuses nothing and only reports.
    """

    mode: Mode = "enforce"


def limited(budget: BudgetSpec) -> BudgetSpec:
    """The budget, where it limits something.

    Raises:
        ValueError: It does not.
    """
    if not dict(budget.given()):
        raise ValueError(f"limits nothing; it takes {', '.join(UNITS)}")
    return budget


def _setting(name: str) -> str:
    if not all(name.partition(".")):
        raise ValueError("a setting is named NODE.SETTING, e.g. search.k")
    return name


SettingName = Annotated[str, AfterValidator(_setting)]


class SetRung(Part):
    """Other settings of nodes from here on.

    Attributes:
        set: Values by NODE.SETTING, e.g. {search.k: 3}.
    """

    set: Annotated[dict[SettingName, Any], Field(min_length=1)]

    def __str__(self) -> str:
        return "set " + ", ".join(f"{name}: {value}" for name, value in self.set.items())


class RebindRung(Part):
    """Other models from here on.

    Attributes:
        rebind: Binding names by model slot, e.g. {writer: local}.
    """

    rebind: Annotated[dict[Label, str], Field(min_length=1)]

    def __str__(self) -> str:
        return "rebind " + ", ".join(f"{slot}: {binding}" for slot, binding in self.rebind.items())


class FinishRung(Part):
    """End every loop after its current round.

    Attributes:
        finish: What to end: "loops".
    """

    finish: Literal["loops"]

    def __str__(self) -> str:
        return f"finish {self.finish}"


RUNGS: Mapping[str, type[Part]] = {"set": SetRung, "rebind": RebindRung, "finish": FinishRung}


def _kind(value: Any) -> str | None:
    for word, kind in RUNGS.items():
        if isinstance(value, kind) or (isinstance(value, Mapping) and word in value):
            return f"<{word}>"
    return None


def _known_rung(value: Any) -> Any:
    if isinstance(value, Mapping) and value and not RUNGS.keys() & value.keys():
        raise PydanticCustomError(SAID, "{text}", {"text": unknown("rung", str(next(iter(value))), RUNGS)})
    return value


_HINT = "a rung is one of: finish: loops, rebind: {SLOT: BINDING}, set: {NODE.SETTING: VALUE}"
Rung = Annotated[
    Annotated[SetRung, Tag("<set>")] | Annotated[RebindRung, Tag("<rebind>")] | Annotated[FinishRung, Tag("<finish>")],
    Discriminator(_kind, custom_error_type="rung", custom_error_message=_HINT),
    BeforeValidator(_known_rung),
]
