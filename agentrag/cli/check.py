"""`agentrag check`: find all that is wrong in files, before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agentrag.cli.console import clean, err, say


def check(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Paths, or names of shipped graphs.")],
) -> None:
    """Check graphs, prompts and settings; run nothing.

    A prompt is a file *.md, settings are a file agentrag.yaml. Every error is one
    line that begins with FILE:LINE:COLUMN; the exit code is 1 where there was one.
    """
    from agentrag.core.errors import AgentRagError  # lazy: --help needs none of it

    broken = False
    for file in files:
        try:
            _check(file)
        except (AgentRagError, OSError, UnicodeDecodeError) as error:
            broken = True
            err().print(clean(str(error)), markup=False)
        else:
            say(f"{file}: ok")
    if broken:
        raise SystemExit(1)


def _check(file: str) -> None:
    # lazy: each kind of file loads only what it needs
    path = Path(file)
    if path.suffix == ".md":
        from agentrag.core.prompts import parse_prompt

        parse_prompt(f"{path.parent.name}/{path.stem}", path.read_text(encoding="utf-8"), file)
    elif path.name == "agentrag.yaml":
        from agentrag.core.settings import load_settings

        load_settings(path)
    else:
        from agentrag.graph.loader import load_graph

        load_graph(file)
