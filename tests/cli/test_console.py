from __future__ import annotations

import asyncio
import os
import signal

import pytest

from agentrag.cli.console import clean, errors, pairs, run_async
from agentrag.core.errors import StoreError


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "0;titletext"),
        ("a\x07\x08b\x7f", "ab"),
        ("c1 \x9b31m", "c1 31m"),
        ("right\u202eleft", "rightleft"),
        ("tab\tand\nline", "tab\tand\nline"),
    ],
    ids=["colour", "window title", "bell", "8-bit control", "direction", "harmless"],
)
def test_clean_drops_what_a_terminal_would_obey_and_keeps_the_rest(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_errors_of_the_library_become_one_line_and_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end, errors():
        raise StoreError("the store \x1b[2Jis gone")
    assert end.value.code == 1
    assert "the store is gone" in capsys.readouterr().err


def test_an_error_is_printed_as_the_settings_redact_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTRAG_REDACT", '["patient (?P<n>[0-9]+)"]')
    with pytest.raises(SystemExit), errors():
        raise StoreError("the model said: patient 4711 has api_key=abcdef123456")
    assert capsys.readouterr().err == "error: the model said: patient [redacted] has api_key=[redacted]\n"


def test_an_error_is_redacted_where_the_settings_are_wrong(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTRAG_REDACT", '["("]')
    with pytest.raises(SystemExit), errors():
        raise StoreError("it has api_key=abcdef123456")
    assert capsys.readouterr().err == "error: it has api_key=[redacted]\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_an_interrupted_command_closes_what_it_opened_and_ends_with_130(number: signal.Signals) -> None:
    closed = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), number)
            await asyncio.sleep(30)
        finally:
            closed.append(True)

    with pytest.raises(SystemExit) as end:
        run_async(work)
    assert (end.value.code, closed) == (130, [True])


def test_pairs_keep_what_stands_after_the_first_equals_sign() -> None:
    assert pairs(["a=b=c", "d="], "-i") == {"a": "b=c", "d": ""}
