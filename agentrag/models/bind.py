"""Bindings to chat models: the one place that knows which client serves which provider."""

from __future__ import annotations

import logging
import os
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

from agentrag.core.bindings import LiteLLM, LlamaCpp, OneBinding, OpenAICompatible
from agentrag.core.errors import SettingsError
from agentrag.core.ports import ChatModel
from agentrag.core.settings import FILE, Settings
from agentrag.models.breaker import Breaker
from agentrag.models.catalogue import CATALOGUE, identity, model_files
from agentrag.models.fallback import FallbackModel
from agentrag.models.http import HttpPool
from agentrag.models.llamacpp import LlamaCppModel
from agentrag.models.local_server import LocalServer
from agentrag.models.openai import Endpoint, OpenAIModel
from agentrag.models.retry import Retries

_log = logging.getLogger("agentrag.models")


class Models:
    """All chat models of a run: one per binding, one server per local base, one breaker per endpoint, one pool of connections.

    It belongs to one event loop. Use it as an asynchronous context manager, or call `aclose`.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pool = HttpPool()
        self._models: dict[str, ChatModel] = {}
        self._servers: dict[Path, LocalServer] = {}
        self._breakers: dict[str, Breaker] = {}

    def get(self, binding: str) -> ChatModel:
        """The chat model of a binding's name, or of a chain "remote,local"; the same object at every call. Starts nothing yet.

        Raises:
            SettingsError: No binding has this name, or the variable that should hold its key is empty.
            NotPulledError: Its local model is not on this machine.
            CatalogueError: Its local model is unknown or damaged.
        """
        chain = self._settings.chain(binding)
        key = ",".join(chain)
        if key not in self._models:
            members = [self._member(name, member) for name, member in chain.items()]
            self._models[key] = members[0] if len(members) == 1 else FallbackModel(members)
        return self._models[key]

    def _member(self, name: str, binding: OneBinding) -> ChatModel:
        if name not in self._models:
            self._models[name] = self._open(name, binding)
        return self._models[name]

    def _open(self, name: str, binding: OneBinding) -> ChatModel:
        if isinstance(binding, LlamaCpp):
            return self._local(binding)
        if isinstance(binding, OpenAICompatible):
            return self._remote(name, binding)
        return self._litellm(binding)

    def _breaker(self, endpoint: str) -> Breaker:
        if endpoint not in self._breakers:
            limits = self._settings.breaker
            self._breakers[endpoint] = Breaker(endpoint, limits.faults, limits.seconds)
        return self._breakers[endpoint]

    def _local(self, binding: LlamaCpp) -> ChatModel:
        cache = self._settings.cache
        weights = model_files(binding.model, cache)["weights"]
        entry = CATALOGUE.get(binding.model)
        if entry and entry.notice and weights not in self._servers:
            _log.warning("%s: %s", entry.name, entry.notice)
        if weights not in self._servers:
            self._servers[weights] = LocalServer(binding.model, weights, self._settings.runtime, cache / "logs")
        breaker = self._breaker(f"The local server of {weights}")
        name = f"llamacpp/{identity(weights)}"
        return LlamaCppModel(name, self._servers[weights], self._pool, breaker, binding.total_timeout)

    def _remote(self, name: str, binding: OpenAICompatible) -> ChatModel:
        endpoint = Endpoint(
            url=binding.url,
            model=binding.model,
            key=_key(name, binding),
            timeout=binding.timeout,
            total_timeout=binding.total_timeout,
            price_in=binding.price_in,
            price_out=binding.price_out,
        )
        breaker = self._breaker(_server(binding.url))
        return OpenAIModel(self._name(binding), endpoint, self._pool, breaker)

    def _name(self, binding: OpenAICompatible) -> str:
        """By model and host, so that answers outlive a move to another port; by its whole place where another has both too."""
        host = urlsplit(binding.url).hostname
        places = {
            _place(other.url)
            for other in self._settings.models.values()
            if isinstance(other, OpenAICompatible) and (other.model, urlsplit(other.url).hostname) == (binding.model, host)
        }
        where = host if places <= {_place(binding.url)} else _place(binding.url)
        return f"openai-compatible/{binding.model}@{where}"

    def _litellm(self, binding: LiteLLM) -> ChatModel:
        from agentrag.models.litellm import LiteLLMModel  # lazy: seconds, and only its users have it

        breaker = self._breaker(f"{binding.model.partition('/')[0]} (through litellm)")
        return LiteLLMModel(binding.model, binding.timeout, binding.total_timeout, Retries(breaker=breaker))

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


def _place(url: str) -> str:
    """Host, port and path; never what stands before the host or behind the path, where keys may be."""
    return _server(url) + urlsplit(url).path.rstrip("/").replace("@", "%40")


def _server(url: str) -> str:
    """Host and port, the port also where the address leaves it out."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or {'http': 80, 'https': 443}[parts.scheme]}"
