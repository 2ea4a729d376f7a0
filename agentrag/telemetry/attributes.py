"""What spans say of outward calls, under the names of OpenInference and of OpenTelemetry's gen_ai conventions.

The latter are written out here: their package keeps them in a private module, which each of its releases may change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

from openinference.semconv.trace import (
    DocumentAttributes,
    EmbeddingAttributes,
    MessageAttributes,
    OpenInferenceSpanKindValues,
    SpanAttributes,
)

from agentrag.core.calls import OutwardCall
from agentrag.core.ports import Recorded
from agentrag.core.types import Completion, Passage

Attributes = dict[str, Any]
KIND = SpanAttributes.OPENINFERENCE_SPAN_KIND
AGENT, CHAIN = OpenInferenceSpanKindValues.AGENT.value, OpenInferenceSpanKindValues.CHAIN.value
OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
AGENT_NAME = "gen_ai.agent.name"
REQUEST_MODEL, RESPONSE_MODEL = "gen_ai.request.model", "gen_ai.response.model"
MAX_TOKENS, TEMPERATURE, SEED = "gen_ai.request.max_tokens", "gen_ai.request.temperature", "gen_ai.request.seed"
INPUT_TOKENS, OUTPUT_TOKENS = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
FINISH_REASONS = "gen_ai.response.finish_reasons"
DATA_SOURCE = "gen_ai.data_source.id"
TOOL_NAME = "gen_ai.tool.name"
OPERATIONS: Mapping[str, tuple[str, OpenInferenceSpanKindValues]] = {
    "chat": ("chat", OpenInferenceSpanKindValues.LLM),
    "embed": ("embeddings", OpenInferenceSpanKindValues.EMBEDDING),
    "search": ("retrieval", OpenInferenceSpanKindValues.RETRIEVER),
    "tool": ("execute_tool", OpenInferenceSpanKindValues.TOOL),
}
"""By the kind of a call, the operation and the kind of its span; clock and random have none."""
MOST = 20
"""Messages, texts and passages of one call that have attributes of their own; a span holds 128 in all."""
_JSON = "application/json"
_PROVIDERS = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "openai-compatible": "openai",
    "vertex_ai": "gcp.vertex_ai",
    "xai": "x_ai",
}


def model_of(target: str) -> tuple[str, str]:
    """Provider and model, as gen_ai names them, of the name of a model here.

    >>> model_of("openai-compatible/gpt-4o@api.openai.com")
    ('openai', 'gpt-4o')
    >>> model_of("litellm/anthropic/claude-sonnet-4-5")
    ('anthropic', 'claude-sonnet-4-5')
    """
    provider, _, model = target.removeprefix("litellm/").partition("/")
    if not model:
        return "", target
    if provider == "openai-compatible":
        model = model.rpartition("@")[0] or model
    return _PROVIDERS.get(provider, provider), model


def asked(call: OutwardCall, content: bool) -> Attributes:
    """What is known when a call begins."""
    operation, kind = OPERATIONS[call.kind]
    told = {KIND: kind.value, OPERATION: operation, "agentrag.target": call.target, "agentrag.step": call.step}
    return told | _ASKED[call.kind](call, content)


def answered(call: OutwardCall, recorded: Recorded[Any], content: bool) -> Attributes:
    """What is known when it has ended well."""
    return {"agentrag.reused": recorded.reused} | _ANSWERED[call.kind](recorded, content)


def texts(value: str, name: str) -> Attributes:
    """A text as `input` or `output` of a span."""
    return {f"{name}.value": value}


def data(value: Any, name: str) -> Attributes:
    """JSON data as `input` or `output` of a span; it is written as JSON once it is redacted."""
    return {f"{name}.value": plain(value), f"{name}.mime_type": _JSON}


def plain(value: Any) -> Any:
    """Any value as JSON data, as well as it can be."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _asked_chat(call: OutwardCall, content: bool) -> Attributes:
    provider, model = model_of(call.target)
    request = call.request
    limits = {"max_tokens": request.get("max_tokens"), "temperature": request.get("temperature")}
    told = {
        PROVIDER: provider,
        REQUEST_MODEL: model,
        MAX_TOKENS: limits["max_tokens"],
        TEMPERATURE: limits["temperature"],
        SEED: request.get("seed"),
        SpanAttributes.LLM_MODEL_NAME: model,
        SpanAttributes.LLM_PROVIDER: provider,
        SpanAttributes.LLM_INVOCATION_PARAMETERS: json.dumps(limits),
    }
    if not content:
        return told
    for index, turn in enumerate(request["messages"][-MOST:]):
        told |= _message(f"{SpanAttributes.LLM_INPUT_MESSAGES}.{index}", turn["role"], turn["content"])
    return told | data(request["messages"], "input")


