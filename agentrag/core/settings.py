"""Settings: `agentrag.yaml` and AGENTRAG_* variables. A variable beats the file; code beats both."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from platformdirs import user_cache_path, user_data_path
from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, SecretStr, Tag, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError

from agentrag.core.errors import SettingsError, SpecError, unknown
from agentrag.core.located import SAID, Nowhere, load_yaml, validation_problems

FILE = "agentrag.yaml"
DEFAULT_MODEL = "qwen2.5-coder-1.5b-instruct"
DEFAULT_EMBEDDER = "all-minilm-l6-v2"
_PREFIX = "AGENTRAG_"
_HIDDEN = frozenset({"api_key"})


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LlamaCpp(_Section):
    """A local GGUF model, run by a child process of ours."""

    provider: Literal["llamacpp"] = "llamacpp"
    model: str = Field(description="a name of `agentrag models list`, or the path of a GGUF file")


class OpenAICompatible(_Section):
    """Any server that speaks the OpenAI chat protocol."""

    provider: Literal["openai-compatible"]
    url: str = Field(description="base address, up to and without /chat/completions", pattern=r"^https?://")
    model: str
    api_key: SecretStr | None = Field(None, description="better given as api_key_env")
    api_key_env: str | None = Field(None, description="environment variable that holds the key")
    timeout: float = Field(120.0, gt=0, description="seconds without any byte before a call is given up")
    price_in: float = Field(0.0, ge=0, description="USD per million prompt tokens")
    price_out: float = Field(0.0, ge=0, description="USD per million generated tokens")


class LiteLLM(_Section):
    """Any of litellm's providers; keys are read from their usual environment variables."""

    provider: Literal["litellm"]
    model: str = Field(description='litellm\'s name, e.g. "anthropic/claude-sonnet-4-5"')
    timeout: float = Field(120.0, gt=0, description="seconds before a call is given up")


PROVIDERS = ("llamacpp", "openai-compatible", "litellm")


def _known_provider(value: Any) -> Any:
    if isinstance(value, Mapping) and (given := value.get("provider")) not in PROVIDERS:
        missing = f"'provider' is missing; it is one of {', '.join(PROVIDERS)}"
        what = unknown("provider", str(given), PROVIDERS) if given else missing
        raise PydanticCustomError(SAID, "{text}", {"text": what})
    return value


def _tag(value: Any) -> str | None:
    given = value.get("provider") if isinstance(value, Mapping) else getattr(value, "provider", None)
    return f"<{given}>" if given else None


Binding = Annotated[
    Annotated[LlamaCpp, Tag("<llamacpp>")]
    | Annotated[OpenAICompatible, Tag("<openai-compatible>")]
    | Annotated[LiteLLM, Tag("<litellm>")],
    Discriminator(_tag, custom_error_type=SAID, custom_error_message="a binding is a mapping that begins with `provider`"),
    BeforeValidator(_known_provider),
]


class Runtime(_Section):
    """How local models run."""

    threads: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, description="threads per model server")
    parallel: int = Field(2, ge=1, le=64, description="requests that one model server works on at once")
    context: int = Field(4096, ge=256, description="tokens of context per parallel request")
    start_timeout: float = Field(120.0, gt=0, description="seconds that a model server may take to load")


class Chunking(_Section):
    """How documents are cut into passages."""

    tokens: int = Field(160, ge=16, le=256, description="most tokens of one passage, in the embedder's tokens")


class Settings(BaseSettings):
    """All settings. Unknown keys are errors."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)

    home: Path = Field(default_factory=lambda: user_data_path("agentrag"), description="holds collections and the journal")
    cache: Path = Field(default_factory=lambda: user_cache_path("agentrag"), description="holds model files and vectors")
    models: dict[str, Binding] = Field(default_factory=dict, description="bindings by name; `default` and `local` always exist")
    embedder: str = Field(DEFAULT_EMBEDDER, description="name of the embedding model")
    chunk: Chunking = Field(default_factory=Chunking)
    runtime: Runtime = Field(default_factory=Runtime)

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

    def binding(self, name: str) -> Binding:
        """The binding of a name.

        Raises:
            SettingsError: No binding has this name.
        """
        local = LlamaCpp(model=DEFAULT_MODEL)
        table: dict[str, Binding] = {"default": local, "local": local, **self.models}
        if name not in table:
            raise SettingsError(unknown("binding", name, table) + f" Bindings are named under `models:` in {FILE}.")
        return table[name]


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
    return sorted((Runtime if path[0] == "runtime" else Chunking).model_fields)


def _names(item: ErrorDetails) -> list[str]:
    return [str(part) for part in item["loc"] if not str(part).startswith("<")]


def _variable(item: ErrorDetails) -> str | None:
    """The variable that a value came from, where it was one."""
    names = _names(item)
    candidates = (_PREFIX + "__".join(names[:length]).upper() for length in range(len(names), 0, -1))
    return next((name for name in candidates if name in {key.upper() for key in os.environ}), None)
