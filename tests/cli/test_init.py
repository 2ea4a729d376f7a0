from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Command


def test_what_init_writes_passes_check(command: Command, tmp_path: Path) -> None:
    assert command("init", "project").code == 0
    done = command("check", "project/agentrag.yaml", "project/graphs/first.yaml")
    assert (done.code, done.err) == (0, "")
    assert done.out.count(": ok\n") == 2


def test_the_lines_that_init_comments_out_are_right_too(command: Command, tmp_path: Path) -> None:
    command("init", "project")
    settings = tmp_path / "project" / "agentrag.yaml"
    lines = settings.read_text(encoding="utf-8").splitlines()
    bare = [line.removeprefix("# ") if line.startswith(("# home", "# cache", "# models", "#   ")) else line for line in lines]
    assert bare != lines
    settings.write_text("\n".join(bare), encoding="utf-8")
    done = command("check", "project/agentrag.yaml")
    assert (done.code, done.err) == (0, "")


def test_init_never_overwrites_and_then_writes_nothing(command: Command, tmp_path: Path) -> None:
    (tmp_path / "agentrag.yaml").write_text("embedder: mine\n", encoding="utf-8")
    done = command("init")
    assert done.code == 1
    assert "agentrag.yaml" in done.err
    assert (tmp_path / "agentrag.yaml").read_text(encoding="utf-8") == "embedder: mine\n"
    assert not (tmp_path / "graphs").exists()
