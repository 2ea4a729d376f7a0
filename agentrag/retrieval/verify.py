"""Look for damage in a collection."""

from __future__ import annotations

from agentrag.core.errors import StoreError
from agentrag.retrieval.database import FILE, Database
from agentrag.retrieval.lexical_index import Lexical
from agentrag.retrieval.vector_index import VectorIndex


def findings(database: Database, vectors: VectorIndex, lexical: Lexical) -> list[str]:
    """All that is wrong, one line each. Indexes are only looked at when the database is whole."""
    try:
        return _database(database) or [*vectors.findings(), *lexical.findings()]
    except StoreError as error:
        return [str(error)]


def _database(database: Database) -> list[str]:
    found = [f"{FILE}: {line}" for (line,) in database.rows("PRAGMA integrity_check(5)") if line != "ok"]
    for what, sql in _CHECKS.items():
        if count := database.rows(sql)[0][0]:
            found.append(f"{FILE}: {count} {what}")
    return found


_CHECKS = {
    "passages have no vector": "SELECT count(*) FROM passages WHERE number NOT IN (SELECT passage FROM vectors)",
    "passages have no document": "SELECT count(*) FROM passages WHERE document NOT IN (SELECT number FROM documents)",
    "vectors differ in length": "SELECT max(0, count(DISTINCT length(vector)) - 1) FROM vectors",
}
