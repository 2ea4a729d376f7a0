from __future__ import annotations

import logging
from pathlib import Path

import pytest

from agentrag.core.bindings import LiteLLM, LlamaCpp, OpenAICompatible
from agentrag.core.errors import CatalogueError, ChecksumError, NotPulledError, SettingsError
from agentrag.core.ports import ChatModel
from agentrag.core.settings import Settings
from agentrag.core.types import ChatRequest, Message
from agentrag.models.bind import Models
from agentrag.models.catalogue import folder, sha256_of, write_record
from agentrag.telemetry.attributes import model_of
from agentrag.testing.server import StubChatServer

HELLO = ChatRequest((Message("user", "Hello"),), max_tokens=9)


def remote(url: str = "http://host.invalid:8000/v1", **more: str) -> OpenAICompatible:
    return OpenAICompatible.model_validate({"provider": "openai-compatible", "url": url, "model": "gpt", **more})


def settings(cache: Path, **bindings: OpenAICompatible | LlamaCpp | LiteLLM) -> Settings:
    return Settings(home=cache, cache=cache, models=bindings)


def pretend_pulled(name: str, cache: Path) -> None:
    home = folder(name, cache)
    home.mkdir(parents=True)
    weights = home / "model.gguf"
    weights.write_bytes(b"GGUF")
    write_record(home, "packages", {"weights": (weights, sha256_of(weights))})


async def test_a_binding_gives_one_model_with_a_stable_name(tmp_path: Path) -> None:
    bindings: dict[str, OpenAICompatible | LlamaCpp | LiteLLM] = {
        "far": remote(),
        "other": LiteLLM(provider="litellm", model="anthropic/claude-sonnet-4-5"),
    }
    async with Models(settings(tmp_path, **bindings)) as models:
        assert models.get("far") is models.get("far")
        assert isinstance(models.get("far"), ChatModel)
        assert models.get("far").name == "openai-compatible/gpt@host.invalid"
        assert models.get("other").name == "litellm/anthropic/claude-sonnet-4-5"


async def test_the_default_says_how_to_get_it_before_anything_runs(tmp_path: Path) -> None:
    async with Models(settings(tmp_path)) as models:
        with pytest.raises(NotPulledError, match="agentrag models pull qwen"):
            models.get("default")


@pytest.mark.parametrize(
    ("binding", "error", "says"),
    [
        (LlamaCpp(model="qwen"), CatalogueError, "Unknown model 'qwen'"),
        (remote(api_key_env="AGENTRAG_TEST_NO_SUCH_KEY"), SettingsError, "'it' takes its key from AGENTRAG_TEST_NO_SUCH_KEY"),
        (remote(api_key="sk-\nx"), SettingsError, "characters that no key has"),
    ],
    ids=["unknown model", "key not set", "no key"],
)
async def test_a_binding_that_cannot_work_is_refused(
    tmp_path: Path, binding: LlamaCpp | OpenAICompatible, error: type[Exception], says: str
) -> None:
    async with Models(settings(tmp_path, it=binding)) as models:
        with pytest.raises(error, match=says):
            models.get("it")


async def test_an_unknown_binding_names_the_known_ones(tmp_path: Path) -> None:
    async with Models(settings(tmp_path, writer=remote())) as models:
        with pytest.raises(SettingsError, match="Did you mean 'writer'"):
            models.get("writre")


@pytest.mark.parametrize("given", [{"api_key": "sk-1"}, {"api_key_env": "AGENTRAG_TEST_KEY"}], ids=["value", "variable"])
async def test_the_key_of_a_binding_is_sent_to_its_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str]
) -> None:
    monkeypatch.setenv("AGENTRAG_TEST_KEY", "sk-1")
    async with StubChatServer() as server:
        async with Models(settings(tmp_path, far=remote(server.url, **given))) as models:
            await models.get("far").complete(HELLO)
        assert server.headers[0]["Authorization"] == "Bearer sk-1"


async def test_weights_from_elsewhere_have_another_name_than_the_packaged_ones(tmp_path: Path) -> None:
    pretend_pulled("smollm2-135m-instruct", tmp_path)
    async with Models(settings(tmp_path, it=LlamaCpp(model="smollm2-135m-instruct"))) as models:
        assert models.get("it").name.startswith("llamacpp/smollm2-135m-instruct@")


async def test_damaged_weights_are_refused_before_anything_runs(tmp_path: Path) -> None:
    pretend_pulled("smollm2-135m-instruct", tmp_path)
    (folder("smollm2-135m-instruct", tmp_path) / "model.gguf").write_bytes(b"GGUX")
    async with Models(settings(tmp_path, it=LlamaCpp(model="smollm2-135m-instruct"))) as models:
        with pytest.raises(ChecksumError, match="Get it again with: agentrag models pull smollm2-135m-instruct"):
            models.get("it")


async def test_the_terms_of_a_restricted_model_are_shown_before_its_use(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pretend_pulled("gemma-3-270m", tmp_path)
    named = {"one": LlamaCpp(model="gemma-3-270m"), "two": LlamaCpp(model="gemma-3-270m")}
    with caplog.at_level(logging.WARNING, "agentrag.models"):
        async with Models(settings(tmp_path, **named)) as models:
            models.get("one")
            models.get("two")
    assert [record.message for record in caplog.records if "Gemma Terms of Use" in record.message] == caplog.messages
    assert len(caplog.messages) == 1


async def test_closing_twice_is_allowed(tmp_path: Path) -> None:
    models = Models(settings(tmp_path, far=remote()))
    models.get("far")
    await models.aclose()
    await models.aclose()


async def test_servers_of_one_host_are_told_apart_where_the_settings_hold_both(tmp_path: Path) -> None:
    urls = {"a": "http://me:5ecret@h:1/v1", "b": "http://h:2/v1/", "c": "http://h:2/v1", "d": "http://other/v1"}
    async with Models(settings(tmp_path, **{name: remote(url) for name, url in urls.items()})) as models:
        names = [models.get(name).name.removeprefix("openai-compatible/gpt@") for name in urls]
        assert names == ["h:1/v1", "h:2/v1", "h:2/v1", "other"]
        assert models.get("a,b").name != models.get("b,a").name
        assert model_of(models.get("a").name) == ("openai", "gpt")
