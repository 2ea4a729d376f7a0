"""The child process of a local model: holds llama.cpp's server, tells its address, and ends with its parent.

Run as `python -m agentrag.models.llama_server`. One line of JSON comes in on standard input, one goes out on standard output;
everything that is printed goes to standard error, which the parent points at a log file. The process ends as soon as its
standard input closes, so it cannot outlive a parent that was killed.
"""

from __future__ import annotations

import json
import mmap
import os
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_PLAIN = "{% for message in messages %}{{ message.content }}{% if not loop.last %}{{ '\n\n' }}{% endif %}{% endfor %}"
_HEADER = 64 << 20  # bytes: the metadata of a GGUF file come first


def has_chat_template(weights: Path) -> bool:
    """Whether a GGUF file carries a chat template; base models do not."""
    with weights.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        return view.find(b"tokenizer.chat_template", 0, _HEADER) >= 0


def parameters_of(settings: dict[str, Any]) -> Any:
    """Parameters of xllamacpp for our settings: model, alias, threads, parallel, context, key."""
    from xllamacpp import CommonParams  # lazy: the native library, 100 MB

    parameters = CommonParams()
    parameters.model.path = settings["model"]
    parameters.model_alias = {settings["alias"]}
    parameters.port = 0
    parameters.api_keys = [settings["key"]]
    parameters.endpoint_slots = False
    parameters.ui = False
    parameters.offline = True
    parameters.n_parallel = settings["parallel"]
    parameters.n_ctx = settings["context"] * settings["parallel"]
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = settings["threads"]
    parameters.cache_ram_mib = settings["cache_ram_mib"]
    if not has_chat_template(Path(settings["model"])):
        parameters.chat_template = _PLAIN
    return parameters


def wait_until_healthy(address: str) -> None:
    """Return once the server says that it can answer; the parent bounds the time."""
    while True:
        connection = HTTPConnection(urlsplit(address).netloc, timeout=5)
        try:
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        finally:
            connection.close()
        time.sleep(0.05)


def main() -> None:
    """Serve until standard input closes."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # the native library prints to standard output; the parent reads one line there and no more
    settings = json.loads(sys.stdin.buffer.readline())
    try:
        from xllamacpp import Server  # lazy: only the child loads it

        server = Server(parameters_of(settings))
        wait_until_healthy(server.listening_address)
        reply = {"address": server.listening_address}
    except Exception as error:  # whatever it is, the parent must learn of it
        reply = {"error": f"{type(error).__name__}: {error}"}
    replies.write(json.dumps(reply) + "\n")
    replies.flush()
    if "address" in reply:
        sys.stdin.buffer.read()
    os._exit(0)  # the native threads have no stop; there is nothing to save


if __name__ == "__main__":
    main()
