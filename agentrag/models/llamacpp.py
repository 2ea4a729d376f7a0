"""A local model as a chat model: its requests go to the child process that serves its weights."""

from __future__ import annotations

from dataclasses import replace

from agentrag.core.bindings import LOCAL_TOTAL_TIMEOUT
from agentrag.core.errors import ModelError
from agentrag.core.exchange import may_exchange
from agentrag.core.ports import OnText
from agentrag.core.types import ChatRequest, Completion, Usage
from agentrag.models.breaker import Breaker
from agentrag.models.cost import add_cost, after, cost_of
from agentrag.models.delivery import Delivery
from agentrag.models.http import HttpPool
from agentrag.models.local_server import Address, LocalServer
from agentrag.models.openai import Endpoint, OpenAIModel


class LlamaCppModel:
    """A chat model served by a `LocalServer`, which it starts at its first call and which may serve others too.

    A server that dies is started again, and the call repeated once, unless a part of the answer was already streamed or the
    budget has no room for it.

    Args:
        name: Its identity in journals and tables.
        server: What serves it.
        pool: Connections to share.
        breaker: That of the server, shared by all models on it.
        total_timeout: Seconds that one exchange may take in all; it may be silent as long, for a long prompt on a slow
            processor takes minutes, and a dead server is noticed at once.
    """

    def __init__(
        self,
        name: str,
        server: LocalServer,
        pool: HttpPool,
        breaker: Breaker | None = None,
        total_timeout: float = LOCAL_TOTAL_TIMEOUT,
    ) -> None:
        self.name = name
        self.server, self._pool = server, pool
        self._breaker, self._total = breaker or Breaker(f"Model '{server.name}'"), total_timeout
        self._client: tuple[Address, OpenAIModel] | None = None
        self._uses = False

    async def complete(self, request: ChatRequest, on_text: OnText | None = None) -> Completion:
        """Answer `request`. Cost: processor time; the first call also loads the model (seconds).

        Raises:
            ModelError: The server did not start, died twice or in the middle of a streamed answer, or refused the request; or
                too many calls wait for it.
        """
        self._hold()
        with after(Usage()):  # what fails before it is asked has cost nothing
            self._breaker.refuse()
            async with self.server.turn():
                with self._breaker.call():
                    return await self._twice(request, Delivery(on_text) if on_text else None)

    async def _twice(self, request: ChatRequest, delivery: Delivery | None) -> Completion:
        """Ask, and ask once more where the server dies before its first word."""
        spent = Usage()
        for last in (False, True):
            with after(spent):
                client = await self._current()
            try:
                completion = await client.complete(request, delivery)
                return replace(completion, usage=spent + completion.usage)
            except ModelError as error:
                if not await self.server.has_died(within=1.0 if error.retryable else 0.0):
                    add_cost(error, spent)
                    raise
                spent += cost_of(error)
                begun = delivery is not None and delivery.begun
                if last or begun or not may_exchange(request):
                    with after(spent):
                        raise self._died(
                            "in the middle of its answer" if begun else "again" if last else "before its answer"
                        ) from error
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

    async def start(self) -> None:
        """Start the server, where it does not run yet; see `agentrag.core.ports.Startable`."""
        self._hold()
        await self.server.address()

    async def _current(self) -> OpenAIModel:
        address = await self.server.address()
        if self._client is None or self._client[0] is not address:
            endpoint = Endpoint(
                url=address.url,
                model=self.server.name,
                key=address.key,
                timeout=self._total,
                total_timeout=self._total,
                attempts=1,
                keep_alive=False,  # it closes the connection after each stream, which a next request would run into
                extra={"cache_prompt": True},
            )
            self._client = address, OpenAIModel(self.name, endpoint, self._pool)
        return self._client[1]

    def _died(self, when: str) -> ModelError:
        how = f"died {when}; the next call starts it again ({self.server.last_words()})"
        return ModelError(f"The server of model '{self.server.name}' {how}", retryable=True)
