"""The OpenAI chat protocol: a ChatRequest as a body, a reply or a stream of chunks as a Completion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentrag.core.types import ChatRequest, Completion, TokenLogprob, Usage
from agentrag.models.faults import whole
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
        text=_text(choice["message"]["content"]),
        finish=_finish(choice["finish_reason"]),
        usage=usage_of(reply.get("usage")),
        tokens=tuple(_tokens(choice)),
        model=_name(reply.get("model")),
    )


class StreamedReply:
    """A reply that comes chunk by chunk."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._tokens: list[TokenLogprob] = []
        self._usage: object = None
        self._finish: object = None
        self._model = ""

    def take(self, chunk: Json) -> str:
        """Read one chunk and return its new text, "" for none.

        Raises:
            KeyError, TypeError, AttributeError: It has not the protocol's form.
        """
        if usage := chunk.get("usage"):
            self._usage = usage
        choices = chunk.get("choices") if usage else chunk["choices"]
        if not choices:
            return ""
        choice = choices[0]
        text = _text((choice.get("delta") or {}).get("content"))
        self._pieces.append(text)
        if choice.get("logprobs"):
            self._tokens.extend(_tokens(choice))
        if finish := choice.get("finish_reason"):
            self._finish, self._model = finish, _name(chunk.get("model"))
        return text

    @property
    def complete(self) -> bool:
        """Whether the server said why the reply ends: without that, it was cut."""
        return self._finish is not None

    def completion(self) -> Completion:
        finish = _finish(self._finish or "stop")
        return Completion("".join(self._pieces), finish, usage_of(self._usage), tuple(self._tokens), self._model)


def usage_of(usage: object) -> Usage:
    """Tokens as the server counts them, zeros where it does not say; one call."""
    if not isinstance(usage, Mapping):
        return Usage(calls=1)
    details = usage.get("prompt_tokens_details")
    return Usage(
        calls=1,
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        cached_tokens=_count(details.get("cached_tokens")) if isinstance(details, Mapping) else 0,
    )


def _count(value: object) -> int:
    return value if isinstance(value, int) and value >= 0 else 0


def _text(value: object) -> str:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"content is no text but {type(value).__name__}")
    return whole(value or "")


def _name(value: object) -> str:
    return whole(value) if isinstance(value, str) else ""


def _finish(reason: object) -> str:
    return reason if isinstance(reason, str) and reason in {"length", "content_filter"} else "stop"


def _tokens(choice: Json) -> list[TokenLogprob]:
    content = (choice.get("logprobs") or {}).get("content") or ()
    return [
        TokenLogprob(
            whole(token["token"]),
            float(token["logprob"]),
            tuple((whole(top["token"]), float(top["logprob"])) for top in token.get("top_logprobs") or ()),
        )
        for token in content
    ]
