"""One local model server: a child process, started at first use, watched, and stopped with its last user."""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import IO, Any

from agentrag.core.errors import ModelError
from agentrag.core.settings import Runtime

_PROMPT_CACHE = 512  # MiB of earlier prompts that the server may keep outside its slots
_TAIL = 3


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server listens, and the key that it was given for this start."""

    url: str
    key: str = field(repr=False)


class LocalServer:
    """llama.cpp serving one GGUF file on the loopback interface, with a random key.

    Args:
        name: What users call the model.
        weights: The GGUF file.
        runtime: Threads, parallel requests, context and the time to start.
        logs: Folder for its log file, which stays only where the server ended by itself.

    Attributes:
        users: How many models use it; it is stopped when the last lets go.
    """

    def __init__(self, name: str, weights: Path, runtime: Runtime, logs: Path) -> None:
        self.name = name
        self.users = 0
        self._free = asyncio.Semaphore(runtime.parallel)
        self._waiting = 0
        self._weights, self._runtime = weights, runtime
        self._log = logs / f"{weights.stem}-{secrets.token_hex(4)}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._address: Address | None = None
        self._starting = asyncio.Lock()
        self._starts = 0
        self._failed = ""

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One of as many turns as the server has slots: who waits, waits here, and can be given up for nothing.

        Raises:
            ModelError: As many wait as may; the same call may find room later.
        """
        if self._free.locked() and self._waiting >= self._runtime.waiting:
            raise ModelError(
                f"{self._waiting} requests wait for model '{self.name}', and no more may. Raise runtime.waiting, "
                "or ask for less at once.",
                retryable=True,
            )
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._free.release()

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    async def address(self) -> Address:
        """Where it listens; starts it where it does not run. Who waits for a start that fails, fails with it.

        Raises:
            ModelError: It did not start, or not within `start_timeout`; the text ends with the last lines of its log.
        """
        before = self._starts
        async with self._starting:
            if self._address is None or self.pid is None:
                if self._failed and self._starts > before:
                    raise ModelError(self._failed, retryable=True)
                self.stop()
                self._address = await self._started()
            return self._address

    async def _started(self) -> Address:
        self._starts += 1
        self._failed = ""
        try:
            return await self._start()
        except ModelError as error:
            self._failed = str(error)
            raise
        except OSError as error:
            self._failed = f"The server of model '{self.name}' cannot be started with its log at {self._log}: {error}"
            raise ModelError(self._failed) from error

    async def has_died(self, within: float = 1.0) -> bool:
        """Whether the process has ended, or does `within` seconds: a broken connection is seen before its cause."""
        end = monotonic() + within
        while self.pid is not None:
            if monotonic() >= end:
                return False
            await asyncio.sleep(0.02)
        return True

    def last_words(self) -> str:
        """How it ended and the last lines of its log, in one line."""
        code = self._process.poll() if self._process else None
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL:] if self._log.exists() else []
        said = " | ".join(" ".join(line.split()) for line in lines if line.strip())
        return f"exit code {code}; log {self._log}: {said}"

    def stop(self) -> None:
        """End the process. Calling it twice is allowed."""
        process, self._process, self._address = self._process, None, None
        if process is None:
            return
        if process.poll() is None:
            process.kill()
            process.wait()
            self._log.unlink(missing_ok=True)
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()

    async def _start(self) -> Address:
        key = secrets.token_urlsafe(32)
        process = self._process = self._spawn()
        try:
            async with asyncio.timeout(self._runtime.start_timeout):
                reply = await asyncio.to_thread(_exchange, process, self._settings(key))
        except TimeoutError:
            process.kill()
            raise ModelError(
                f"Model '{self.name}' did not load within {self._runtime.start_timeout:g} s. "
                f"Raise runtime.start_timeout; its log is {self._log}",
                retryable=True,
            ) from None
        except BaseException:
            process.kill()  # the thread that waits for its reply ends with it
            raise
        if "address" not in reply:
            await self.has_died()
            raise ModelError(f"Model '{self.name}' cannot be loaded ({reply.get('error', 'it ended')}); {self.last_words()}")
        return Address(f"{reply['address']}/v1", key)

    def _spawn(self) -> subprocess.Popen[bytes]:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._log.touch(mode=0o600)
        with self._log.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "agentrag.models.llama_server"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the parent, which then ends the child in its own time
            )

    def _settings(self, key: str) -> dict[str, Any]:
        return {
            "model": str(self._weights),
            "alias": self.name,
            "key": key,
            "threads": self._runtime.threads,
            "parallel": self._runtime.parallel,
            "context": self._runtime.context,
            "cache_ram_mib": _PROMPT_CACHE,
        }


def _exchange(process: subprocess.Popen[bytes], settings: dict[str, Any]) -> dict[str, Any]:
    """Hand the settings over and wait for the reply; {} where the process ends without one."""
    try:
        _pipe(process.stdin).write(json.dumps(settings).encode() + b"\n")
        _pipe(process.stdin).flush()
        reply: dict[str, Any] = json.loads(_pipe(process.stdout).readline() or b"{}")
    except (OSError, ValueError):
        return {}
    return reply


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:  # only a Popen without PIPE has none
        raise ValueError("the child was started without pipes")
    return stream
