from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tools import build_docs, check_docs
from tools.doc_regions import REGIONS, settings


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Checks one page of its own documentation and returns the findings about it."""
    monkeypatch.setattr(check_docs, "ROOT", tmp_path)
    (tmp_path / "other.md").write_text("# Other page\n\n## A `heading`, of sorts\n", encoding="utf-8")

    def findings(text: str) -> list[str]:
        (tmp_path / "page.md").write_text(text, encoding="utf-8")
        monkeypatch.setattr(check_docs, "pages", lambda: [tmp_path / "page.md"])
        return [*check_docs.broken_links(), *check_docs.machine_paths()]

    return findings


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[a](other.md) [b](other.md#a-heading-of-sorts) [c](https://example.org/x)", []),
        ("[a](nothing.md)", ["page.md: link nothing.md leads nowhere"]),
        ("[a](other.md#nothing)", ["page.md: link other.md#nothing names a heading that is not there"]),
        ("[a](../../outside.md)", ["page.md: link ../../outside.md leaves the repository"]),
        ("![a](nothing.svg)", ["page.md: link nothing.svg leads nowhere"]),
        ("`[a](nothing.md)`\n\n```text\n[a](nothing.md)\n```\n", []),
        ("see " + "/home/" + "someone/notes", ["page.md:1: /home/someone is a path of one machine"]),
    ],
    ids=["good", "file", "heading", "outside", "picture", "code", "machine path"],
)
def test_links_and_paths_are_checked(page: Callable[[str], list[str]], text: str, found: list[str]) -> None:
    assert page(text) == found


def test_a_region_is_filled_with_what_the_code_says() -> None:
    text = "# Page\n\n<!-- begin: settings -->\nold\n<!-- end: settings -->\n\nafter\n"
    assert build_docs.filled(text) == f"# Page\n\n<!-- begin: settings -->\n\n{settings()}\n\n<!-- end: settings -->\n\nafter\n"
    assert build_docs.filled(build_docs.filled(text)) == build_docs.filled(text)


def test_a_region_that_nothing_fills_is_an_error() -> None:
    with pytest.raises(KeyError, match="nonsense"):
        build_docs.filled("<!-- begin: nonsense -->\n<!-- end: nonsense -->")


def test_the_table_of_settings_unfolds_sections_and_names_variables() -> None:
    assert "| `chunk.tokens` | `AGENTRAG_CHUNK__TOKENS` | `int` ≥ 16, ≤ 256 | `160` |" in settings()


@pytest.mark.parametrize("name", sorted(set(REGIONS) - {"squad"}))
def test_every_region_is_used_has_content_and_is_the_same_in_every_process(name: str) -> None:
    assert REGIONS[name]().strip()
    assert " at 0x" not in REGIONS[name]()
    assert any(f"<!-- begin: {name} -->" in page.read_text(encoding="utf-8") for page in build_docs.pages())


def test_the_documentation_is_current_and_complete() -> None:
    assert check_docs.findings() == []
