"""LangGraph's threads over restarts, with the checkpointer that the package opens."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from agentrag import open_checkpointer
from agentrag.core.errors import StoreError
from agentrag.core.settings import Settings

EXAMPLE = Path(__file__).parents[3] / "examples" / "langgraph" / "restarted.py"


def test_what_a_process_asks_in_a_thread_another_one_answers_after_it(tmp_path: Path) -> None:
    said = []
    for beds in ("0", "3"):  # the first process asks; what is given to it is not looked at
        done = subprocess.run(
            [sys.executable, "-W", "error", str(EXAMPLE), beds],
            cwd=tmp_path,
            env=os.environ | {"AGENTRAG_HOME": str(tmp_path / "home")},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert said[0].startswith("asked: {'flow.0.ask_human': {'question': \"For 'a room': what shall be booked?\"")
    assert "'schema': {'type': 'object'" in said[0]
    assert said[1] == "booked: {'beds': 3}\n"


async def test_the_file_is_its_owners_and_each_tenant_has_its_own(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    for each in (settings, settings.of_tenant("ada")):
        async with open_checkpointer(each) as saver:
            await saver.aget_tuple({"configurable": {"thread_id": "1"}})
    files = [tmp_path / "threads.sqlite", tmp_path / "tenants" / "ada" / "threads.sqlite"]
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600, 0o600]


async def test_a_home_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"Threads cannot be kept in .*threads\.sqlite: Not a directory"):
        async with open_checkpointer(Settings(home=tmp_path / "file" / "home")):
            pass
