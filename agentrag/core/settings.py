"""Settings: `agentrag.yaml` and AGENTRAG_* variables. A variable beats the file; code beats both."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path, user_data_path
from pydantic import (
    BaseModel,
    Field,
    ValidationError,
    field_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError

from agentrag.core.bindings import Binding, LiteLLM, LlamaCpp, OneBinding, OpenAICompatible, Section
from agentrag.core.errors import SettingsError, SpecError, unknown
from agentrag.core.located import SAID, Nowhere, load_yaml, validation_problems
from agentrag.core.observing import Log, Pattern, Telemetry
from agentrag.core.tenant import EVERY, ListedTenant, Tenant, TenantBudget, TenantName, checked_tenant

FILE = "agentrag.yaml"
DEFAULT_MODEL = "qwen2.5-coder-1.5b-instruct"
DEFAULT_EMBEDDER = "all-minilm-l6-v2"
_PREFIX = "AGENTRAG_"
_HIDDEN = frozenset({"api_key", "api_key_env", "url"})
"""What may hold a secret and is not shown; an address may have a password or a key in it."""


class Runtime(Section):
    """How local models run."""

    threads: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, description="threads per model server")
    parallel: int = Field(2, ge=1, le=64, description="requests that one model server works on at once")
    context: int = Field(4096, ge=256, description="tokens of context per parallel request")
    start_timeout: float = Field(120.0, gt=0, description="seconds that a model server may take to load")
    waiting: int = Field(1000, ge=0, description="most requests that wait for one model server; further ones fail at once")


class Circuit(Section):
    """When a model's endpoint that keeps failing is left alone."""

    faults: int = Field(5, ge=1, description="faults in a row after which an endpoint is left alone")
    seconds: float = Field(
        30.0, gt=0, allow_inf_nan=False, description="how long, unless its Retry-After says so; then one call tries it"
    )


class Chunking(Section):
    """How documents are cut into passages."""

    tokens: int = Field(160, ge=16, le=256, description="most tokens of one passage, in the embedder's tokens")


_SECTIONS: Mapping[str, type[BaseModel]] = {
    "chunk": Chunking,
    "runtime": Runtime,
    "breaker": Circuit,
    "log": Log,
    "telemetry": Telemetry,
}
_ALWAYS = frozenset({"default", "local"})


def _not_in_a_chain(name: str, known: Iterable[str], models: Mapping[str, Any]) -> PydanticCustomError:
    what = f"'{name}' is a chain itself; name its members" if name in models else unknown("binding", name, known)
    return PydanticCustomError(SAID, "{text}", {"text": what})


