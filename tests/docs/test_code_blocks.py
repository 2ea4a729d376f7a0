"""Every code block of README and docs/ runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.docs.blocks import PLAIN, RUN, Block, blocks
from tests.docs.conftest import Machine

BLOCKS = blocks()


def _python(block: Block, machine: Machine, folder: Path) -> CompletedProcess[str]:
    (folder / "block.py").write_text(block.text, encoding="utf-8")
    return machine.run(folder, "python", "-W", "error", "block.py")


def _bash(block: Block, machine: Machine, folder: Path) -> CompletedProcess[str]:
    return machine.run(folder, "bash", "-euo", "pipefail", "-c", block.text)


def _yaml(block: Block, machine: Machine, folder: Path) -> CompletedProcess[str]:
    name = "graph.yaml" if block.text.startswith("agentrag:") else "agentrag.yaml"
    (folder / name).write_text(block.text, encoding="utf-8")
    return machine.run(folder, "agentrag", "check", name)


HOW: dict[str, Callable[[Block, Machine, Path], CompletedProcess[str]]] = {"bash": _bash, "python": _python, "yaml": _yaml}


def test_every_block_says_a_language_that_is_run_or_is_marked_as_text() -> None:
    assert [str(block) for block in BLOCKS if block.language not in (*RUN, *PLAIN)] == []


def test_no_block_of_text_hides_a_command() -> None:
    hidden = [str(block) for block in BLOCKS if block.language in PLAIN and block.text.startswith(("agentrag ", "make "))]
    assert hidden == []


@pytest.mark.model
@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language in HOW], ids=str)
def test_a_block_runs(block: Block, machine: Machine, tmp_path: Path) -> None:
    used = machine.with_model(block.model) if block.model else machine
    done = HOW[block.language](block, used, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
