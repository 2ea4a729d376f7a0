from __future__ import annotations

import asyncio
import io
import sys
from contextlib import closing
from pathlib import Path

import pytest

from agentrag.app import Graph
from agentrag.cli.chat import Conversation, trimmed
from agentrag.core.errors import ModelError
from agentrag.core.settings import Settings
from agentrag.core.types import Message
from agentrag.journal.sqlite import SqliteJournal
from agentrag.testing.fakes import Reply, ScriptedModel, fake_deps, passages
from agentrag.threads import Thread

LAMP = "The lamp of the lighthouse is red."
BOAT = "The boat Rissa is long."


def talk(monkeypatch: pytest.MonkeyPatch, lines: list[str], replies: list[Reply]) -> ScriptedModel:
    """Pipe lines into a conversation over two passages and return the model that answered."""
    model = ScriptedModel(replies)
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    with asyncio.Runner() as runner:
        Conversation(Graph.load("ask"), fake_deps(model, passages(LAMP, BOAT)), {}).hold(runner)
    return model


def test_a_follow_up_question_is_made_self_contained_from_the_turns_before(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    replies: list[Reply] = ["yes", LAMP, "Is the boat Rissa long?", "yes", BOAT]
    model = talk(monkeypatch, ["What colour is the lamp?", "And the boat?"], replies)
    condense = model.requests[2].messages[-1].content
    assert "What colour is the lamp?" in condense
    assert LAMP in condense
    assert "Last question: And the boat?" in condense
    assert "Is the boat Rissa long?" in model.requests[4].messages[-1].content
    shown = capsys.readouterr().out
    assert "The lamp of the lighthouse is red [1]." in shown
    assert "The boat Rissa is long [1]." in shown


def test_clear_forgets_the_turns_before(monkeypatch: pytest.MonkeyPatch) -> None:
    model = talk(monkeypatch, ["What colour is the lamp?", "/clear", "Is the boat long?"], ["yes", LAMP, "yes", BOAT])
    assert len(model.requests) == 4  # no condensing
    assert not any("lamp?" in message.content for message in model.requests[3].messages)


def test_sources_are_listed_again_and_quit_ends_before_the_rest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    talk(monkeypatch, ["What colour is the lamp?", "/sources", "/quit", "Is the boat long?"], ["yes", LAMP])
    assert capsys.readouterr().out.count(f'  "{LAMP}"') == 2


def test_an_unknown_command_is_not_sent_to_the_model(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert talk(monkeypatch, ["/qiut", ""], []).requests == []
    assert "'/qiut' is not a command" in capsys.readouterr().err


def test_a_failure_ends_a_piped_conversation(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Exception, match="the server is gone"):
        talk(monkeypatch, ["What colour is the lamp?"], [ModelError("the server is gone")])


def test_a_failure_leaves_a_person_at_the_prompt(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answers = iter(["What colour is the lamp?", "What colour is the lamp?", "/quit"])
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    monkeypatch.setattr("builtins.input", lambda prompt: next(answers))
    model = ScriptedModel([ModelError("the server is gone"), "yes", LAMP])
    with asyncio.Runner() as runner:
        Conversation(Graph.load("ask"), fake_deps(model, passages(LAMP)), {}).hold(runner)
    shown = capsys.readouterr()
    assert "the server is gone" in shown.err
    assert "red [1]." in shown.out


@pytest.mark.parametrize(
    ("sizes", "kept"),
    [
        ([10] * 6, 6),
        ([10] * 50, 20),
        ([10, 10, 5000, 1000], 2),
        ([10, 100, 10, 5890], 2),
        ([10, 7000], 0),
    ],
    ids=["all fit", "too many", "too long", "no answer first", "nothing fits"],
)
def test_a_long_conversation_is_trimmed_to_its_newest_turns(sizes: list[int], kept: int) -> None:
    history = [Message("assistant" if n % 2 else "user", "x" * size) for n, size in enumerate(sizes)]
    found = trimmed(history)
    assert found == history[len(history) - kept :]


def test_a_conversation_in_a_thread_goes_on_after_a_restart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    asked: list[str] = []
    for line in ("What colour is the lamp?", "And the boat?"):
        model = ScriptedModel(["Is the boat Rissa long?", "yes", BOAT] if asked else ["yes", LAMP])
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{line}\n"))
        with asyncio.Runner() as runner, closing(SqliteJournal(tmp_path / "journal.sqlite")) as journal:
            deps = fake_deps(model, passages(LAMP, BOAT)).but(journal=journal)
            Conversation(Graph.load("ask"), deps, {}, Thread("trip", settings)).hold(runner)
        asked.append(model.requests[0].messages[-1].content)
    assert "What colour is the lamp?" in asked[1]
    assert LAMP in asked[1]
    assert [question for question, _ in Thread("trip", settings).turns()] == ["What colour is the lamp?", "And the boat?"]
