"""Every provider that litellm knows, as a chat model. Imported on first use only: litellm takes seconds to load."""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from typing import Any

from agentrag.core.errors import ModelError
from agentrag.core.ports import OnText
from agentrag.core.types import ChatRequest, Completion, Usage
from agentrag.models.cost import after
from agentrag.models.delivery import Delivery
from agentrag.models.faults import one_line, retry_after
from agentrag.models.limits import TOTAL, within, without_silence
from agentrag.models.protocol import StreamedReply, body_of, completion_of
from agentrag.models.retry import ONCE_MORE, Retries, with_retries
from agentrag.models.schema import held_to_schema

_NOT_THE_PROTOCOL = (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError)
_PASSING = {408, 409, 425, 429}
_PREFIX = re.compile(r"^(litellm\.\w+: )+")
_NEVER = {"num_retries": 0, "max_retries": 0}
"""Neither litellm nor the provider's client below it tries again: one layer does."""


@cache
def library() -> Any:
    """Litellm, imported once, without its look at the network, its telemetry and its prints."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm  # lazy: seconds and 165 MB

    warnings.filterwarnings("ignore", "Item '.*' on TypedDict")  # pydantic's note on litellm's own types
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return litellm


class LiteLLMModel:
    """A chat model through litellm, which makes one exchange a call; what tries again is the same as for other clients.

    Args:
        model: Litellm's name, provider first.
        timeout: Seconds without any byte before an exchange is given up, > 0.
        total_timeout: Seconds that one exchange may take in all, > 0.
        retries: How often, and what watches the endpoint.
        options: Further parameters of litellm's call, such as `api_base`.
    """

    def __init__(
        self,
        model: str,
        timeout: float = 120.0,
        total_timeout: float = TOTAL,
        retries: Retries = ONCE_MORE,
        **options: Any,
    ) -> None:
        self.name = f"litellm/{model}"
        self._who = f"Model {model} (through litellm{_host(options)})"
        self._timeout, self._total, self._retries = timeout, total_timeout, retries
        self._parameters = {"timeout": timeout, "drop_params": True, **options, **_NEVER}
        self._model = model
        self._used = False

    async def complete(self, request: ChatRequest, on_text: OnText | None = None) -> Completion:
        """Answer `request`; parameters that the provider does not know are left out.

        Cost: one call; two where a reply must be repaired to satisfy `request.schema`. Usage.usd is litellm's estimate.

        Raises:
            ModelError: The call failed.
        """
        if request.schema is None:
            return await self._answer(on_text, request)
        return await held_to_schema(request, request.schema, partial(self._answer, on_text), self._who)

    async def aclose(self) -> None:
        """Close litellm's connections. Calling it twice is allowed."""
        if not self._used:
            return
        self._used = False
        with suppress(AttributeError):  # older versions close their clients themselves
            await library().close_litellm_async_clients()

    async def _answer(self, on_text: OnText | None, request: ChatRequest) -> Completion:
        delivery = Delivery(on_text) if on_text else None

        def once() -> Awaitable[Completion]:
            return within(self._total, self._who, self._exchange(request, delivery))

        self._used = True
        completion = await with_retries(once, request, lambda: not (delivery and delivery.begun), self._retries)
        completion = replace(completion, usage=replace(completion.usage, usd=self._price(completion.usage)))
        if completion.finish == "content_filter":
            with after(completion.usage):
                raise ModelError(f"{self._who} withheld its answer: the provider's content filter stepped in.")
        return completion

    async def _exchange(self, request: ChatRequest, delivery: Delivery | None) -> Completion:
        body = body_of(request, self._model, stream=delivery is not None)
        try:
            reply = await library().acompletion(**self._parameters, **body)
        except Exception as error:
            raise fault_of(error, self._who) from error
        if delivery is None:
            return self._whole(reply)
        try:
            return await self._streamed(reply, delivery)
        finally:
            await reply.aclose()

    def _whole(self, reply: Any) -> Completion:
        try:
            return completion_of(reply.model_dump())
        except _NOT_THE_PROTOCOL as error:
            raise self._malformed(error) from error

    def _malformed(self, error: Exception) -> ModelError:
        return ModelError(f"{self._who} gave no valid reply ({one_line(_without_keys(repr(error)))}).", retryable=True)

    async def _streamed(self, stream: Any, on_text: OnText) -> Completion:
        reply = StreamedReply()
        async for chunk in without_silence(self._timeout, self._who, self._guarded(stream)):
            try:
                text = reply.take(chunk.model_dump())
            except _NOT_THE_PROTOCOL as error:
                raise self._malformed(error) from error
            if text:
                on_text(text)
        completion = reply.completion()
        if not reply.complete or not completion.text or _invented(stream):
            raise ModelError(f"{self._who} broke off before its answer was complete.", retryable=True)
        return completion

    async def _guarded(self, stream: Any) -> AsyncIterator[Any]:
        try:
            async for chunk in stream:
                yield chunk
        except Exception as error:
            raise fault_of(error, self._who) from error

    def _price(self, usage: Usage) -> float:
        """USD by litellm's table; 0.0 for models that it does not hold."""
        try:
            parts = library().cost_per_token(
                model=self._model,
                prompt_tokens=usage.prompt_tokens,
                completion_tokens=usage.completion_tokens,
                cache_read_input_tokens=usage.cached_tokens,
            )
        except Exception:  # it raises bare exceptions for unknown models, and an answer is worth more than its price
            return 0.0
        return float(sum(parts))


def _invented(stream: Any) -> bool:
    """Whether litellm made up the end of a stream that its provider broke off."""
    return all(getattr(stream, name, "") is None for name in ("received_finish_reason", "intermittent_finish_reason"))


def fault_of(error: Exception, who: str) -> ModelError:
    """Any exception of litellm as a ModelError: one line, without keys, retryable where the reason may pass."""
    exceptions = library().exceptions
    passing = (
        exceptions.RateLimitError,
        exceptions.Timeout,
        exceptions.APIConnectionError,
        exceptions.InternalServerError,
        exceptions.ServiceUnavailableError,
        exceptions.BadGatewayError,
        OSError,
    )
    status = getattr(error, "status_code", None)
    retryable = isinstance(error, passing) or (isinstance(status, int) and (status in _PASSING or status >= 500))
    headers = (
        getattr(error, "litellm_response_headers", None) or getattr(getattr(error, "response", None), "headers", None) or {}
    )
    text = one_line(_without_keys(_PREFIX.sub("", str(error)))) or type(error).__name__
    return ModelError(f"{who}: {text}.", retryable=retryable, retry_after=retry_after(headers.get("retry-after")))


def _without_keys(text: str) -> str:
    for name, value in os.environ.items():
        if len(value) >= 8 and name.endswith(("_KEY", "_TOKEN", "_SECRET")):
            text = text.replace(value, "***")
    return text


def _host(options: dict[str, Any]) -> str:
    base = options.get("api_base")
    return f" at {base.partition('://')[2].partition('/')[0].rpartition('@')[2]}" if base else ""
