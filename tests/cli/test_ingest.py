"""`agentrag ingest`: the report, the exit code, and one line for everything that can be wrong."""

from __future__ import annotations

import json
import os
import pty
import random
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas
from typer.testing import CliRunner

from agentrag.cli.ingest import ingest
from agentrag.testing.fakes import WordEmbedder

WORKER = Path(__file__).parents[1] / "ingest" / "worker.py"


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


Ingest = Callable[..., Ended]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ingest:
    """Runs `agentrag ingest ARGUMENTS --collection notes` with an embedder of words."""
    monkeypatch.setenv("AGENTRAG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("agentrag.retrieval.embed.open_embedder", lambda settings: WordEmbedder())
    monkeypatch.setattr("agentrag.ingest.pipeline.token_counter", lambda settings: lambda text: len(text.split()))
    app = typer.Typer()
    app.command()(ingest)

    def ended(*arguments: str | Path) -> Ended:
        result = CliRunner().invoke(app, [*map(str, arguments), "--collection", "notes"])
        return Ended(result.exit_code, result.stdout, result.stderr)

    return ended


def folder(root: Path, **texts: str) -> Path:
    root.mkdir()
    for name, text in texts.items():
        (root / f"{name}.md").write_text(text, encoding="utf-8")
    return root


@contextmanager
def not_root(folder: Path) -> Iterator[None]:
    """Be a user who may not read everything, and who owns the folder."""
    if os.geteuid() != 0:
        yield
        return
    os.chown(folder, 65534, 65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[None]:
    """A file system of its own of a given size, in memory."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a file system is not allowed here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_the_report_counts_documents_and_says_what_was_skipped_and_why(tmp_path: Path, run: Ingest) -> None:
    docs = folder(tmp_path / "docs", a="# A\n\nOne.", b="# B\n\nTwo.")
    (docs / "image.png").write_bytes(b"x")
    first = run(docs)
    assert (first.code, first.out.split(" in ")[0]) == (0, "notes: 2 added, 0 replaced, 0 unchanged, 0 removed; 2 passages")
    assert first.err == f"skipped {docs / 'image.png'}: unknown file type '.png'\n"
    (docs / "a.md").write_text("# A\n\nThree.", encoding="utf-8")
    (docs / "b.md").unlink()
    assert run(docs, "--prune").out.startswith("notes: 0 added, 1 replaced, 0 unchanged, 1 removed; 1 passages")


def test_json_gives_the_whole_report(tmp_path: Path, run: Ingest) -> None:
    docs = folder(tmp_path / "docs", a="One.")
    (docs / "x.tsv").write_bytes(b"x")
    report = json.loads(run(docs, "--json").out)
    assert report.pop("seconds") >= 0
    assert report == {
        "added": 1,
        "replaced": 0,
        "unchanged": 0,
        "removed": 0,
        "passages": 1,
        "skipped": [{"source": str(docs / "x.tsv"), "reason": "unknown file type '.tsv'", "named": False}],
    }


def _pdf(path: Path, pages: int = 1, **settings: StandardEncryption) -> None:
    canvas = Canvas(str(path), **settings)
    for _ in range(pages):
        canvas.drawString(72, 700, "x")
        canvas.showPage()
    canvas.save()


def _bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("word/document.xml", b" " * (20 << 20))


BAD: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "missing": ("a.txt", lambda path: None, "does not exist"),
    "empty": ("a.txt", lambda path: path.touch(), "empty"),
    "garbage": ("a.txt", lambda path: path.write_bytes(random.Random(1).randbytes(9000)), "binary data, not text"),
    "encoding": ("a.txt", lambda path: path.write_bytes(b"\x80\x81\xfe\xff" * 99), "its encoding cannot be told"),
    "unknown type": ("a.xyz", lambda path: path.write_bytes(b"x"), "unknown file type '.xyz'; known are"),
    "locked pdf": ("a.pdf", lambda path: _pdf(path, encrypt=StandardEncryption("secret")), "locked by a password"),
    "broken pdf": ("a.pdf", lambda path: path.write_bytes(b"%PDF-1.7 nothing"), "a broken PDF"),
    "huge pdf": ("a.pdf", lambda path: _pdf(path, 5001), "5,001 pages; at most 5,000 are read"),
    "zip bomb": ("a.docx", _bomb, "a ZIP bomb"),
    "dead link": ("a.txt", lambda path: path.symlink_to("nowhere"), "does not exist"),
    "link loop": ("a.txt", lambda path: path.symlink_to(path), "loop"),
    "pipe": ("a.txt", os.mkfifo, "not a regular file"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_one_line_and_the_good_one_beside_it_is_ingested(tmp_path: Path, run: Ingest, case: str) -> None:
    name, make, reason = BAD[case]
    docs = folder(tmp_path / "docs", good="Fine.")
    make(docs / name)
    ended = run(docs / name, docs / "good.md")
    assert ended.code == 1
    assert len(ended.err.splitlines()) == 1
    assert ended.err.startswith(f"error: {docs / name}: ")
    assert reason in ended.err
    assert "1 added" in ended.out


def test_what_is_bad_inside_a_folder_is_told_and_no_failure(tmp_path: Path, run: Ingest) -> None:
    docs = folder(tmp_path / "docs", good="Fine.")
    (docs / "broken.pdf").write_bytes(b"%PDF-1.7 nothing")
    (docs / "away.md").symlink_to(tmp_path)
    ended = run(docs)
    assert ended.code == 0
    assert [line.split(": ")[1] for line in sorted(ended.err.splitlines())] == [
        "a link out of the folder; name its target to ingest it",
        "a broken PDF, or none (Failed to load document (PDFium",
    ]


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs POSIX permissions")
def test_an_unreadable_file_is_one_line(run: Ingest, monkeypatch: pytest.MonkeyPatch) -> None:
    # pytest's own folder belongs to the user who may read everything here
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "secret.txt"
        file.write_text("x", encoding="utf-8")
        file.chmod(0)
        monkeypatch.setenv("AGENTRAG_HOME", f"{name}/home")
        with not_root(Path(name)):
            ended = run(file)
    assert ended == Ended(1, ended.out, f"error: {file.resolve()}: not readable: permission denied\n")


def test_control_characters_of_names_titles_and_text_never_reach_the_terminal(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for name in ("\x1b[2Jevil\x07.md", "\x1b]0;owned\x07.png", "a\nb.xyz"):
        (docs / name).write_text("# Title \x1b[2J\n\nText \x1b[2J. " * 300, encoding="utf-8")
    primary, secondary = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, str(WORKER), "1.0", str(docs), "--collection", "notes"],
        env=os.environ | {"AGENTRAG_HOME": str(tmp_path / "home"), "TERM": "xterm", "COLUMNS": "120"},
        stdout=secondary,
        stderr=secondary,
    )
    os.close(secondary)
    seen = b"".join(_read(primary))
    assert process.wait(60) == 0, seen
    assert b"1 added" in seen
    assert b"passages/s" in seen
    assert b"\x1b[2J" not in seen
    assert b"\x07" not in seen
    assert b"\x1b]" not in seen


def _read(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            data = os.read(terminal, 1 << 16)
        except OSError:  # Linux says so at the end of a terminal
            data = b""
        if not data:
            os.close(terminal)
            return
        yield data


def test_a_model_that_is_not_pulled_is_named_with_the_command_that_pulls_it(tmp_path: Path, command: Ingest) -> None:
    docs = folder(tmp_path / "docs", a="One.")
    ended = command("ingest", str(docs), "--collection", "notes")
    assert ended.code == 1
    assert ended.err == (
        "error: Model 'all-minilm-l6-v2' is not on this machine. Get it with: agentrag models pull all-minilm-l6-v2\n"
    )


@pytest.mark.parametrize("arguments", [["x"], ["--collection", "notes"]], ids=["no collection", "no path"])
def test_wrong_usage_is_exit_code_two(command: Ingest, arguments: list[str]) -> None:
    assert command("ingest", *arguments).code == 2


def test_a_full_disk_is_one_line_and_what_was_complete_stays(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    with mounted(small, "3m"):
        docs = tmp_path / "docs"
        docs.mkdir()
        for number in range(300):
            (docs / f"{number:03}.txt").write_text(f"Sentence {number} is like all others. " * 300, encoding="utf-8")
        arguments = [sys.executable, str(WORKER), "0", str(docs), "--collection", "notes"]
        environment = os.environ | {"AGENTRAG_HOME": str(small)}
        done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert "disk is full" in done.stderr
        assert "run this again" in done.stderr
        subprocess.run(["mount", "-o", "remount,size=200m", str(small)], check=True)
        again = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=120)
        assert again.returncode == 0, again.stderr
        kept = int(again.stdout.split(" replaced, ")[1].split(" unchanged")[0])
        assert kept > 0
        assert f"{300 - kept} added" in again.stdout


def test_a_slip_in_the_only_path_makes_no_collection(tmp_path: Path, run: Ingest) -> None:
    done = run(tmp_path / "nosuch")
    assert (done.code, done.err) == (1, f"error: {tmp_path / 'nosuch'}: no such file or folder\n")
    assert not (tmp_path / "home" / "collections").exists()
