import gzip
import json
from pathlib import Path

import pytest

from agentrag.core.errors import DataSetError
from agentrag.evaluation.data.dataset import DataSet
from agentrag.evaluation.data.tools import words, write_corpus

TOOLS = [
    {
        "name": "weather.getForecast",
        "description": "Forecast of a place.",
        "parameters": {"placeName": {"type": "string"}, "days": {}},
    },
    {"name": "stop_all", "description": ""},
]


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    with gzip.open(tmp_path / "tools.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(tool) + "\n" for tool in TOOLS)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("getHTTPStatus", "get HTTP Status"),
        ("math.hypot", "math hypot"),
        ("12306-mcp/get-station-by-telecode", "12306 mcp get station by telecode"),
        ("Kick.com API v2/Get User Info", "Kick com API v2 Get User Info"),
        ("查询_天气", "查询 天气"),
    ],
)
def test_the_words_of_a_callable_name(name: str, expected: str) -> None:
    assert words(name) == expected


def test_a_tool_is_a_document_of_its_words_its_description_and_its_parameters(catalogue: Path) -> None:
    data = DataSet(catalogue)
    assert data.has_tools
    assert list(data.documents()) == [
        {"id": "weather.getForecast", "title": "weather get Forecast", "text": "Forecast of a place.\nplace Name, days"},
        {"id": "stop_all", "title": "stop all", "text": ""},
    ]


def test_tools_are_written_as_a_corpus(catalogue: Path) -> None:
    write_corpus(DataSet(catalogue).corpus, catalogue / "made" / "corpus.jsonl")
    lines = (catalogue / "made" / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["weather.getForecast", "stop_all"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"description": "x"}', "has no text under 'name'"),
        ('{"name": "a"}\n{"name": "a"}', "tool 'a' is already there at .*:1"),
        ('{"name": "a", "parameters": ["x"]}', "'parameters' an object"),
    ],
    ids=["nameless", "twice", "parameters"],
)
def test_a_wrong_tool_is_told_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "tools.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(DataSetError, match=says):
        list(DataSet(tmp_path).documents())
