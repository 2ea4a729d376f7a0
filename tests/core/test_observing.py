"""Settings of redaction, logs and traces: every fault is told with its place, and every key they hold is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentrag.core.errors import SettingsError
from agentrag.core.observing import redactor_of
from agentrag.core.settings import Settings, load_settings

REMOTE = {"provider": "openai-compatible", "url": "http://x/v1", "model": "m"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('redact: ["ok", "("]', "1:16 redact.1: '(': it is no pattern of RE2: missing ): ("),
        ('redact:\n  - "(?<=a)b"', "2:5 redact.0: '(?<=a)b': it is no pattern of RE2: invalid perl operator: (?<"),
        ('redact: [""]', "1:10 redact.0: '': it matches the empty text"),
        ("log: {format: xml}", "1:15 log.format: 'xml': should be 'text' or 'json'"),
        ("log: {levle: info}", "1:7 log.levle: Unknown key 'levle'. Did you mean 'level'?"),
        ("telemetry: {otlp: 'localhost:4318'}", "1:19 telemetry.otlp: 'localhost:4318': "),
        ("telemetry: {sample: 2}", "1:21 telemetry.sample: 2: should be less than or equal to 1"),
        ("telemetry: {header: X}", "1:13 telemetry.header: Unknown key 'header'. Did you mean 'headers_env'?"),
    ],
)
def test_a_wrong_setting_is_told_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "agentrag.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    assert str(caught.value).startswith(f"{path}:{said}")


def test_variables_set_them_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTRAG_REDACT", '["a+"]')
    monkeypatch.setenv("AGENTRAG_LOG__FORMAT", "json")
    monkeypatch.setenv("AGENTRAG_TELEMETRY__OTLP", "http://127.0.0.1:4318")
    settings = Settings()
    assert (settings.redact, settings.log.format, settings.telemetry.otlp) == (("a+",), "json", "http://127.0.0.1:4318")
    assert Settings().telemetry.content is False


@pytest.mark.parametrize(
    ("settings", "variable"),
    [
        ({"models": {"a": {**REMOTE, "api_key": "plain-as-day"}}}, ""),
        ({"models": {"a": {**REMOTE, "api_key_env": "MINE"}}}, "MINE"),
        ({"models": {"a": {"provider": "litellm", "model": "anthropic/x"}}}, "ANTHROPIC_API_KEY"),
        ({"telemetry": {"headers_env": "HEADERS"}}, "HEADERS"),
        ({}, None),
    ],
    ids=["value", "variable", "litellm", "headers", "not known"],
)
def test_keys_that_settings_hold_or_name_are_known_by_value(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, object], variable: str | None
) -> None:
    if variable:
        monkeypatch.setenv(variable, "x-key=plain-as-day" if variable == "HEADERS" else " plain-as-day\n")
    shown = redactor_of(Settings.model_validate(settings)).text("as plain-as-day")
    assert shown == ("as plain-as-day" if variable is None else "as [redacted]")
