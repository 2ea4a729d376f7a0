"""Settings: every fault is told with its place, and no secret with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentrag.core.errors import SettingsError
from agentrag.core.settings import Settings, load_settings

REMOTE = "provider: openai-compatible, url: 'http://x/v1'"


def refused(folder: Path, text: str) -> str:
    path = folder / "agentrag.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    return str(caught.value).removeprefix(f"{path}:")


@pytest.mark.parametrize(
    ("binding", "said"),
    [
        ("{url: 'http://x/v1', api_key: 5ecret}", "models.a: 'provider' is missing"),
        ("{provider: openai, api_key: 5ecret}", "models.a: Unknown provider 'openai'"),
        (f"{{{REMOTE}, model: m, api_key: [5ecret]}}", "models.a.api_key: should be a valid string"),
        (f"{{{REMOTE}, model: m, apikey: 5ecret}}", "models.a.apikey: Unknown key 'apikey'. Did you mean 'api_key'?"),
        ("5ecret", "models.a: a binding is a mapping that begins with `provider`"),
    ],
    ids=["no provider", "unknown provider", "type", "key", "no mapping"],
)
def test_a_wrong_binding_is_told_without_its_key(tmp_path: Path, binding: str, said: str) -> None:
    text = refused(tmp_path, f"models:\n  a: {binding}\n")
    assert text.startswith("2:")
    assert said in text
    assert "5ecret" not in text


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("AGENTRAG_RUNTIME__PARALLEL", "many", "AGENTRAG_RUNTIME__PARALLEL: 'many': should be a valid integer"),
        ("AGENTRAG_RUNTIME__PARALEL", "2", "AGENTRAG_RUNTIME__PARALEL: Unknown key 'paralel'. Did you mean 'parallel'?"),
        ("AGENTRAG_MODELS", '{"a": {"api_key": "5ecret"', 'error parsing value for field "models"'),
        ("AGENTRAG_MODELS__A__API_KEY", "5ecret", "'provider' is missing"),
    ],
)
def test_a_wrong_variable_is_blamed_and_not_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    text = refused(tmp_path, "runtime: {parallel: 2}\n")
    assert said in text
    assert "5ecret" not in text


@pytest.mark.parametrize("name", ["5ecret-key", "sk-5ecret"])
def test_what_is_no_name_of_a_variable_is_not_told(tmp_path: Path, name: str) -> None:
    text = refused(tmp_path, f"models:\n  a: {{{REMOTE}, model: m, api_key_env: {name}}}\n")
    assert "models.a.api_key_env" in text
    assert "5ecret" not in text


@pytest.mark.parametrize("provider", ["llamacpp", "litellm"])
def test_an_exchange_has_less_time_than_a_node(provider: str) -> None:
    binding = Settings.model_validate({"models": {"a": {"provider": provider, "model": "m"}}}).models["a"]
    assert not isinstance(binding, tuple)
    assert binding.total_timeout < 600


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://h:99999/v1", "is no address of a server"),
        ("http://h:abc/v1", "is no address of a server"),
        ("http://[::1/v1", "is no address of a server"),
        ("http:///v1", "is no address of a server"),
        ("http://h/v1?key=abc", "a key goes into api_key_env"),
        ("http://h/v1/chat/completions", "cut /chat/completions off"),
    ],
)
def test_an_address_at_which_nobody_can_be_asked_is_refused_with_its_place(tmp_path: Path, url: str, told: str) -> None:
    text = refused(tmp_path, f'models:\n  a: {{provider: openai-compatible, url: "{url}", model: m}}\n')
    assert text.startswith("2:41 models.a.url: ")
    assert told in text
