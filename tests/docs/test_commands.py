"""What the documentation promises of commands on a machine with documents."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.docs.conftest import Machine

pytestmark = pytest.mark.model
QUESTION = "How many beds does Lantern House have?"


def test_the_demo_ends_with_a_cited_answer_and_the_next_commands(machine: Machine, tmp_path: Path) -> None:
    done = machine.run(tmp_path, "agentrag", "demo")
    assert done.returncode == 0, done.stderr
    assert "Lantern House has six beds [1]." in done.stdout
    assert "station-handbook.pdf, page 3" in done.stdout
    assert done.stdout.count("\n  agentrag ") == 3
    again = machine.run(tmp_path, "agentrag", "demo")
    assert "demo: 0 added, 0 replaced" in again.stdout


def test_every_citation_of_the_json_is_a_slice_of_its_source(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "house.txt").write_bytes("\ufeffÄltere Häuser.\r\nLantern House has six beds.\r\n".encode())
    made = machine.run(tmp_path, "agentrag", "ingest", "house.txt", "--collection", "house")
    assert made.returncode == 0, made.stderr
    done = machine.run(tmp_path, "agentrag", "ask", QUESTION, "--collection", "house", "--json")
    found = json.loads(done.stdout)
    text = "Ältere Häuser.\nLantern House has six beds.\n"
    (citation,) = found["citations"]
    assert citation["source"] == str((tmp_path / "house.txt").resolve())
    assert text[citation["start"] : citation["end"]] == citation["quote"] == "Lantern House has six beds."
    assert "[1]" in found["answer"]
    short = machine.run(tmp_path, "agentrag", "ask", QUESTION, "--collection", "house", "--json", "-i", "style=short")
    assert "[" not in json.loads(short.stdout)["answer"]


def test_a_source_below_the_current_folder_is_shown_relative_to_it(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "house.txt").write_text("Lantern House has six beds.\n", encoding="utf-8")
    machine.run(tmp_path, "agentrag", "ingest", "house.txt", "--collection", "near")
    done = machine.run(tmp_path, "agentrag", "ask", QUESTION, "--collection", "near")
    assert '\n[1] house.txt  "Lantern House has six beds."' in done.stdout


def test_an_unknown_collection_is_one_line_with_the_nearest_name(machine: Machine, tmp_path: Path) -> None:
    done = machine.run(tmp_path, "agentrag", "ask", QUESTION, "--collection", "dcos")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: Unknown collection 'dcos'. Did you mean 'docs'?")
    assert "agentrag ingest PATH --collection dcos" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_bad_document_name_reaches_no_terminal(machine: Machine, tmp_path: Path) -> None:
    bad = tmp_path / "house\x1b[31m.txt"
    bad.write_text("Lantern House has six beds.\x1b[2J\n", encoding="utf-8")
    machine.run(tmp_path, "agentrag", "ingest", bad.name, "--collection", "bad")
    done = machine.run(tmp_path, "agentrag", "ask", QUESTION, "--collection", "bad")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert "[1] house.txt" in done.stdout
