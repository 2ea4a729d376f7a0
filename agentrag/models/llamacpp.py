"""A local model as a chat model: its requests go to the child process that serves its weights."""

from __future__ import annotations

from agentrag.core.errors import ModelError
from agentrag.core.ports import OnText
from agentrag.core.types import ChatRequest, Completion
from agentrag.models.http import HttpPool
from agentrag.models.local_server import Address, LocalServer
from agentrag.models.openai import Endpoint, OpenAIModel

_IDLE = 600.0  # seconds: a long prompt on a slow processor sends nothing for minutes; a dead server is noticed at once


class LlamaCppModel:
    """A chat model served by a `LocalServer`, which it starts at its first call and which may serve others too.

    A server that dies is started again, and the call repeated once, unless a part of the answer was already streamed.
    """

    def __init__(self, name: str, server: LocalServer, pool: HttpPool) -> None:
        self.name = name
        self.server, self._pool = server, pool
        self._client: tuple[Address, OpenAIModel] | None = None
        self._uses = False

    async def complete(self, request: ChatRequest, on_text: OnText | None = None) -> Completion:
        """Answer `request`. Cost: processor time; the first call also loads the model (seconds).

        Raises:
            ModelError: The server did not start, died twice or in the middle of a streamed answer, or refused the request.
        """
        begun = False

        def tell(text: str) -> None:
            nonlocal begun
            begun = True
            if on_text:
                on_text(text)

        self._hold()
        async with self.server.free:
            for last in (False, True):
                client = await self._current()
                try:
                    return await client.complete(request, tell if on_text else None)
                except ModelError as error:
                    if not await self.server.has_died(within=1.0 if error.retryable else 0.0):
                        raise
                    if begun or last:
                        raise self._died("in the middle of its answer" if begun else "again") from error
        raise AssertionError("unreachable: the second round returns or raises")

    async def aclose(self) -> None:
        """Let go of the server; the last model that does so ends it."""
        if not self._uses:
            return
        self._uses = False
        self.server.users -= 1
        if self.server.users == 0:
            self.server.stop()

    def _hold(self) -> None:
        if not self._uses:
            self._uses = True
            self.server.users += 1

    async def _current(self) -> OpenAIModel:
        address = await self.server.address()
        if self._client is None or self._client[0] is not address:
            endpoint = Endpoint(
                url=address.url,
                model=self.server.name,
                key=address.key,
                timeout=_IDLE,
                attempts=1,
                keep_alive=False,  # it closes the connection after each stream, which a next request would run into
                extra={"cache_prompt": True},
            )
            self._client = address, OpenAIModel(self.name, endpoint, self._pool)
        return self._client[1]

    def _died(self, when: str) -> ModelError:
        return ModelError(
            f"The server of model '{self.server.name}' died {when}; the next call starts it again ({self.server.last_words()})",
            retryable=True,
        )
