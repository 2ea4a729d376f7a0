"""Fallback chains: names of bindings in the order in which they are asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field


def _chain(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(names) < 2:
        raise ValueError("a chain has two names or more")
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"'{name}' stands in it twice")
        if "," in name or not name.strip():
            raise ValueError(f"'{name}' is not the name of a binding")
    return names


Chain = Annotated[tuple[str, ...], Field(json_schema_extra={"minItems": 2, "uniqueItems": True}), AfterValidator(_chain)]
"""Names of bindings, each of which takes over where the one before it fails."""


def chained(names: str | Sequence[str]) -> str:
    """One name, or those of a chain, as one text: "remote,local"."""
    return names if isinstance(names, str) else ",".join(names)
