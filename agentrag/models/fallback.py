"""A chain of models: the next one answers where the one before it cannot."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

from agentrag.core.errors import ModelError
from agentrag.core.exchange import may_exchange
from agentrag.core.ports import ChatModel, OnText
from agentrag.core.types import ChatRequest, Completion, Usage
from agentrag.models.cost import add_cost, cost_of
from agentrag.models.delivery import Delivery

_log = logging.getLogger("agentrag.models")


class FallbackModel:
    """A chat model that asks models in order until one answers.

    The next one is asked where a model raises ModelError: after its own attempts, or at once where its circuit is open. None
    is asked once streamed text was handed out, or where the budget has no room for one more exchange.

    Args:
        models: Two or more, the preferred one first.

    >>> from agentrag.testing import ScriptedModel
    >>> FallbackModel([ScriptedModel([]), ScriptedModel([])]).name
    'fallback(scripted, scripted)'
    """

    def __init__(self, models: Sequence[ChatModel]) -> None:
        self._models = tuple(models)
        self.name = f"fallback({', '.join(model.name for model in self._models)})"

    async def complete(self, request: ChatRequest, on_text: OnText | None = None) -> Completion:
        """Answer `request`; the usage is that of all models that were asked.

        Cost: at most one call of each model.

        Raises:
            ModelError: None answered; the text names all that failed.
        """
        delivery = Delivery(on_text) if on_text else None
        failed: list[tuple[str, ModelError]] = []
        spent = Usage()
        for model in self._models:
            if failed and not self._may_go_on(failed[-1][1], request):
                left_out = f"; {model.name} was not asked: the budget has no room for one more exchange"
                raise _all(failed, left_out, spent) from failed[-1][1]
            try:
                completion = await model.complete(request, delivery)
            except ModelError as error:
                _log.info("%s: %s failed: %s", self.name, model.name, error)
                failed.append((model.name, error))
                spent += cost_of(error)
                if delivery and delivery.begun:
                    raise _all(failed, "", spent) from error
            else:
                return replace(completion, usage=spent + completion.usage)
        raise _all(failed, "", spent) from failed[-1][1]

    async def aclose(self) -> None:
        """Close all models. Calling it twice is allowed."""
        async with AsyncExitStack() as stack:
            for model in self._models:
                stack.push_async_callback(model.aclose)

    @staticmethod
    def _may_go_on(error: ModelError, request: ChatRequest) -> bool:
        """Whether another model may be asked; a call that made no exchange leaves its own to the next."""
        return not cost_of(error).calls or may_exchange(request)


def _all(failed: Sequence[tuple[str, ModelError]], more: str, spent: Usage) -> ModelError:
    """One error out of those of all models; it may pass where one of them may."""
    said = "; ".join(f"{name}: {error}" for name, error in failed)
    passing = [error for _, error in failed if error.retryable]
    # the soonest moment at which one of them may answer; where one names no time, that is now
    soonest = min((error.retry_after or 0.0 for error in passing), default=0.0)
    text = f"No model of the chain answered. {said}{more}"
    error = ModelError(text, retryable=bool(passing), retry_after=soonest or None)
    add_cost(error, spent)
    return error
