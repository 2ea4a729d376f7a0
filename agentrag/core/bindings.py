"""Bindings: what can fill a model slot, as settings say it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, SecretStr, Tag
from pydantic_core import PydanticCustomError

from agentrag.core.chain import Chain
from agentrag.core.errors import unknown
from agentrag.core.located import SAID

TOTAL_TIMEOUT = 300.0
LOCAL_TOTAL_TIMEOUT = 540.0
"""Both less than a node has, so that what drips on is given up while there is time to fall back."""
_IDLE = "seconds without any byte before an exchange is given up"
_TOTAL = "seconds that one exchange may take in all"


class Section(BaseModel):
    """A part of the settings: frozen, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LlamaCpp(Section):
    """A local GGUF model, run by a child process of ours."""

    provider: Literal["llamacpp"] = "llamacpp"
    model: str = Field(description="a name of `agentrag models list`, or the path of a GGUF file")
    total_timeout: float = Field(LOCAL_TOTAL_TIMEOUT, gt=0, description=_TOTAL)


def served_url(url: str) -> str:
    """The address, where a server can be asked there.

    Raises:
        ValueError: It has no host, no port that there is, or more than a path.
    """
    try:
        parts = urlsplit(url)
        has_place = bool(parts.hostname) and parts.port != 0
    except ValueError:
        has_place = False
    if not has_place:
        raise ValueError("is no address of a server: it takes http://HOST[:PORT][/PATH]")
    if parts.query or parts.fragment:
        raise ValueError("an address ends with its path; a key goes into api_key_env")
    if parts.path.rstrip("/").endswith("/chat/completions"):
        raise ValueError("cut /chat/completions off: it is added to the address")
    return url


class OpenAICompatible(Section):
    """Any server that speaks the OpenAI chat protocol."""

    provider: Literal["openai-compatible"]
    url: Annotated[str, AfterValidator(served_url)] = Field(
        description="base address, up to and without /chat/completions", pattern=r"^https?://"
    )
    model: str
    api_key: SecretStr | None = Field(None, description="better given as api_key_env")
    api_key_env: str | None = Field(
        None, description="environment variable that holds the key", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"
    )
    timeout: float = Field(120.0, gt=0, description=_IDLE)
    total_timeout: float = Field(TOTAL_TIMEOUT, gt=0, description=_TOTAL)
    price_in: float = Field(0.0, ge=0, description="USD per million prompt tokens")
    price_out: float = Field(0.0, ge=0, description="USD per million generated tokens")


class LiteLLM(Section):
    """Any of litellm's providers; keys are read from their usual environment variables."""

    provider: Literal["litellm"]
    model: str = Field(description='litellm\'s name, e.g. "anthropic/claude-sonnet-4-5"')
    timeout: float = Field(120.0, gt=0, description=_IDLE)
    total_timeout: float = Field(TOTAL_TIMEOUT, gt=0, description=_TOTAL)


OneBinding: TypeAlias = LlamaCpp | OpenAICompatible | LiteLLM
"""What is no chain."""
PROVIDERS = ("llamacpp", "openai-compatible", "litellm")


def _known_provider(value: Any) -> Any:
    if isinstance(value, Mapping) and (given := value.get("provider")) not in PROVIDERS:
        missing = f"'provider' is missing; it is one of {', '.join(PROVIDERS)}"
        what = unknown("provider", str(given), PROVIDERS) if given else missing
        raise PydanticCustomError(SAID, "{text}", {"text": what})
    return value


def _tag(value: Any) -> str | None:
    if isinstance(value, list | tuple):
        return "<chain>"
    given = value.get("provider") if isinstance(value, Mapping) else getattr(value, "provider", None)
    return f"<{given}>" if given else None


Binding = Annotated[
    Annotated[LlamaCpp, Tag("<llamacpp>")]
    | Annotated[OpenAICompatible, Tag("<openai-compatible>")]
    | Annotated[LiteLLM, Tag("<litellm>")]
    | Annotated[Chain, Tag("<chain>")],
    Discriminator(
        _tag,
        custom_error_type=SAID,
        custom_error_message="a binding is a mapping that begins with `provider`, or a list of names of others",
    ),
    BeforeValidator(_known_provider),
]
