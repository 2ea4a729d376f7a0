"""Options that several commands share, and how their texts become slots and inputs."""

from __future__ import annotations

from typing import Annotated

import typer

from agentrag.cli.console import fail, pairs

CollectionOption = Annotated[
    list[str] | None,
    typer.Option(
        "--collection",
        "-c",
        metavar="[SLOT=]NAME",
        help="Collection to search, `docs` where none is given; a slot's name before it fills another slot than `docs`. "
        "Repeat it to search several at once.",
    ),
]
EveryModelOption = Annotated[
    str | None,
    typer.Option(
        "-m",
        metavar="BINDING",
        help="Model for every slot: `default`, `local`, or a name from agentrag.yaml; or a chain of them, "
        "`remote,local`, each for where the one before it fails.",
    ),
]
ModelsOption = Annotated[
    list[str] | None,
    typer.Option("--models", metavar="SLOT=BINDING", help="Model for one slot; beats -m. Repeat it for more slots."),
]
InputOption = Annotated[
    list[str] | None,
    typer.Option("--input", "-i", metavar="NAME=VALUE", help="An input of the graph, e.g. style=short. Repeat it for more."),
]
GraphOption = Annotated[str, typer.Option("--graph", "-g", metavar="GRAPH", help="Name of a shipped graph, or path of a file.")]
ThreadOption = Annotated[
    str | None,
    typer.Option("--thread", metavar="NAME", help="The conversation that runs belong to; its earlier turns are its history."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


def bindings(every: str | None, slots: list[str] | None) -> dict[str, str]:
    """Bindings by slot; `*` stands for every slot that is not named.

    Raises:
        SystemExit: An item of `slots` is not SLOT=BINDING.
    """
    named = pairs(slots or [], "--models")
    return named if every is None else {"*": every, **named}


def collections(items: list[str] | None) -> dict[str, list[str]]:
    """Names of collections by slot; a bare name fills the slot `docs`.

    >>> collections(["handbook", "news", "laws=civil"])
    {'docs': ['handbook', 'news'], 'laws': ['civil']}
    """
    slots: dict[str, list[str]] = {}
    for item in items or []:
        slot, _, name = item.rpartition("=")
        if not name or item.startswith("="):
            raise fail(f"--collection takes NAME or SLOT=NAME, not '{item}'", 2)
        slots.setdefault(slot or "docs", []).append(name)
    return slots
