"""The terminal: what every command prints through, and how errors become exit codes.

Command modules import only the standard library, typer and this module at their top, so that `--help` stays quick.
"""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

    from agentrag.core.redact import Redactor

T = TypeVar("T")
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[@-_]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")

_OBEYED = re.compile(r"[\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""The control characters and direction marks that json.dumps leaves as they are."""


@cache
def out() -> Console:
    """Standard output: answers and tables, nothing else."""
    from rich.console import Console  # lazy: 60 ms

    return Console(highlight=False, soft_wrap=True)


@cache
def err() -> Console:
    """Standard error: progress, notes and errors."""
    from rich.console import Console  # lazy: 60 ms

    return Console(stderr=True, highlight=False, soft_wrap=True)


def clean(text: str) -> str:
    """Drop terminal control sequences and direction marks, keep tabs and line ends.

    Everything that came from a document, a model or a server goes through here before it reaches a terminal.
    """
    return _CONTROL.sub("", text)


def say(text: str = "") -> None:
    """Print one plain line of untrusted text to standard output."""
    out().print(clean(text), markup=False)


def note(text: str) -> None:
    """Print one plain line of untrusted text to standard error."""
    err().print(clean(text), markup=False, style="dim")


def say_json(value: Any) -> None:
    """Print one JSON document to standard output; what a terminal would obey is escaped, which JSON readers undo."""
    import json  # lazy: only --json needs it

    text = json.dumps(value, ensure_ascii=False, indent=2)
    sys.stdout.write(_OBEYED.sub(lambda match: f"\\u{ord(match[0]):04x}", text) + "\n")


def redactor() -> Redactor:
    """What blanks secrets in what is shown of runs and errors: as the settings say, the built-in one where they are wrong."""
    from agentrag.core.errors import SettingsError  # lazy: see the module's docstring
    from agentrag.core.observing import redactor_of
    from agentrag.core.redact import Redactor
    from agentrag.core.settings import load_settings

    try:
        return redactor_of(load_settings())
    except (SettingsError, OSError):
        return Redactor()


def fail(message: str, code: int = 1) -> SystemExit:
    """Print an error line, redacted, and return, for the caller to raise, the exception that ends the program with `code`."""
    shown = redactor().text(message)
    err().print("error: ", style="bold red", end="")
    err().print(clean(shown), markup=False)
    return SystemExit(code)


@contextmanager
def errors() -> Iterator[None]:
    """Turn the library's errors into one line and exit code 1; Ctrl-C into exit code 130."""
    from agentrag.core.errors import AgentRagError  # lazy: see the module's docstring

    try:
        yield
    except AgentRagError as error:
        raise fail(str(error)) from error
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise fail("interrupted", 130) from None
    except BrokenPipeError:
        raise SystemExit(141) from None


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that what it opened is closed."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def logged() -> Iterator[None]:
    """Log in this block as the settings say; at its end spans that are not exported yet have a short time to be."""
    from agentrag.core.errors import SettingsError  # lazy: see the module's docstring
    from agentrag.core.settings import load_settings
    from agentrag.telemetry.logs import configure_logs
    from agentrag.telemetry.watched import flushed

    try:
        settings = load_settings()
    except SettingsError:
        settings = None  # a command that needs settings says so itself
    if settings is not None:
        configure_logs(settings)
    try:
        yield
    finally:
        flushed()


def run_async(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run `main()` in an event loop, logged; errors, Ctrl-C and SIGTERM become exit codes."""
    with errors(), terminable(), logged():
        return asyncio.run(main())


def pairs(items: list[str], what: str) -> dict[str, str]:
    """Parse repeated `key=value` options.

    Raises:
        SystemExit: An item has no "=", with exit code 2.
    """
    for item in items:
        if "=" not in item:
            raise fail(f"{what} takes KEY=VALUE, not '{item}'", 2)
    return dict(item.split("=", 1) for item in items)
