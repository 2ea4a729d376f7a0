"""The OpenAI chat protocol: a ChatRequest as a body, a reply or a stream of chunks as a Completion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentrag.core.types import ChatRequest, Completion, TokenLogprob, Usage
from agentrag.models.schema import strict

Json = Mapping[str, Any]


def body_of(request: ChatRequest, model: str, stream: bool, limit: str = "max_tokens") -> dict[str, Any]:
    """The body of POST /chat/completions. `limit` is what this server calls the bound of generated tokens."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": message.role, "content": message.content} for message in request.messages],
        limit: request.max_tokens,
        "temperature": request.temperature,
    }
    if request.stop:
        body["stop"] = list(request.stop)
    if request.seed is not None:
        body["seed"] = request.seed
    if request.logprobs:
        body |= {"logprobs": True, "top_logprobs": request.logprobs}
    if request.schema is not None:
        schema = {"name": "reply", "schema": request.schema, "strict": strict(request.schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def completion_of(reply: Json) -> Completion:
    """Read a whole reply.

    Raises:
        KeyError, IndexError, TypeError, AttributeError: It has not the protocol's form.
    """
    choice = reply["choices"][0]
    return Completion(
        text=choice["message"]["content"] or "",
        finish=_finish(choice["finish_reason"]),
        usage=usage_of(reply.get("usage")),
        tokens=tuple(_tokens(choice)),
        model=reply.get("model") or "",
    )


class StreamedReply:
    """A reply that comes chunk by chunk."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._tokens: list[TokenLogprob] = []
        self._usage: Json | None = None
        self._finish: str | None = None
        self._model = ""

    def take(self, chunk: Json) -> str:
        """Read one chunk and return its new text, "" for none.

        Raises:
            KeyError, TypeError, AttributeError: It has not the protocol's form.
        """
        if usage := chunk.get("usage"):
            self._usage = usage
        choices = chunk["choices"]
        if not choices:
            return ""
        choice = choices[0]
        text: str = choice["delta"].get("content") or ""
        self._pieces.append(text)
        if choice.get("logprobs"):
            self._tokens.extend(_tokens(choice))
        if finish := choice.get("finish_reason"):
            self._finish, self._model = finish, chunk.get("model") or ""
        return text

    @property
    def complete(self) -> bool:
        """Whether the server said why the reply ends: without that, it was cut."""
        return self._finish is not None

    def completion(self) -> Completion:
        finish = _finish(self._finish or "stop")
        return Completion("".join(self._pieces), finish, usage_of(self._usage), tuple(self._tokens), self._model)


def usage_of(usage: Json | None) -> Usage:
    """Tokens as the server counts them, zeros where it does not say; one call."""
    if not usage:
        return Usage(calls=1)
    details = usage.get("prompt_tokens_details") or {}
    return Usage(
        calls=1,
        prompt_tokens=usage.get("prompt_tokens") or 0,
        completion_tokens=usage.get("completion_tokens") or 0,
        cached_tokens=details.get("cached_tokens") or 0,
    )


def _finish(reason: str | None) -> str:
    return reason if reason in {"length", "content_filter"} else "stop"


def _tokens(choice: Json) -> list[TokenLogprob]:
    content = (choice.get("logprobs") or {}).get("content") or ()
    return [
        TokenLogprob(
            token["token"],
            token["logprob"],
            tuple((top["token"], top["logprob"]) for top in token.get("top_logprobs") or ()),
        )
        for token in content
    ]
