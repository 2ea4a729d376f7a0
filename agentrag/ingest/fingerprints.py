"""Fingerprints: what tells that a document need not be read again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from agentrag.ingest.documents import Document
from agentrag.ingest.loaders.formats import Format

_CHUNKING = 1  # raise it when chunk.py cuts differently


def recipe(name: str, entry: Format, tokens: int) -> str:
    """All besides the file's bytes that decides about the passages: loader, its version, and how it is cut."""
    return f"{name}{entry.version} chunk{_CHUNKING} tokens{tokens}"


def of_file(path: Path, how: str) -> str:
    """Hex sha256 of a file's bytes and a recipe. Cost: reads the file, some 400 MB/s."""
    digest = hashlib.sha256(how.encode())
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def of_record(document: Document, text: str, how: str) -> str:
    """Hex sha256 of a record of a corpus file, and a recipe."""
    content = json.dumps([how, document.title, text, document.metadata], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()
