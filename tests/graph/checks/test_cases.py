"""Every file in tests/graphs is a graph in one situation; lines `#! LINE:COLUMN PATH: MESSAGE` are all that is said of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agentrag.core.errors import SpecError
from agentrag.graph.loader import load_graph

CASES = sorted((Path(__file__).parents[2] / "graphs").glob("*.yaml"))


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_every_error_of_a_graph_file_is_told_at_once_and_with_its_place(file: Path) -> None:
    expected = [line.removeprefix("#! ") for line in file.read_text().splitlines() if line.startswith("#! ")]
    assert told(file) == expected
    assert bool(expected) != file.stem.startswith("valid")


def told(file: Path) -> list[str]:
    """What loading says of a file, without the file's name."""
    try:
        load_graph(file)
    except SpecError as error:
        lines = [line.removeprefix(f"{file}:").replace(str(file.parent), "GRAPHS") for line in str(error).splitlines()]
        return [re.sub(r"Known: .*?\.(?= |$)", "Known: ...", line) for line in lines]  # the lists grow with the package
    return []
