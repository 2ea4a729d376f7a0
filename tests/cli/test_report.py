"""`agentrag report`, as a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentrag.evaluation.evaluation import Evaluation
from agentrag.evaluation.folder.folder import RunFolder
from tests.cli.conftest import Command
from tests.evaluation.conftest import write_rivers
from tests.evaluation.report.samples import HOSTILE, made


def keep(evaluation: Evaluation, folder: Path) -> None:
    """Write an evaluation as one that was run."""
    run = RunFolder(folder)
    run.begin({"run": evaluation.run, **evaluation.about}, [outcome.query for outcome in evaluation.outcomes], {})
    run.finish(evaluation.outcomes, evaluation.scores, evaluation.as_json())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    keep(made("plain", 0.4, signals={"answerable": "relevant"}), tmp_path / "home" / "evals" / "plain")
    keep(made("strong", 0.9, tokens=900), tmp_path / "strong")
    return tmp_path


def test_runs_by_id_and_by_folder_become_a_page(command: Command, folder: Path) -> None:
    done = command("report", "plain", "strong", "-o", "page.html")
    assert (done.code, done.out) == (0, ""), done.err
    assert "page.html" in done.err
    written = (folder / "page.html").read_text(encoding="utf-8")
    assert "Comparison with plain" in written
    assert "Calibration" in written
    assert "<script" not in written
    again = command("report", "plain", "strong", "-o", "again.html")
    assert again.code == 0
    assert (folder / "again.html").read_bytes() == (folder / "page.html").read_bytes()


def test_the_suffix_decides_the_form(command: Command, folder: Path) -> None:
    done = command("report", "plain", "-o", "page.md")
    assert done.code == 0, done.err
    written = (folder / "page.md").read_text(encoding="utf-8")
    assert written.startswith("# plain on rivers\n")
    assert HOSTILE not in written


def test_another_form_is_wrong_usage_and_nothing_is_written(command: Command, folder: Path) -> None:
    done = command("report", "plain", "-o", "page.pdf")
    assert done.code == 2
    assert "page.pdf" in done.err
    assert not (folder / "page.pdf").exists()
    assert command("report", "plain").code == 2


def test_named_metrics_are_shown_alone(command: Command, folder: Path) -> None:
    done = command("report", "plain", "-o", "page.md", "--metric", "recall@1")
    assert done.code == 0, done.err
    written = (folder / "page.md").read_text(encoding="utf-8")
    assert "| recall@1 |" in written
    assert "| f1 |" not in written
    wrong = command("report", "plain", "-o", "wrong.md", "--metric", "f2")
    assert wrong.code == 1
    assert "Unknown metric 'f2'" in wrong.err


def test_rankings_of_other_tools_are_reported_on_a_data_set(command: Command, tmp_path: Path) -> None:
    write_rivers(tmp_path / "rivers")
    (tmp_path / "theirs.trec").write_text("q1 Q0 p1 1 2.0 x\nq2 Q0 p3 1 2.0 x\n", encoding="utf-8")
    done = command("report", "theirs.trec", "--data", "rivers", "-o", "page.md")
    assert done.code == 0, done.err
    assert "# theirs on rivers" in (tmp_path / "page.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("run", "says"), [("nothing", "there is no run 'nothing'"), (".", "is no run folder")])
def test_what_is_no_run_is_told(command: Command, run: str, says: str) -> None:
    done = command("report", run, "-o", "page.html")
    assert done.code == 1
    assert says in done.err
