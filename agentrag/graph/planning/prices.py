"""What the model of a slot costs, how often its client tries, and how quick such models usually are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from agentrag.core.bindings import LiteLLM, LlamaCpp, OneBinding
from agentrag.core.settings import Settings
from agentrag.models.retry import ATTEMPTS

N = TypeVar("N", int, float)
STARTS = 2
"""Exchanges with a local server for one call: it is started again once where it dies."""
_SPECIAL = ("batches", "flex", "priority")  # rates that nobody gets who does not ask for them


@dataclass(frozen=True, slots=True)
class Speed:
    """Assumed speed: tokens a second of a prompt and of an answer, and seconds before the first of them."""

    prompt: float
    completion: float
    latency: float


LOCAL = Speed(prompt=60.0, completion=25.0, latency=0.1)
"""A model of 1.5 billion parameters on two processor cores."""
REMOTE = Speed(prompt=5000.0, completion=60.0, latency=0.5)


@dataclass(frozen=True, slots=True)
class Price:
    """What a slot's model costs.

    Attributes:
        prompt, completion: USD per million tokens; None where it is not known.
        attempts: Most exchanges that the client makes for one call.
        speed: For estimates of time; bounds come from time limits.
        binding: Name of what fills the slot.
        context: Most tokens of a prompt that the model's server takes; None where it is not known. Longer ones are refused.
    """

    prompt: float | None = None
    completion: float | None = None
    attempts: int = ATTEMPTS
    speed: Speed = REMOTE
    binding: str = ""
    context: int | None = None

    @property
    def known(self) -> bool:
        """Whether both prices are."""
        return self.prompt is not None and self.completion is not None

    def usd(self, prompt: float, completion: float) -> float:
        """The price of so many tokens, unknown ones counted as 0."""
        return (prompt * (self.prompt or 0.0) + completion * (self.completion or 0.0)) / 1e6

    def seconds(self, calls: int, prompt: float, completion: float) -> float:
        """The assumed time of so many calls, one after the other, with so many tokens in all."""
        speed = self.speed
        return calls * speed.latency + prompt / speed.prompt + completion / speed.completion


def prices_of(settings: Settings, slots: Mapping[str, str]) -> dict[str, Price]:
    """The price of each slot's model, from the names of the bindings that fill the slots.

    Raises:
        SettingsError: No binding has such a name.
    """
    return {slot: _chain_price(settings, name) for slot, name in slots.items()}


def _chain_price(settings: Settings, name: str) -> Price:
    """What a binding costs, or a chain: the attempts of all its models, each at the highest price and for the longest prompt.

    Its speed is that of the first model, which answers as a rule.
    """
    context = settings.runtime.context
    members = [price_of(binding, member, context) for member, binding in settings.chain(name).items()]
    return Price(
        prompt=_most(member.prompt for member in members),
        completion=_most(member.completion for member in members),
        attempts=sum(member.attempts for member in members),
        speed=members[0].speed,
        binding=name,
        context=_most(member.context for member in members),
    )


def _most(values: Iterable[N | None]) -> N | None:
    """The highest; None where one is not known."""
    known = list(values)
    found = [value for value in known if value is not None]
    return max(found) if len(found) == len(known) else None


def price_of(binding: OneBinding, name: str = "", context: int | None = None) -> Price:
    """What the model of a binding costs: nothing where it runs here, else what the binding or litellm's table says.

    Args:
        binding: What fills the slot.
        name: Its name.
        context: Tokens of context that local models run with.
    """
    if isinstance(binding, LlamaCpp):
        return Price(0.0, 0.0, STARTS, LOCAL, name, context)
    if isinstance(binding, LiteLLM):
        return Price(*_listed(binding.model), binding=name)
    given = binding.model_fields_set
    prompt, completion = (getattr(binding, key) if key in given else None for key in ("price_in", "price_out"))
    return Price(prompt, completion, binding=name)


def _listed(model: str) -> tuple[float | None, float | None]:
    """Prices in litellm's table, where they depend on the length of the prompt the highest; None where it lacks the model."""
    from agentrag.models.litellm import library  # lazy: seconds, and only graphs with such a binding pay them

    table: Mapping[str, Mapping[str, Any]] = library().model_cost
    entry = table.get(model) or table.get(model.partition("/")[2]) or {}
    return _highest(entry, "input_cost_per_token"), _highest(entry, "output_cost_per_token")


def _highest(entry: Mapping[str, Any], kind: str) -> float | None:
    costs = [
        cost
        for key, cost in entry.items()
        if key.startswith(kind) and not key.endswith(_SPECIAL) and isinstance(cost, int | float)
    ]
    return max(costs) * 1e6 if costs else None