class Settings(BaseSettings):
    """All settings. Unknown keys are errors."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)

    home: Path = Field(default_factory=lambda: user_data_path("agentrag"), description="holds collections and the journal")
    cache: Path = Field(default_factory=lambda: user_cache_path("agentrag"), description="holds model files and vectors")
    models: dict[str, Binding] = Field(default_factory=dict, description="bindings by name; `default` and `local` always exist")
    embedder: str = Field(DEFAULT_EMBEDDER, description="name of the embedding model")
    chunk: Chunking = Field(default_factory=Chunking)
    runtime: Runtime = Field(default_factory=Runtime)
    breaker: Circuit = Field(default_factory=Circuit)
    redact: tuple[Pattern, ...] = Field(
        (), description="what to blank in exports, logs and spans besides credentials: regular expressions of RE2"
    )
    log: Log = Field(default_factory=Log)
    telemetry: Telemetry = Field(default_factory=Telemetry)
    tenant: TenantName = Field("", description="whose collections, caches and runs are used; those of no tenant where empty")
    tenants: dict[ListedTenant, Tenant] = Field(default_factory=dict, description="budgets by tenant; `*`: of all not named")

    @field_validator("models")
    @classmethod
    def _chains_of_bindings(cls, models: dict[str, Any]) -> dict[str, Any]:
        """See that the names in chains are those of bindings; a chain holds no other, so none can hold itself."""
        known = {name for name, binding in models.items() if not isinstance(binding, tuple)} | _ALWAYS - models.keys()
        wrong = [
            InitErrorDetails(type=_not_in_a_chain(member, known, models), loc=(name, index), input=member)
            for name, binding in models.items()
            for index, member in enumerate(binding if isinstance(binding, tuple) else ())
            if member not in known
        ]
        if wrong:
            raise ValidationError.from_exception_data("models", wrong)
        return models

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment beats what the file (passed as arguments) says."""
        return env_settings, init_settings

    def of_tenant(self, tenant: str) -> Settings:
        """The same settings for another tenant, "" for none; a TenantError where it cannot be the name of one."""
        return self.model_copy(update={"tenant": checked_tenant(tenant)})

    def own(self, folder: Path) -> Path:
        """Where things of `tenant` are in `home` or `cache`: apart from those of others, and from those of no tenant."""
        return folder / "tenants" / checked_tenant(self.tenant) if self.tenant else folder

    @property
    def budget(self) -> TenantBudget | None:
        """The most that all runs of `tenant` may spend together."""
        found = self.tenants.get(self.tenant, self.tenants.get(EVERY))
        return None if found is None else found.budget

    def binding(self, name: str) -> Binding:
        """The binding of a name; of a chain, the names in it.

        Raises:
            SettingsError: No binding has this name.
        """
        table: dict[str, Binding] = {**dict.fromkeys(_ALWAYS, LlamaCpp(model=DEFAULT_MODEL)), **self.models}
        if name not in table:
            raise SettingsError(unknown("binding", name, table) + f" Bindings are named under `models:` in {FILE}.")
        return table[name]

    def chain(self, names: str) -> dict[str, OneBinding]:
        """The bindings that "remote,local" or one name stands for, by name and in order, those of chains in their place.

        Raises:
            SettingsError: No binding has one of the names.
        """
        found: dict[str, OneBinding] = {}
        for name in (part.strip() for part in names.split(",")):
            binding = self.binding(name)
            members = binding if isinstance(binding, tuple) else (name,)
            for member in members:
                single = self.binding(member)
                if not isinstance(single, tuple):
                    found.setdefault(member, single)
        return found


def load_settings(path: Path | None = None) -> Settings:
    """Read settings from `path`, or AGENTRAG_CONFIG, or ./agentrag.yaml where it exists, then the environment.

    Raises:
        SettingsError: The file or a variable is wrong; the text says where and what would be right.
    """
    given = path or (Path(os.environ["AGENTRAG_CONFIG"]) if os.environ.get("AGENTRAG_CONFIG") else None)
    file = given or Path(FILE)
    if not file.is_file():
        if given:
            raise SettingsError(f"Settings file {given} does not exist.")
        return _validated({}, None)
    try:
        located = load_yaml(file.read_text(encoding="utf-8"), str(file))
    except SpecError as error:
        raise SettingsError(str(error)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"Settings file {file} cannot be read: {error}") from error
    data = located.data if located.data is not None else {}
    if not isinstance(data, dict):
        raise SettingsError(f"{file}:1:1 should hold `key: value` lines.")
    return _validated(data, located)


def _validated(data: dict[str, Any], located: Any) -> Settings:
    try:
        return Settings(**data)
    except SourceError as error:
        raise SettingsError(f"{_PREFIX}* variables: {error}; lists and tables are written there as JSON.") from None
    except ValidationError as error:
        at = located or Nowhere("settings", None, None)
        problems = validation_problems(error, at, known=_known_keys, hidden=_HIDDEN)
        for item, problem in zip(error.errors(include_url=False), problems, strict=True):
            if variable := _variable(item):
                raise SettingsError(f"{variable}: {problem.message}") from None
        raise SettingsError(str(SpecError(problems))) from None


def _known_keys(path: Sequence[str | int]) -> list[str]:
    """Keys of the mapping at `path`; for a binding those of all providers."""
    if not path:
        return list(Settings.model_fields)
    if path[0] == "models":
        return sorted({name for kind in (LlamaCpp, OpenAICompatible, LiteLLM) for name in kind.model_fields})
    if path[0] == "tenants":
        return sorted((TenantBudget if "budget" in path[2:] else Tenant).model_fields)
    return sorted(_SECTIONS[str(path[0])].model_fields)


def _names(item: ErrorDetails) -> list[str]:
    return [str(part) for part in item["loc"] if not str(part).startswith("<")]


def _variable(item: ErrorDetails) -> str | None:
    """The variable that a value came from, where it was one."""
    names = _names(item)
    candidates = (_PREFIX + "__".join(names[:length]).upper() for length in range(len(names), 0, -1))
    return next((name for name in candidates if name in {key.upper() for key in os.environ}), None)
