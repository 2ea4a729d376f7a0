"""`agentrag doctor`: what is installed, what is found, and what to do about what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

from agentrag.cli.console import clean, out

if TYPE_CHECKING:
    from agentrag.core.settings import Settings

OLLAMA = "127.0.0.1:11434"
KEYS = (
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "GEMINI_API_KEY",
    "MISTRAL_API_KEY",
    "GROQ_API_KEY",
    "OPENROUTER_API_KEY",
    "DEEPSEEK_API_KEY",
    "TOGETHER_API_KEY",
    "AZURE_API_KEY",
)
NEEDED_GB = 2.0


class Finding(NamedTuple):
    """One thing that was looked at: `missing` is what a question cannot do without, `note` what may help."""

    state: Literal["ok", "missing", "note"]
    about: str
    text: str


def doctor() -> None:
    """Say what is here, and what to do about the rest.

    The exit code is 1 where something is missing that a question needs.
    """
    from agentrag.core.settings import load_settings  # lazy: --help needs none of it

    settings = load_settings()
    findings = [*_machine(), *_packages(), *_disk(settings), *_models(settings), *_keys(settings), *_collections(settings)]
    findings += ollama(OLLAMA)
    colours = {"ok": "green", "missing": "bold red", "note": "cyan"}
    for state, about, text in findings:
        out().print(f"{state:8}", style=colours[state], end="")
        out().print(clean(f"{about:12} {text}"), markup=False)
    if any(finding.state == "missing" for finding in findings):
        raise SystemExit(1)


def _machine() -> Iterator[Finding]:
    import os
    import platform

    yield Finding("ok", "python", f"{platform.python_version()} ({platform.python_implementation()})")
    yield Finding("ok", "platform", f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores")


def _packages() -> Iterator[Finding]:
    import re
    import sys
    from importlib.metadata import PackageNotFoundError, requires, version

    found, missing = [f"agentrag {version('agentrag')}"], []
    for requirement in requires("agentrag") or []:
        name = re.split(r"[\s;<>=!~\[]", requirement, maxsplit=1)[0]
        if "sys_platform" in requirement and sys.platform == "win32":
            continue
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    yield Finding("ok", "packages", ", ".join(found))
    if missing:
        yield Finding("missing", "packages", f"{', '.join(missing)} -> run: make setup")


def _disk(settings: Settings) -> Iterator[Finding]:
    import shutil
    from pathlib import Path

    for about, folder in (("home", settings.home), ("cache", settings.cache)):
        standing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        free = shutil.disk_usage(standing).free / 1e9
        text = f"{_short(folder, Path.home())}, {free:.1f} GB free"
        if about == "cache" and free < NEEDED_GB:
            yield Finding("missing", about, f"{text}; models need {NEEDED_GB:g} GB -> set AGENTRAG_CACHE to a larger disk")
        else:
            yield Finding("ok", about, text)


def _short(path: object, home: object) -> str:
    return str(path).replace(str(home), "~", 1)


def _models(settings: Settings) -> Iterator[Finding]:
    from agentrag.core.bindings import LlamaCpp
    from agentrag.core.errors import CatalogueError
    from agentrag.models.catalogue import model_files

    named = {f"model {name}": settings.binding(name) for name in ("default", *settings.models)}
    local = {use: binding.model for use, binding in named.items() if isinstance(binding, LlamaCpp)}
    for use, model in {**local, "embedder": settings.embedder}.items():
        try:
            model_files(model, settings.cache)
        except CatalogueError as error:
            yield Finding("missing", use, f"{model}: {error}")
        else:
            yield Finding("ok", use, f"{model} is on this machine")


def _keys(settings: Settings) -> Iterator[Finding]:
    import os

    from agentrag.core.bindings import OpenAICompatible

    if found := [key for key in KEYS if os.environ.get(key)]:
        yield Finding("note", "keys", f"found {', '.join(found)}; used only by bindings that you name under `models:`")
    for name, binding in settings.models.items():
        if isinstance(binding, OpenAICompatible) and (key := binding.api_key_env):
            if os.environ.get(key):
                yield Finding("ok", f"model {name}", f"{key} is set")
            else:
                yield Finding("missing", f"model {name}", f"{key} is not set -> export {key}=...")


def _collections(settings: Settings) -> Iterator[Finding]:
    from agentrag.retrieval.collections import Collections

    names = Collections(settings, None).names()
    empty = "none yet -> agentrag ingest PATH --collection docs"
    yield Finding("ok" if names else "note", "collections", ", ".join(names) or empty)


def ollama(address: str) -> Iterator[Finding]:
    """What an Ollama at `address` (host:port) offers; nothing where none answers within half a second."""
    import http.client
    import json

    connection = http.client.HTTPConnection(address, timeout=0.5)
    try:
        connection.request("GET", "/api/tags")
        names = [str(model["name"]) for model in json.loads(connection.getresponse().read())["models"]]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return
    finally:
        connection.close()
    model = names[0] if names else "NAME"
    binding = f"ollama: {{provider: openai-compatible, url: 'http://{address}/v1', model: '{model}'}}"
    text = f"runs here with {', '.join(names) or 'no model'}; to use it, put this under `models:` in agentrag.yaml: {binding}"
    yield Finding("note", "ollama", text)
