"""`agentrag draw`: a graph as a Mermaid flowchart."""

from __future__ import annotations

import sys
from typing import Annotated

import typer


def draw(file: Annotated[str, typer.Argument(metavar="GRAPH", help="Path of a graph, or name of a shipped one.")]) -> None:
    """Print a graph as a Mermaid flowchart."""
    from agentrag.graph.forms.draw import mermaid  # lazy: --help needs none of it
    from agentrag.graph.loader import load_graph

    sys.stdout.write(mermaid(load_graph(file)).rstrip("\n") + "\n")
