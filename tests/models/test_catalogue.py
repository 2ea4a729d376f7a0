from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentrag.core.errors import CatalogueError, ChecksumError, NotPulledError
from agentrag.core.settings import DEFAULT_EMBEDDER, DEFAULT_MODEL
from agentrag.models.catalogue import CATALOGUE, ModelEntry, folder, model_files, pulled_names, sha256_of, write_record

NAME = "smollm2-135m-instruct"


def pulled(cache: Path, content: bytes = b"GGUF weights") -> Path:
    """A model that was pulled, and the path of its file."""
    home = folder(NAME, cache)
    home.mkdir(parents=True)
    path = home / "model.gguf"
    path.write_bytes(content)
    write_record(home, "packages", {"weights": (path, sha256_of(path))})
    return path


def test_the_defaults_are_in_the_catalogue() -> None:
    assert CATALOGUE[DEFAULT_MODEL].kind == "chat"
    assert CATALOGUE[DEFAULT_EMBEDDER].kind == "embedder"
    assert {file.role for file in CATALOGUE[DEFAULT_EMBEDDER].files} == {"weights", "tokenizer"}


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=lambda entry: entry.name)
def test_every_entry_states_licence_packager_hashes_and_parts_that_add_up(entry: ModelEntry) -> None:
    assert entry.licence
    assert entry.packager
    for file in entry.files:
        assert sum(part.size for part in file.parts) == file.size
        assert len(bytes.fromhex(file.sha256)) == 32
        assert all(part.version and part.path for part in file.parts)
    assert bool(entry.notice) == (entry.licence != "Apache-2.0")


def test_what_was_pulled_is_found(tmp_path: Path) -> None:
    path = pulled(tmp_path)
    assert model_files(NAME, tmp_path) == {"weights": path}
    assert pulled_names(tmp_path) == [NAME]


def test_a_model_that_is_not_there_says_which_command_gets_it(tmp_path: Path) -> None:
    with pytest.raises(NotPulledError, match=f"agentrag models pull {NAME}"):
        model_files(NAME, tmp_path)
    assert pulled_names(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("smollm2-135m", "Did you mean 'smollm2-135m-instruct'"),
        ("UPPER", "cannot be the name"),
        ("..", "cannot be the name"),
        ("/nowhere/x.gguf", "cannot be read"),
        ("missing.gguf", "cannot be read"),
    ],
)
def test_an_unknown_name_is_refused_with_advice(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(CatalogueError, match=says):
        model_files(name, tmp_path)


def test_any_gguf_file_may_be_named_by_its_path(tmp_path: Path) -> None:
    good, bad = tmp_path / "mine.gguf", tmp_path / "bad.gguf"
    good.write_bytes(b"GGUF...")
    bad.write_bytes(b"<html>")
    assert model_files(str(good), tmp_path) == {"weights": good}
    with pytest.raises(CatalogueError, match="is not a GGUF file"):
        model_files(str(bad), tmp_path)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda path: path.write_bytes(b"GGUF"), "has 4 bytes"),
        (lambda path: path.write_bytes(b"GGUF damaged"), "has sha256"),
        (lambda path: path.unlink(), "is gone"),
    ],
    ids=["cut", "changed", "removed"],
)
def test_weights_that_are_not_what_was_pulled_are_refused(tmp_path: Path, damage: object, says: str) -> None:
    path = pulled(tmp_path)
    assert callable(damage)
    damage(path)
    with pytest.raises(ChecksumError, match=f"{says}.*agentrag models pull {NAME}"):
        model_files(NAME, tmp_path)


def test_a_file_that_was_only_touched_is_still_good(tmp_path: Path) -> None:
    path = pulled(tmp_path)
    os.utime(path)
    assert model_files(NAME, tmp_path) == {"weights": path}


def test_a_broken_record_is_said_to_be_broken(tmp_path: Path) -> None:
    path = pulled(tmp_path)
    (path.parent / "pulled.json").write_text('{"source": 1}')
    with pytest.raises(CatalogueError, match="agentrag models pull"):
        model_files(NAME, tmp_path)
