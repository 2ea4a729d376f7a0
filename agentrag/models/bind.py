"""Bindings to chat models: the one place that knows which client serves which provider."""

from __future__ import annotations

import logging
import os
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

from agentrag.core.errors import SettingsError
from agentrag.core.ports import ChatModel
from agentrag.core.settings import FILE, LiteLLM, LlamaCpp, OpenAICompatible, Settings
from agentrag.models.catalogue import CATALOGUE, identity, model_files
from agentrag.models.http import HttpPool
from agentrag.models.llamacpp import LlamaCppModel
from agentrag.models.local_server import LocalServer
from agentrag.models.openai import Endpoint, OpenAIModel

_log = logging.getLogger("agentrag.models")


class Models:
    """All chat models of a run: one per binding, one server per local base, one pool of connections.

    It belongs to one event loop. Use it as an asynchronous context manager, or call `aclose`.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pool = HttpPool()
        self._models: dict[str, ChatModel] = {}
        self._servers: dict[Path, LocalServer] = {}

    def get(self, binding: str) -> ChatModel:
        """The chat model of a binding's name; the same object at every call. Starts nothing yet.

        Raises:
            SettingsError: No binding has this name, or the variable that should hold its key is empty.
            NotPulledError: Its local model is not on this machine.
            CatalogueError: Its local model is unknown or damaged.
        """
        if binding not in self._models:
            self._models[binding] = self._open(binding)
        return self._models[binding]

    def _open(self, name: str) -> ChatModel:
        binding = self._settings.binding(name)
        if isinstance(binding, LlamaCpp):
            return self._local(binding)
        if isinstance(binding, OpenAICompatible):
            return self._remote(name, binding)
        return _litellm(binding)

    def _local(self, binding: LlamaCpp) -> ChatModel:
        cache = self._settings.cache
        weights = model_files(binding.model, cache)["weights"]
        entry = CATALOGUE.get(binding.model)
        if entry and entry.notice and weights not in self._servers:
            _log.warning("%s: %s", entry.name, entry.notice)
        if weights not in self._servers:
            self._servers[weights] = LocalServer(binding.model, weights, self._settings.runtime, cache / "logs")
        return LlamaCppModel(f"llamacpp/{identity(weights)}", self._servers[weights], self._pool)

    def _remote(self, name: str, binding: OpenAICompatible) -> ChatModel:
        endpoint = Endpoint(
            url=binding.url,
            model=binding.model,
            key=_key(name, binding),
            timeout=binding.timeout,
            price_in=binding.price_in,
            price_out=binding.price_out,
        )
        return OpenAIModel(f"openai-compatible/{binding.model}@{urlsplit(binding.url).hostname}", endpoint, self._pool)

    async def aclose(self) -> None:
        """Close every model, which ends the local servers. Calling it twice is allowed."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._pool.aclose)
            for model in self._models.values():
                stack.push_async_callback(model.aclose)

    async def __aenter__(self) -> Models:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _key(name: str, binding: OpenAICompatible) -> str:
    if binding.api_key is not None:
        key, where = binding.api_key.get_secret_value().strip(), "api_key"
    elif binding.api_key_env is not None:
        key, where = os.environ.get(binding.api_key_env, "").strip(), binding.api_key_env
    else:
        return ""
    if not key:
        raise SettingsError(f"Binding '{name}' takes its key from {where}, which is not set. Set it, or change {FILE}.")
    if not (key.isascii() and key.isprintable()):
        raise SettingsError(f"Binding '{name}' takes its key from {where}, which holds characters that no key has.")
    return key


def _litellm(binding: LiteLLM) -> ChatModel:
    from agentrag.models.litellm import LiteLLMModel  # lazy: seconds, and only its users have it

    return LiteLLMModel(binding.model, binding.timeout)
