"""The command itself, as a process, on questions of three kinds."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from agentrag.evaluation.data.dataset import DataSet
from agentrag.evaluation.data.splits import load_splits
from tests.cli.conftest import Command
from tests.evaluation.conftest import write_lines

ASKED = {
    "Where does the river {} reach the sea?": "Rhine Danube Elbe Volga Loire Thames Seine Oder Po Ebro Tagus Rhone",
    "How long do I bake {} in the oven?": "bread cake pie pizza lasagne pudding muffins biscuits potatoes fish ham rolls",
    "Who wrote the opera {}?": "Carmen Aida Tosca Norma Salome Fidelio Manon Falstaff Elektra Lulu Rusalka Otello",
}


@pytest.fixture
def kinds(tmp_path: Path) -> Path:
    """A data set with queries and nothing else; the ids tell the kind, as where-Rhine does."""
    rows = [
        {"id": f"{asked.split()[0]}-{name}", "text": asked.format(name)}
        for asked, names in ASKED.items()
        for name in names.split()
    ]
    folder = tmp_path / "kinds"
    folder.mkdir()
    write_lines(folder / "queries.jsonl", rows)
    return folder


@pytest.mark.model
@pytest.mark.parametrize("protocol", ["interpolation", "extrapolation", "random"])
def test_a_split_is_written_shown_and_read_back(command: Command, kinds: Path, cache: Path, protocol: str) -> None:
    arguments = ("split", "kinds", "--protocol", protocol, "--buckets", "3", "--seed", "5", "-o", "folds.json")
    done = command(*arguments, AGENTRAG_CACHE=str(cache))
    assert done.code == 0, done.err
    assert "folds: folds.json" in done.err
    made = load_splits(kinds.parent / "folds.json", DataSet(kinds))
    assert (made.protocol, made.data, made.buckets, made.seed) == (protocol, "kinds", 3, 5)
    assert made.embedder.endswith("/mean/256")
    lines = done.out.splitlines()
    assert lines[0].split() == ["fold", "train", "test", "nearest"]
    sizes = [tuple(map(int, line.split()[1:3])) for line in lines[1:4]]
    assert sizes == [(len(fold.train), len(fold.test)) for fold in made.folds]
    inside, outside = (float(line.split()[0]) for line in lines[-2:])
    if protocol == "random":
        assert inside == pytest.approx(outside, abs=0.15)
    else:
        assert inside > outside + 0.3


@pytest.mark.model
def test_the_bucket_left_out_holds_one_kind_of_question(command: Command, kinds: Path, cache: Path) -> None:
    done = command("split", "kinds", "--protocol", "extrapolation", "--buckets", "3", "--json", AGENTRAG_CACHE=str(cache))
    assert done.code == 0, done.err
    tested = [{name.partition("-")[0] for name in fold["test"]} for fold in json.loads(done.out)["folds"]]
    trained = [{name.partition("-")[0] for name in fold["train"]} for fold in json.loads(done.out)["folds"]]
    assert sorted(map(sorted, tested)) == [["How"], ["Where"], ["Who"]]
    assert all(inside | outside == {"How", "Where", "Who"} for inside, outside in zip(trained, tested, strict=True))
    assert not (kinds.parent / "folds.json").exists()


@pytest.mark.model
def test_the_order_of_the_file_does_not_matter(command: Command, kinds: Path, cache: Path) -> None:
    arguments = ("split", "kinds", "--protocol", "random", "--buckets", "3", "--json")
    first = command(*arguments, AGENTRAG_CACHE=str(cache))
    path = kinds / "queries.jsonl"
    path.write_text("".join(reversed(path.read_text(encoding="utf-8").splitlines(keepends=True))), encoding="utf-8")
    assert command(*arguments, AGENTRAG_CACHE=str(cache)).out == first.out != ""


@pytest.mark.model
def test_more_buckets_than_the_queries_fill_are_told(command: Command, kinds: Path, cache: Path) -> None:
    done = command("split", "kinds", "--protocol", "extrapolation", "--buckets", "40", AGENTRAG_CACHE=str(cache))
    assert (done.code, done.out) == (1, "")
    assert done.err == "error: 36 queries are too few for 40 buckets, or too many of them are equal.\n"


@pytest.mark.model
@pytest.mark.parametrize("protocol", ["interpolation", "extrapolation"])
def test_a_bucket_without_a_query_to_test_on_is_told_and_no_file_is_left(
    command: Command, tmp_path: Path, cache: Path, protocol: str
) -> None:
    quiz = Path(__file__).parents[2] / "examples" / "quiz"
    arguments = ("split", str(quiz), "--protocol", protocol, "--buckets", "5", "-o", "folds.json")
    done = command(*arguments, AGENTRAG_CACHE=str(cache))
    assert (done.code, done.out) == (1, "")
    said = r"error: Fold \d of 5 has no query to test on, in the report half\. Use fewer buckets, or more queries\.\n"
    assert re.fullmatch(said, done.err)
    assert not (tmp_path / "folds.json").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["kinds"], 2, "--protocol"),
        (["kinds", "--protocol", "other"], 2, "'other' is not one of"),
        (["kinds", "--protocol", "random", "--buckets", "1"], 2, "--buckets"),
        (["missing", "--protocol", "random"], 1, "missing is not a folder"),
        (["kinds", "--protocol", "random"], 1, "agentrag models pull all-minilm-l6-v2"),
    ],
    ids=["no protocol", "no such protocol", "one bucket", "no data set", "no embedder"],
)
def test_what_cannot_be_split_is_told(command: Command, kinds: Path, arguments: list[str], code: int, said: str) -> None:
    done = command("split", *arguments)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert "Traceback" not in done.err
