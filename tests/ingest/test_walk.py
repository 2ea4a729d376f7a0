"""Walking: in order, never out of the tree, never for ever, and with a reason for all that is left out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentrag.ingest.walk import walk


def tree(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name, encoding="utf-8")
    return root


def test_files_come_in_order_and_once_and_hidden_ones_do_not(tmp_path: Path) -> None:
    root = tree(tmp_path, "b.txt", "a/z.txt", "a/.hidden", ".git/config", "c/a.txt", "B.txt")
    found = walk([root / "a" / "z.txt", root, root])
    assert [str(file.path.relative_to(root)) for file in found.files] == ["a/z.txt", "B.txt", "b.txt", "c/a.txt"]
    assert [file.named for file in found.files] == [True, False, False, False]
    assert found.skipped == []


def test_links_out_of_the_tree_are_reported_and_loops_end(tmp_path: Path) -> None:
    outside = tree(tmp_path / "outside", "secret.txt")
    root = tree(tmp_path / "root", "a.txt", "d/b.txt")
    (root / "away.txt").symlink_to(outside / "secret.txt")
    (root / "away").symlink_to(outside)
    (root / "d" / "loop").symlink_to(root)
    (root / "self").symlink_to(root / "self")
    (root / "dead").symlink_to(root / "nowhere")
    (root / "twin.txt").symlink_to(root / "a.txt")
    found = walk([root])
    assert [file.path.name for file in found.files] == ["a.txt", "b.txt"]
    assert {Path(entry.source).name: entry.reason.split(":")[0].split(";")[0] for entry in found.skipped} == {
        "away.txt": "a link out of the folder",
        "away": "a link out of the folder",
        "self": "a broken link",
        "dead": "a broken link",
    }


def test_a_link_that_is_named_is_followed(tmp_path: Path) -> None:
    tree(tmp_path, "real.txt")
    (tmp_path / "link.txt").symlink_to(tmp_path / "real.txt")
    assert [file.path.name for file in walk([tmp_path / "link.txt"]).files] == ["real.txt"]


def test_what_is_missing_empty_or_no_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    os.mkfifo(tmp_path / "pipe.txt")
    found = walk([tmp_path / "missing.txt", tmp_path / "empty.txt", tmp_path / "pipe.txt"])
    assert found.files == []
    assert [(entry.reason, entry.named) for entry in found.skipped] == [
        ("does not exist", True),
        ("empty", True),
        ("not a regular file", True),
    ]


def test_a_deep_tree_is_walked(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 500)
    deep.mkdir(parents=True)
    (deep / "a.txt").write_text("x", encoding="utf-8")
    assert len(walk([tmp_path]).files) == 1


@pytest.mark.skipif(os.geteuid() != 0 and os.name != "posix", reason="needs POSIX permissions")
def test_an_unreadable_folder_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree(tmp_path, "a.txt", "closed/b.txt")
    scandir = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    found = walk([root])
    assert [(Path(entry.source).name, entry.reason) for entry in found.skipped] == [
        ("closed", "not readable: permission denied")
    ]
