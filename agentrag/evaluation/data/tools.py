"""Catalogues of tools as corpora: a tool becomes a document of the words of its name, its description and its parameters."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agentrag.core.errors import DataSetError
from agentrag.evaluation.data.lines import rows, text_of

FORM = "name+description+parameters, ids as they are"
"""What a tool's text is made of; part of the name of the collection that holds it."""
_JOINTS = re.compile(r"[^0-9A-Za-z\u0080-\U0010ffff]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def words(name: str) -> str:
    """The words of a callable name.

    >>> words("getHTTPStatus_by-id/v2")
    'get HTTP Status by id v2'
    """
    return " ".join(_JOINTS.sub(" ", name).split())


def documents(path: Path) -> Iterator[dict[str, str]]:
    """id, title and text of each tool of a file of tools, in file order.

    Raises:
        DataSetError: A line has no name, or one that was there before.
    """
    seen: dict[str, str] = {}
    for place, row in rows(path):
        name = text_of(place, row, "name")
        if name in seen:
            raise DataSetError(f"{place}: tool '{name}' is already there at {seen[name]}.")
        seen[name] = place
        yield {"id": name, "title": words(name), "text": _text(place, row)}


def write_corpus(tools: Path, corpus: Path) -> None:
    """Write the documents of a file of tools as a corpus file."""
    corpus.parent.mkdir(parents=True, exist_ok=True)
    with corpus.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(document, ensure_ascii=False) + "\n" for document in documents(tools))


def _text(place: str, row: Mapping[str, Any]) -> str:
    description, parameters = row.get("description") or "", row.get("parameters") or {}
    if not isinstance(description, str) or not isinstance(parameters, dict):
        raise DataSetError(f"{place}: 'description' should be a text and 'parameters' an object.")
    return "\n".join(part for part in (description, ", ".join(words(name) for name in parameters)) if part)
