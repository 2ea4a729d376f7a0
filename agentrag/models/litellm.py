"""Every provider that litellm knows, as a chat model. Imported on first use only: litellm takes seconds to load."""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from typing import Any

from agentrag.core.errors import ModelError
from agentrag.core.ports import OnText
from agentrag.core.types import ChatRequest, Completion, Usage
from agentrag.models.faults import one_line, retry_after
from agentrag.models.protocol import StreamedReply, body_of, completion_of
from agentrag.models.retry import ATTEMPTS
from agentrag.models.schema import held_to_schema

_PASSING = {408, 409, 425, 429}
_GROUP = "model"
_PREFIX = re.compile(r"^(litellm\.\w+: )+")
_ROUTER = re.compile(r"\s*(?:LiteLLM: model group|Deployment Info:|model=model\.)")  # what the Router adds about itself


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
    """A chat model through litellm. Its Router is the only thing that retries.

    Args:
        model: Litellm's name, provider first.
        timeout: Seconds before one attempt is given up, > 0.
        options: Further parameters of litellm's call, such as `api_base`.
    """

    def __init__(self, model: str, timeout: float = 120.0, **options: Any) -> None:
        self.name = f"litellm/{model}"
        self._who = f"Model {model} (through litellm{_host(options)})"
        self._parameters = {"model": model, "timeout": timeout, "drop_params": True, **options}
        self._router: Any = None

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
        if self._router is None:
            return
        self._router.discard()
        self._router = None
        with suppress(AttributeError):  # older versions close their clients themselves
            await library().close_litellm_async_clients()

    async def _answer(self, on_text: OnText | None, request: ChatRequest) -> Completion:
        body = body_of(request, _GROUP, stream=on_text is not None)
        if self._router is None:
            self._router = self._open()
        try:
            reply = await self._router.acompletion(**body)
        except Exception as error:
            raise fault_of(error, self._who) from error
        completion = self._whole(reply) if on_text is None else await self._streamed(reply, on_text)
        if completion.finish == "content_filter":
            raise ModelError(f"{self._who} withheld its answer: the provider's content filter stepped in.")
        return replace(completion, usage=replace(completion.usage, usd=self._price(completion.usage)))

    def _open(self) -> Any:
        deployment = {"model_name": _GROUP, "litellm_params": self._parameters}
        try:
            return library().Router(model_list=[deployment], num_retries=ATTEMPTS - 1, disable_cooldowns=True)
        except Exception as error:
            raise fault_of(error, self._who) from error

    def _whole(self, reply: Any) -> Completion:
        try:
            return completion_of(reply.model_dump())
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise ModelError(f"{self._who} gave no valid reply ({error!r}).", retryable=True) from error

    async def _streamed(self, stream: Any, on_text: OnText) -> Completion:
        reply = StreamedReply()
        async for chunk in self._guarded(stream):
            if text := reply.take(chunk.model_dump()):
                on_text(text)
        completion = reply.completion()
        if not reply.complete or not completion.text:  # litellm invents an ending where the provider sent nothing
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
                model=self._parameters["model"],
                prompt_tokens=usage.prompt_tokens,
                completion_tokens=usage.completion_tokens,
                cache_read_input_tokens=usage.cached_tokens,
            )
        except Exception:  # it raises bare exceptions for unknown models, and an answer is worth more than its price
            return 0.0
        return float(sum(parts))


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
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    said = _ROUTER.split(_PREFIX.sub("", str(error)))[0]
    text = one_line(_without_keys(said)) or type(error).__name__
    return ModelError(f"{who}: {text}.", retryable=retryable, retry_after=retry_after(headers.get("retry-after")))


def _without_keys(text: str) -> str:
    for name, value in os.environ.items():
        if len(value) >= 8 and name.endswith(("_KEY", "_TOKEN", "_SECRET")):
            text = text.replace(value, "***")
    return text


def _host(options: dict[str, Any]) -> str:
    base = options.get("api_base")
    return f" at {base.partition('://')[2].partition('/')[0].rpartition('@')[2]}" if base else ""
