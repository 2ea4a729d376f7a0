"""What settings say of logs, traces and redaction, and the redactor that they ask for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from agentrag.core.redact import Redactor, checked_pattern, telling

if TYPE_CHECKING:
    from agentrag.core.settings import Settings

Pattern = Annotated[str, AfterValidator(checked_pattern)]
"""A regular expression of RE2 that is not empty."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Log(_Section):
    """What the command line logs, and where; in Python logs are the caller's."""

    format: Literal["text", "json"] = Field("text", description="lines for people, or one JSON object a line")
    level: Literal["debug", "info", "warning", "error"] = Field("warning", description="the least level that is logged")
    file: Path | None = Field(None, description="lines are added to this file; standard error where there is none")


class Telemetry(_Section):
    """Where spans of runs go; nowhere without `otlp`."""

    otlp: str | None = Field(
        None, description="base address of an OTLP/HTTP endpoint, up to and without /v1/traces", pattern=r"^https?://"
    )
    headers_env: str | None = Field(None, description='environment variable that holds its headers: "name=value,name=value"')
    content: bool = Field(False, description="whether spans hold texts: inputs, prompts, answers, passages; always redacted")
    service: str = Field("agentrag", min_length=1, description="service.name of the spans; OTEL_SERVICE_NAME beats it")
    sample: float = Field(1.0, ge=0, le=1, description="share of the runs that are traced")


_FOLDERS = frozenset({"PWD", "OLDPWD"})
"""Variables of the shell that hold folders, though their names look like those of passwords."""


def redactor_of(settings: Settings) -> Redactor:
    """What blanks the patterns of settings, and the values of the secrets that they hold or name."""
    return Redactor(settings.redact, _secrets(settings))


def _secrets(settings: Settings) -> Iterator[str]:
    for binding in settings.models.values():
        if key := getattr(binding, "api_key", None):
            yield key.get_secret_value().strip()
        if variable := getattr(binding, "api_key_env", None):
            yield os.environ.get(variable, "").strip()
        if getattr(binding, "provider", "") == "litellm":  # it reads keys from variables that it alone knows
            yield from (value.strip() for name, value in os.environ.items() if telling(name) and name not in _FOLDERS)
    for part in os.environ.get(settings.telemetry.headers_env or "", "").split(","):
        yield part.partition("=")[2].strip()
