"""The page in a browser that shows nothing on a screen."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import zlib
from pathlib import Path

import pytest

from agentrag.evaluation.report.content import report_on
from agentrag.evaluation.report.page import page
from tests.evaluation.report.samples import made

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")


def browse(folder: Path, address: Path, *arguments: str) -> str:
    """What the browser prints; its own files are in `folder`."""
    own = ["--headless", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder / 'profile'}"]
    own += ["--no-sandbox"] if os.geteuid() == 0 else []  # its sandbox refuses to work for root
    done = subprocess.run(
        [str(BROWSER), *own, *arguments, address.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = [made("plain", 0.4, signals={"answerable": "relevant"}), made("strong", 0.9, tokens=900)]
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page(report_on(runs)), encoding="utf-8")
    return path


@needs_browser
def test_a_browser_finds_headings_charts_and_numbers(written: Path, tmp_path: Path) -> None:
    dom = browse(tmp_path, written, "--dump-dom")
    report = report_on([made("plain", 0.4, signals={"answerable": "relevant"}), made("strong", 0.9, tokens=900)])
    headings = re.findall(r"<h[12][^>]*>([^<]+)</h", dom)
    assert headings[0] == "2 evaluations on rivers"
    assert headings[1:] == [
        "Metrics", "Comparison with plain", "Quality and cost", "Calibration", "Commands and environment", "Questions",
    ]  # fmt: skip
    rows = sum(len(group.rows) for group in report.groups)
    assert dom.count("<svg") == 4 + rows + len(report.scatters) + len(report.tradeoffs) + 1  # 4 marks of runs
    assert f"{report.groups[0].rows[0].values[1].mean:.3f}" in dom  # type: ignore[union-attr]  # it has one
    assert "<script>alert" not in dom


@needs_browser
@pytest.mark.parametrize("width", [1280, 500])
def test_a_picture_of_the_page_is_not_blank(written: Path, tmp_path: Path, width: int) -> None:
    picture = tmp_path / "page.png"
    browse(tmp_path, written, f"--screenshot={picture}", f"--window-size={width},2400")
    colours, size = looked_at(picture.read_bytes())
    assert size == (width, 2400)
    assert colours > 50


@needs_browser
def test_what_is_folded_on_the_screen_is_printed(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(page(report_on([made("plain", 0.4, n=400)])), encoding="utf-8")
    folded = path.with_name("folded.html")
    folded.write_text(re.sub("details::details-content {[^}]*}", "", path.read_text(encoding="utf-8")), encoding="utf-8")
    assert pages(tmp_path, path) > pages(tmp_path, folded) + 3


def pages(folder: Path, address: Path) -> int:
    """How many it has when it is printed."""
    printed = folder / "printed.pdf"
    browse(folder, address, f"--print-to-pdf={printed}")
    return len(re.findall(rb"/Type\s*/Page\b", printed.read_bytes()))


def looked_at(png: bytes) -> tuple[int, tuple[int, int]]:
    """How many different values the bytes of its filtered rows have, and its size; 1 or 2 values are a blank picture."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    size = int.from_bytes(png[16:20]), int.from_bytes(png[20:24])
    data, place = b"", 8
    while place < len(png):
        length = int.from_bytes(png[place : place + 4])
        if png[place + 4 : place + 8] == b"IDAT":
            data += png[place + 8 : place + 8 + length]
        place += length + 12
    return len(set(zlib.decompress(data))), size
