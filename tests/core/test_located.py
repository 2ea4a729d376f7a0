"""YAML with places."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from agentrag.core.errors import SpecError
from agentrag.core.located import MAX_CHARACTERS, Path, load_yaml, validation_problems

FILE = """\
name: ask
nodes:
  search: {k: 5, where: {lang: en}}
flow:
  - search
  - {when: "a == 'b'"}
"""


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        ((), (1, 1), (1, 1)),
        (("name",), (1, 7), (1, 1)),
        (("nodes", "search", "k"), (3, 15), (3, 12)),
        (("nodes", "search", "where", "lang"), (3, 32), (3, 26)),
        (("flow", 0), (5, 5), (5, 5)),
        (("flow", 1, "when"), (6, 12), (6, 6)),
        (("nodes", "serach", "k"), (3, 3), (3, 3)),
        (("flow", 7), (5, 3), (5, 3)),
        (("nothing",), (1, 1), (1, 1)),
    ],
)
def test_every_value_and_key_knows_its_line_and_column(path: Path, value: tuple[int, int], key: tuple[int, int]) -> None:
    located = load_yaml(FILE, "f.yaml")
    assert (located.place(path), located.key_place(path)) == (value, key)


@pytest.mark.parametrize(
    ("text", "sought", "place"),
    [
        ("a: plain text", "text", (1, 10)),
        ("a: 'it''s here'", "here", (1, 11)),
        (r'a: "tab\t\u00e9 z"', "z", (1, 17)),
        ("a: |\n   one\n   two words\n", "words", (3, 8)),
        ("a: |-\n  one", "one", (2, 3)),
        ("a: >\n  folded\n  text\n", "text", (1, 4)),
        ("a: 'two\n  lines'", "lines", (1, 4)),
        ("b: 1", "", (1, 1)),
    ],
    ids=["plain", "single quotes", "double quotes", "block", "block at the end", "folded", "two lines", "missing"],
)
def test_a_character_inside_a_text_knows_its_place_where_yaml_keeps_it(text: str, sought: str, place: tuple[int, int]) -> None:
    located = load_yaml(text, "f.yaml")
    assert located.inner_place(("a",), str(located.data.get("a")).find(sought)) == place


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &x 1\nb: *x", "1:4 YAML anchors and aliases are not part of this language"),
        ("&a [*a]", "1:1 YAML anchors and aliases are not part of this language"),
        ("a: &x 1\nb: &x 1", "1:4 YAML anchors and aliases are not part of this language"),
        ("a: *nobody", "1:4 is not YAML: found undefined alias 'nobody'"),
        ("a: !!python/object:os.system x", "1:4 YAML tag 'python/object:os.system' is not part of this language"),
        ("<<: {a: 1}", "1:1 YAML tag 'merge' is not part of this language"),
        ("# yes is true there\n%YAML 1.1\n---\na: yes", "2:1 YAML directives are not part of this language"),
        ("[" * 3000, "1:41 is nested more than 40 levels deep"),
        ("{a: " * 50 + "1" + "}" * 50, "1:158 is nested more than 40 levels deep"),
        ("a: 1\na: 2", '2:1 is not YAML: found duplicate key "a" with value "2" (original value: "1")'),
        ("--- 1\n--- 2", "2:1 is not YAML: but found another document"),
        ("? {a: b}\n: c", "1:3 is not YAML: found unhashable key"),
        (r'a: "\ud83d\ude00"', "1:4 an escape like \\ud83d is half a character; write the character itself"),
        ("a: 2024-13-45", "1:1 is not YAML: month must be in 1..12"),
        ("a: " + "x" * MAX_CHARACTERS, "1:1 is larger than 100,000 characters"),
    ],
    ids=lambda value: value[:24],
)
def test_what_the_language_does_not_have_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_yaml(text, "f.yaml")
    assert str(caught.value) == f"f.yaml:{said}"


@pytest.mark.parametrize(("text", "data"), [("", None), ("# only a comment\n", None), ("\ufeffa: yes", {"a": "yes"})])
def test_plain_yaml_becomes_plain_data(text: str, data: object) -> None:
    assert load_yaml(text, "f.yaml").data == data


class _Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    k: int


class _Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    inner: _Inner
    names: list[str]


def test_all_errors_of_a_model_become_problems_of_the_file() -> None:
    located = load_yaml("inner: {k: ten, kk: 1}\nnamse: [a]\n", "f.yaml")
    with pytest.raises(ValidationError) as caught:
        _Outer.model_validate(located.data)
    problems = validation_problems(caught.value, located, known=lambda path: ["k"] if path else ["inner", "names"])
    assert str(SpecError(problems)).splitlines() == [
        "f.yaml:1:1 'names' is missing",
        "f.yaml:1:12 inner.k: 'ten': should be a valid integer, unable to parse string as an integer",
        "f.yaml:1:17 inner.kk: Unknown key 'kk'. Did you mean 'k'? Known: k.",
        "f.yaml:2:1 namse: Unknown key 'namse'. Did you mean 'names'? Known: inner, names.",
    ]
