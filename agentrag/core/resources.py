"""Data that ships with the package: graphs, prompts, sample documents. A path always beats a shipped name."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path


def shipped(kind: str) -> Traversable:
    """The folder of shipped data of one kind: "graphs", "prompts" or "samples"."""
    return files(f"agentrag.{kind}")


def shipped_graphs() -> list[str]:
    """Names of the graphs that come with the package, sorted."""
    return sorted(item.name.removesuffix(".yaml") for item in shipped("graphs").iterdir() if item.name.endswith(".yaml"))


def find_graph(name: str) -> Path | None:
    """Path of a graph by file path or shipped name; None where there is neither."""
    if is_file(path := Path(name)):
        return path
    if name in shipped_graphs():
        return Path(str(shipped("graphs") / f"{name}.yaml"))
    return None


def is_file(path: Path) -> bool:
    """Whether there is such a file; a name that no file can have is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def shipped_name(path: Path) -> str | None:
    """The name of a shipped graph by its path; None for other files."""
    name = path.stem
    there = Path(str(shipped("graphs") / f"{name}.yaml"))
    return name if there.is_file() and there.resolve() == path.resolve() else None