def _answered_chat(recorded: Recorded[Any], content: bool) -> Attributes:
    completion = recorded.value
    if not isinstance(completion, Completion):
        return {}
    told: Attributes = {RESPONSE_MODEL: completion.model, FINISH_REASONS: [completion.finish]}
    if not recorded.reused:  # else they were paid before, and who adds them up would count them twice
        usage = completion.usage
        told |= {
            INPUT_TOKENS: usage.prompt_tokens,
            OUTPUT_TOKENS: usage.completion_tokens,
            CACHED_TOKENS: usage.cached_tokens,
            SpanAttributes.LLM_TOKEN_COUNT_PROMPT: usage.prompt_tokens,
            SpanAttributes.LLM_TOKEN_COUNT_COMPLETION: usage.completion_tokens,
            SpanAttributes.LLM_TOKEN_COUNT_TOTAL: usage.prompt_tokens + usage.completion_tokens,
            SpanAttributes.LLM_TOKEN_COUNT_PROMPT_DETAILS_CACHE_READ: usage.cached_tokens,
            SpanAttributes.LLM_COST_TOTAL: usage.usd,
        }
    if content:
        told |= _message(f"{SpanAttributes.LLM_OUTPUT_MESSAGES}.0", "assistant", completion.text)
        told |= texts(completion.text, "output")
    return told


def _message(prefix: str, role: str, content: str) -> Attributes:
    return {f"{prefix}.{MessageAttributes.MESSAGE_ROLE}": role, f"{prefix}.{MessageAttributes.MESSAGE_CONTENT}": content}


def _asked_search(call: OutwardCall, content: bool) -> Attributes:
    told: Attributes = {DATA_SOURCE: call.target.partition("@")[0]}
    told |= {f"agentrag.search.{name}": call.request.get(name) for name in ("k", "mode")}
    return told | (texts(call.request["query"], "input") if content else {})


def _answered_search(recorded: Recorded[Any], content: bool) -> Attributes:
    passages: list[Passage] = recorded.value
    told: Attributes = {"agentrag.passages": len(passages)}
    for index, passage in enumerate(passages[:MOST] if content else []):
        prefix = f"{SpanAttributes.RETRIEVAL_DOCUMENTS}.{index}."
        told[prefix + DocumentAttributes.DOCUMENT_ID] = passage.id
        told[prefix + DocumentAttributes.DOCUMENT_CONTENT] = passage.text
        told[prefix + DocumentAttributes.DOCUMENT_SCORE] = passage.score
        told[prefix + DocumentAttributes.DOCUMENT_METADATA] = plain({"source": passage.source, **passage.metadata})
    return told


def _asked_embed(call: OutwardCall, content: bool) -> Attributes:
    given = call.request.get("texts", [])
    told = {SpanAttributes.EMBEDDING_MODEL_NAME: call.target, REQUEST_MODEL: call.target, "agentrag.texts": len(given)}
    for index, text in enumerate(given[:MOST] if content else []):
        told[f"{SpanAttributes.EMBEDDING_EMBEDDINGS}.{index}.{EmbeddingAttributes.EMBEDDING_TEXT}"] = text
    return told


def _asked_tool(call: OutwardCall, content: bool) -> Attributes:
    told = {TOOL_NAME: call.target, SpanAttributes.TOOL_NAME: call.target, "agentrag.effect": call.effect}
    return told | (data(call.request, "input") if content else {})


def _answered_tool(recorded: Recorded[Any], content: bool) -> Attributes:
    return data(recorded.value, "output") if content else {}


_ASKED = {"chat": _asked_chat, "search": _asked_search, "embed": _asked_embed, "tool": _asked_tool}
_ANSWERED = {
    "chat": _answered_chat,
    "search": _answered_search,
    "embed": lambda recorded, content: {},
    "tool": _answered_tool,
}
