"""`agentrag schema`: the JSON Schema of graph files, for editors."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def schema(
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it there instead.")] = None,
    built_in: Annotated[bool, typer.Option("--built-in", help="Leave out node types that plugins bring.")] = False,
) -> None:
    """Print the JSON Schema of graph files, with the settings of every installed node type.

    An editor with YAML support uses it where a graph file begins with the line
    # yaml-language-server: $schema=FILE
    """
    from agentrag.graph.forms import schema as schemas  # lazy: --help needs none of it

    text = schemas.schema_text(schemas.json_schema(schemas.built_in() if built_in else None))
    if output is None:
        sys.stdout.write(text)
    else:
        output.write_text(text, encoding="utf-8")
