"""What an outward call costs a budget: set aside before it is sent, settled when it has ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import ceil
from typing import Any, TypeVar

from agentrag.core.account import Account, Earlier, Hold, Refusal, above
from agentrag.core.budget import NOTHING, Rate, Spend
from agentrag.core.calls import OutwardCall
from agentrag.core.errors import BudgetError, ModelError
from agentrag.core.exchange import asking
from agentrag.core.ports import Journal
from agentrag.core.types import ChatRequest, Usage

T = TypeVar("T")
BYTES_A_TOKEN = 3.0
"""UTF-8 bytes of a token, as prompts are estimated: English prose has 4.4, code and other scripts down to 2.5."""
MESSAGE_TOKENS = 12
"""Tokens that a chat format is reckoned to add to a call, and to each of its messages."""


def prompt_tokens(texts: list[str], messages: int) -> int:
    """The estimate of a prompt in tokens: of these texts, in so many messages.

    >>> prompt_tokens(["one two three"], 1)
    29
    """
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    return ceil(size / BYTES_A_TOKEN) + MESSAGE_TOKENS * (messages + 1)


def need_of(request: ChatRequest, rate: Rate | None) -> Spend:
    """What one exchange of a chat model is reckoned to cost: the estimate of its prompt and all of `max_tokens`."""
    texts = [message.content for message in request.messages]
    if request.schema is not None:
        texts.append(str(request.schema))
    prompt = prompt_tokens(texts, len(request.messages))
    usd = 0.0 if rate is None else rate.usd(prompt, request.max_tokens)
    return Spend(1, 0, prompt + request.max_tokens, usd)


def cost_of(call: OutwardCall, value: Any, usage: Usage, rate: Rate | None = None) -> Spend:
    """What an answered call cost; tokens that nobody priced at the rate of the model."""
    found = len(value) if call.kind == "search" else 0
    usd = usage.usd if usage.usd or rate is None else rate.usd(usage.prompt_tokens, usage.completion_tokens)
    return Spend(usage.calls, found, usage.prompt_tokens + usage.completion_tokens, usd)


def raise_refused(journal: Journal, run: str, place: str, step: str) -> None:
    """Refuse again what was refused in this run before, so that resumed and replayed runs take the same way.

    Raises:
        BudgetError: It was.
    """
    told = journal.settled(run, f"{place}!refused")
    if told is not None:
        unit, limit, scope = told
        raise BudgetError(unit, limit, scope, step)


def keep_refused(journal: Journal, run: str, place: str, error: BudgetError) -> None:
    """Keep for later that a budget refused something."""
    journal.settle(run, f"{place}!refused", [error.unit, error.limit, error.scope])


@dataclass
class Metered:
    """One outward call on an account.

    Attributes:
        need: What its present exchange is reckoned to cost.
        reserved: What is set aside for all of its exchanges so far.
        begun: Text of its answer has come, so that a failure after it has cost something.
        denied: Why a further exchange was refused.
    """

    account: Account
    hold: Hold | None
    call: OutwardCall
    need: Spend
    rate: Rate | None = None
    reserved: Spend = NOTHING
    begun: bool = False
    denied: Refusal | None = None

    @property
    def place(self) -> str:
        """Where the call stands in its run, as a name for what is kept of it."""
        return f"{self.call.step}!{self.call.key.hex()[:16]}.{self.call.nth}"

    async def made(self, work: Callable[[], Awaitable[T]], usage_of: Callable[[T], Usage], journal: Journal) -> T:
        """Do `work` where the budget has room for it, and note what it came to, with its record or without one.

        What was refused by a server costs an exchange and no tokens. What was cut short, by a time limit or because it
        was no longer wanted, is reckoned to have cost all that was set aside.

        Raises:
            BudgetError: It has not: nothing was sent, or nothing more where an exchange had failed that could be made again.
        """
        self.account.goes_on()
        refusal = self._reserve(self.need)
        if refusal is not None:
            raise BudgetError(*refusal, self.call.step)
        spent = self.reserved
        try:
            with asking(self._again):
                value = await work()
            spent = self._paid(cost_of(self.call, value, usage_of(value), self.rate))
        except ModelError as error:
            spent = self._failed(error)
            if self.denied is not None:
                raise BudgetError(*self.denied, self.call.step, after=str(error)) from error
            raise
        except BaseException:
            spent = self.reserved
            raise
        finally:
            self.account.settle(self.reserved, spent)
            note_paid(journal, self.call.run, self.place, self.account, (spent, above(spent, self.reserved)))
        return value

    def _again(self, request: ChatRequest, repair: bool) -> bool:
        if not repair:  # the exchange before failed: it has cost no tokens
            given_back = self.need._replace(calls=0.0, passages=0.0)
            self.account.settle(given_back, NOTHING)
            self.reserved = self.reserved.minus(given_back)
        self.need = need_of(request, self.rate)
        self.denied = self._reserve(self.need)
        if self.denied is not None:
            self.need = NOTHING
        return self.denied is None

    def _reserve(self, amount: Spend) -> Refusal | None:
        refusal = self.account.reserve(amount, self.hold)
        if refusal is None:
            self.reserved = self.reserved.plus(amount)
        return refusal

    def _failed(self, error: ModelError) -> Spend:
        """What a call cost that failed: nothing where it was not sent, because the circuit to its server is open."""
        if self.begun:
            return self.reserved
        if error.usage is None:
            return Spend(self.reserved.calls)
        told = cost_of(self.call, (), error.usage)
        return told if told.calls <= self.reserved.calls else told._replace(calls=self.reserved.calls)

    def _paid(self, told: Spend) -> Spend:
        """What the call cost: the exchanges that were let through, and tokens as told, as reckoned where nobody told them."""
        calls = max(told.calls, self.reserved.calls)
        if self.need.tokens and not told.tokens:
            return self.reserved._replace(calls=calls)
        return told._replace(calls=calls)


PAID = "paid"
"""Kind of the notes that tell what calls cost a budget."""


def note_paid(journal: Journal, run: str, place: str, account: Account, paid: tuple[Spend, Spend] = (NOTHING, NOTHING)) -> None:
    """Note what was spent at a place of a run, the error of its estimate, and how long this stretch has been active."""
    *_, (outermost, _) = account.levels()
    spent, error = map(list, paid)
    body = {"spent": spent, "error": error, "active": outermost.active, "stretch": outermost.stretch}
    journal.note(run, place, PAID, body)


def earlier_of(journal: Journal, run: str) -> Earlier:
    """What earlier stretches of a run spent, from their notes."""
    calls: dict[str, Spend] = {}
    active: dict[str, float] = {}
    error = NOTHING
    for place, body in journal.noted(run, PAID):
        calls[place] = calls.get(place, NOTHING).plus(Spend(*body["spent"]))
        error = error.plus(Spend(*body["error"]))
        active[body["stretch"]] = max(active.get(body["stretch"], 0.0), body["active"])
    return Earlier(calls, sum(active.values()), error)
