"""Tenants: whose collections, caches, runs and budgets are whose. What a name may be, and what settings say of its bearer."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from agentrag.core.budget import Limits
from agentrag.core.errors import AgentRagError
from agentrag.core.located import SAID

EVERY = "*"
"""Stands for every tenant; no tenant can have this name."""
Per = Literal["hour", "day", "month", "ever"]
_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_SHOWN = 80


class TenantError(AgentRagError):
    """A text cannot be the name of a tenant."""

    def __init__(self, tenant: object) -> None:
        self.tenant = tenant
        rule = "1 to 64 of the letters a-z, the digits, '-' and '_'"
        super().__init__(f"{ascii(tenant)[:_SHOWN]} cannot be the name of a tenant: it takes {rule}.")


def checked_tenant(name: str) -> str:
    """The name as it is given, where it may be one; "" stands for no tenant.

    A name is part of paths and keys, so it is never mended: two spellings would be one tenant.

    Raises:
        TenantError: It may not.

    >>> checked_tenant("acme-2")
    'acme-2'
    """
    if not isinstance(name, str) or (name and not _NAME.fullmatch(name)):
        raise TenantError(name)
    return name


def _named(name: str) -> str:
    try:
        return checked_tenant(name)
    except TenantError as error:
        raise PydanticCustomError(SAID, "{text}", {"text": str(error)}) from None


def _listed(name: str) -> str:
    return name if name == EVERY else _named(name)


TenantName = Annotated[str, AfterValidator(_named)]
ListedTenant = Annotated[str, AfterValidator(_listed)]
"""A tenant's name as a key of settings, or `EVERY`."""


class TenantBudget(Limits):
    """The most that all runs of a tenant may spend together in an hour, a day or a month of UTC, or ever."""

    per: Per = Field(description="when it begins anew")


class Tenant(BaseModel):
    """What settings say of a tenant."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    budget: TenantBudget | None = Field(None, description="the most that its runs may spend together")
