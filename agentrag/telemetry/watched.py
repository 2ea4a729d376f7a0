"""Settings made into watchers: what `log` and `telemetry` ask for."""

from __future__ import annotations

import sys

from agentrag.core.deps import Deps
from agentrag.core.observing import redactor_of
from agentrag.core.settings import Settings
from agentrag.telemetry.records import Records
from agentrag.telemetry.watch import Watch, Watcher


def watched(deps: Deps, settings: Settings) -> Deps:
    """The same back ends, with every run on them logged and, where `telemetry.otlp` is set, traced.

    Raises:
        SettingsError: The variable with the exporter's headers is not set.
    """
    redactor = redactor_of(settings)
    watchers: list[Watcher] = [Records(redactor)]
    if settings.telemetry.otlp:
        from agentrag.telemetry.provider import tracer_of  # lazy: 0.2 s, and only traced runs need it
        from agentrag.telemetry.spans import Spans

        watchers.append(Spans(tracer_of(settings.telemetry), redactor, settings.telemetry.content, {}))
    watch = Watch(deps.journal, deps.listen, watchers)
    return deps.but(journal=watch, listen=watch.listen)


def flushed() -> None:
    """Wait for a short time until spans that were made are exported; at once where none were."""
    if (provider := sys.modules.get("agentrag.telemetry.provider")) is not None:
        provider.flush()
