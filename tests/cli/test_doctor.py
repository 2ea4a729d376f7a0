from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from agentrag.cli.doctor import ollama
from tests.cli.conftest import Command


def test_doctor_of_a_bare_machine_says_what_is_missing_and_what_to_do(command: Command) -> None:
    done = command("doctor")
    assert done.code == 1
    assert "missing model default qwen2.5-coder-1.5b-instruct" in done.out
    assert "agentrag models pull qwen2.5-coder-1.5b-instruct" in done.out
    assert "agentrag models pull all-minilm-l6-v2" in done.out
    assert "agentrag ingest PATH --collection docs" in done.out
    assert "ok      python" in done.out
    assert "langgraph 1." in done.out


def test_doctor_names_keys_and_never_shows_them(command: Command, tmp_path: Path) -> None:
    (tmp_path / "agentrag.yaml").write_text(
        "models:\n  gpt: {provider: openai-compatible, url: 'http://127.0.0.1:1/v1', model: m, api_key_env: MY_KEY}\n",
        encoding="utf-8",
    )
    done = command("doctor", OPENAI_API_KEY="sk-secret-1", MY_KEY="sk-secret-2")
    assert "OPENAI_API_KEY" in done.out
    assert "MY_KEY is set" in done.out
    assert "sk-secret" not in done.out + done.err
    assert "MY_KEY is not set -> export MY_KEY=..." in command("doctor").out


@contextmanager
def serving(body: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Tests print nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_running_ollama_is_offered_with_the_line_that_binds_it() -> None:
    with serving(json.dumps({"models": [{"name": "llama3.2:3b"}]}).encode()) as address:
        (finding,) = ollama(address)
    assert finding.state == "note"
    assert f"ollama: {{provider: openai-compatible, url: 'http://{address}/v1', model: 'llama3.2:3b'}}" in finding.text


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"models": 3}', b'{"models": [{}]}'])
def test_what_is_no_ollama_is_not_offered(body: bytes) -> None:
    with serving(body) as address:
        assert list(ollama(address)) == []


def test_no_ollama_is_no_finding() -> None:
    assert list(ollama("127.0.0.1:9")) == []
