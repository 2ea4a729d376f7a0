"""Tenants whose back ends look alike from outside: equal names, versions and questions; only what they answer differs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from agentrag.core.account import Account
from agentrag.core.budget import ENDLESS
from agentrag.core.calls import new_run_id
from agentrag.core.deps import Deps
from agentrag.core.errors import BudgetError
from agentrag.core.ports import Journal, RunRecord, Vectors
from agentrag.core.prompts import Prompts
from agentrag.core.settings import Settings
from agentrag.core.types import ChatRequest, Message, Passage, SearchRequest
from agentrag.journal.purse import FILE, TenantPurse
from agentrag.retrieval.vector_cache import CachedEmbedder, VectorCache
from agentrag.testing.fakes import ScriptedModel, WordEmbedder

TEXT: TypeAdapter[str] = TypeAdapter(str)


def mark(tenant: str) -> str:
    """What stands in every answer to a tenant and in nothing else."""
    return f"[for {tenant or 'nobody'}]"


class CountingEmbedder(WordEmbedder):
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self.asked.extend(texts)
        return await super().embed(texts)


@dataclass
class Back:
    """What answers one tenant. Every answer says whose it is, and whom it was given to first.

    Attributes:
        asked: Everything that was really asked, by kind.
        pause: How often each answer lets others go first.
    """

    tenant: str
    name: str = "docs"
    version: str = "1"
    asked: list[str] = field(default_factory=list)
    pause: int = 0

    async def search(self, request: SearchRequest) -> list[Passage]:
        """One passage."""
        text = await self.answer("search", request.query)
        return [Passage(id="1", text=text, source="1", start=0, end=len(text))]

    async def answer(self, kind: str, question: str) -> str:
        """What this tenant alone is told."""
        self.asked.append(kind)
        for _ in range(self.pause):
            await asyncio.sleep(0)
        return f"{mark(self.tenant)} {question}"

    def model(self) -> ScriptedModel:
        """A model of the same name for all."""
        return ScriptedModel(self._reply)

    def _reply(self, request: ChatRequest) -> str:
        self.asked.append("chat")
        return f"{mark(self.tenant)} {request.messages[0].content}"


@dataclass
class Place:
    """Tenants around one journal.

    Attributes:
        told: What each tenant was told, in order, by tenant.
        runs: Ids of the runs of each tenant, in order.
    """

    settings: Settings
    journal: Journal
    backs: dict[str, Back]
    embedders: dict[str, CountingEmbedder]
    purses: dict[str, TenantPurse]
    told: dict[str, list[str]]
    runs: dict[str, list[str]]

    def deps(self, tenant: str) -> Deps:
        """Back ends of a tenant, with its cache and its purse."""
        own, back = self.settings.of_tenant(tenant), self.backs[tenant]
        embedder = CachedEmbedder(self.embedders[tenant], VectorCache(own.own(own.cache) / "vectors.sqlite"))
        purse = self.purses[tenant]
        account = Account(ENDLESS, purse=purse)
        models = {"writer": back.model()}
        deps = Deps(models, {"docs": back}, Prompts(), self.journal, embedder, tenant=tenant, purse=purse, account=account)
        return deps.but(run=new_run_id())

    async def run(self, tenant: str, question: str, kinds: Sequence[str], pause: int = 0) -> None:
        """Make a run of one step that asks the same of several kinds of back ends."""
        deps = self.deps(tenant)
        self.backs[tenant].pause = pause
        self.journal.begin(RunRecord(deps.run, "g", tenant=tenant))
        self.runs[tenant].append(deps.run)
        at = deps.at("flow.0:a", "a")
        try:
            for kind in kinds:
                self.told[tenant].append(await self._asked(at, kind, question))
            self.journal.end(deps.run, "finished")
        except BudgetError as error:
            self.journal.end(deps.run, "failed", error=error.reason)

    async def _asked(self, deps: Deps, kind: str, question: str) -> str:
        if kind == "chat":
            return (await deps.chat("writer", ChatRequest((Message("user", question),), max_tokens=9))).text
        if kind == "search":
            return (await deps.search("docs", SearchRequest(question, k=1)))[0].text
        if kind == "embed":
            await deps.embed([question])
            return mark(deps.tenant)

        async def work(_: str) -> str:
            return await self.backs[deps.tenant].answer("tool", question)

        return await deps.tool("service", {"text": question}, work, TEXT, "none")


@asynccontextmanager
async def tenants_in(folder: Path, tenants: Sequence[str], journal: Journal) -> AsyncIterator[Place]:
    """Tenants whose budgets are those of the settings that are written here: 12 calls a day each."""
    budgets = {tenant: {"budget": {"calls": 12, "per": "ever"}} for tenant in tenants}
    settings = Settings.model_validate({"home": folder / "home", "cache": folder / "cache", "tenants": budgets})
    purses = {}
    for tenant in tenants:
        budget = settings.of_tenant(tenant).budget
        assert budget is not None
        purses[tenant] = TenantPurse(settings.home / FILE, tenant, budget)
    place = Place(
        settings,
        journal,
        {tenant: Back(tenant) for tenant in tenants},
        {tenant: CountingEmbedder() for tenant in tenants},
        purses,
        {tenant: [] for tenant in tenants},
        {tenant: [] for tenant in tenants},
    )
    with closing(journal):
        yield place
    for purse in purses.values():
        purse.close()
