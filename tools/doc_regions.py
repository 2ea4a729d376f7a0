"""The generated parts of the documentation: what the code says of itself, as Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from agentrag.core.node import Reference

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 100


def commands() -> str:
    """Every command's help."""
    from typer import Context
    from typer.main import get_command

    from agentrag.cli.main import app

    parts = []
    for path, command in _walk("agentrag", get_command(app)):
        context = Context(command, info_name=path, terminal_width=WIDTH, max_content_width=WIDTH)
        level = "##" if " " not in path else "###"
        parts.append(f"{level} {path}\n\n```text\n{command.get_help(context).strip()}\n```")
    return "\n\n".join(parts)


def _walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from _walk(f"{path} {name}", child)


def settings() -> str:
    """One row a setting, sections unfolded."""
    from agentrag.core.settings import Settings

    return _table(("setting", "variable", "type", "default", "meaning"), _settings(Settings, ()))


def _settings(model: type[BaseModel], under: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name, info in model.model_fields.items():
        path = (*under, name)
        if inspect.isclass(info.annotation) and issubclass(info.annotation, BaseModel):
            yield from _settings(info.annotation, path)
        else:
            variable = "AGENTRAG_" + "__".join(path).upper()
            yield f"`{'.'.join(path)}`", f"`{variable}`", _type(info), _default(path, info), info.description or ""


def bindings() -> str:
    """One table a provider."""
    from agentrag.core.bindings import LiteLLM, LlamaCpp, OpenAICompatible

    parts = []
    for binding in (LlamaCpp, OpenAICompatible, LiteLLM):
        provider = str(binding.model_fields["provider"].annotation).split("'")[1]
        fields = {name: info for name, info in binding.model_fields.items() if name != "provider"}
        rows = [(f"`{name}`", _type(info), _default((), info), info.description or "") for name, info in fields.items()]
        table = _table(("key", "type", "default", "meaning"), rows)
        parts.append(f"### `provider: {provider}`\n\n{_first(binding)}\n\n{table}")
    return "\n\n".join(parts)


def nodes() -> str:
    """Every built-in node type with its settings."""
    from agentrag.core.node import Node
    from agentrag.graph.forms.schema import built_in

    parts = []
    for name, kind in sorted(built_in().items()):
        fields = {key: info for key, info in kind.model_fields.items() if key not in Node.model_fields}
        rows = [(f"`{key}`", _type(info), _default((), info), info.description or "") for key, info in fields.items()]
        table = _table(("setting", "type", "default", "meaning"), rows) if rows else "No settings."
        parts.append(f"### `{name}`\n\n{inspect.getdoc(kind)}\n\n{table}")
    return "\n\n".join(parts)


def channels() -> str:
    """The standard channels."""
    from agentrag.core.channels import STANDARD

    rows = [
        (f"`{name}`", f"`{_name(channel.type)}`", str(channel.max or ""), channel.about) for name, channel in STANDARD.items()
    ]
    return _table(("channel", "type", "most items", "meaning"), rows)


def measures() -> str:
    """The built-in measures."""
    from agentrag.graph.cel.measures import measure
    from agentrag.graph.values.signatures import accepted_text

    rows = [
        (f"`{name}(channel)`", accepted_text(measure[name].takes), f"`{measure[name].result.__name__}`", measure[name].about)
        for name in measure.names()
        if measure[name].function.__module__.startswith("agentrag.")
    ]
    return _table(("measure", "of", "gives", "meaning"), rows)


def joins() -> str:
    """The built-in joins."""
    from agentrag.graph.values.joins import join

    built_in = [name for name in join.names() if join[name].function.__module__.startswith("agentrag.")]
    return _table(("join", "what it makes of the branches' values"), [(f"`{name}`", join[name].about) for name in built_in])


def graphs() -> str:
    """The shipped graphs."""
    from agentrag.core.resources import shipped_graphs
    from agentrag.graph.loader import load_graph

    return _table(("graph", "what it does"), [(f"`{name}`", load_graph(name).about) for name in shipped_graphs()])


def plans() -> str:
    """What the shipped graphs cost with the local default model, by their plans."""
    from agentrag.core.bindings import LlamaCpp
    from agentrag.core.resources import shipped_graphs
    from agentrag.core.settings import Runtime
    from agentrag.graph.loader import load_graph
    from agentrag.graph.plan import plan
    from agentrag.graph.planning.prices import price_of

    price = price_of(LlamaCpp(model="any"), context=Runtime.model_fields["context"].default)
    rows = []
    for name in shipped_graphs():
        spec = load_graph(name)
        made = plan(spec, dict.fromkeys(spec.slots, price))
        cases = (made.best, made.expected, made.worst)
        figures = (
            " / ".join(f"{getattr(case, figure):,.0f}" for case in cases)
            for figure in ("calls", "passages", "tokens", "seconds")
        )
        rows.append((f"`{name}`", *figures))
    return _table(("graph", "calls", "passages", "tokens", "seconds"), rows)


def prompts() -> str:
    """The shipped prompts."""
    from agentrag.core.prompts import Prompts

    found = Prompts()
    rows = [(f"`{name}`", found[name].header.about, ", ".join(sorted(found[name].header.inputs))) for name in found.names()]
    return _table(("prompt", "what it asks", "holes"), rows)


def models() -> str:
    """The model catalogue."""
    from agentrag.models.catalogue import CATALOGUE

    rows = [
        (f"`{name}`", entry.about, entry.licence, f"{entry.size / 1e6:,.0f} MB", entry.packager)
        for name, entry in CATALOGUE.items()
    ]
    return _table(("name", "what it is", "licence", "size", "who packaged it"), rows)


def errors() -> str:
    """The tree of errors, as the module that defines them draws it."""
    import agentrag.core.errors

    return f"```text\n{(inspect.getdoc(agentrag.core.errors) or '').split(chr(10), 2)[2].strip()}\n```"


def squad() -> str:
    """The first table of the measured results, as the benchmark wrote it; empty before it has run."""
    page = ROOT / "docs" / "results" / "squad.md"
    lines = page.read_text(encoding="utf-8").splitlines() if page.is_file() else []
    from_table = dropwhile(lambda line: not line.startswith("|"), lines)
    return "\n".join(takewhile(lambda line: line.startswith("|"), from_table))


def example() -> str:
    """The agent in Python that ships as an example."""
    return f"```python\n{(ROOT / 'examples' / 'ask_documents.py').read_text(encoding='utf-8').strip()}\n```"


REGIONS: dict[str, Callable[[], str]] = {
    function.__name__: function
    for function in (
        bindings,
        channels,
        commands,
        errors,
        example,
        graphs,
        joins,
        measures,
        models,
        nodes,
        plans,
        prompts,
        settings,
        squad,
    )
}


def _table(head: tuple[str, ...], rows: Any) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in row) + " |" for row in lines)


def _first(thing: type) -> str:
    return (inspect.getdoc(thing) or "").split("\n\n")[0]


def _name(kind: Any) -> str:
    if get_origin(kind) is Annotated:  # what checks a value is told in its description
        return _name(get_args(kind)[0])
    if (inner := get_args(kind)) and any(get_origin(part) is Annotated for part in inner):
        return f"{_name(get_origin(kind))}[{', '.join('...' if part is ... else _name(part) for part in inner)}]"
    text = kind.__name__ if inspect.isclass(kind) and not hasattr(kind, "__args__") else str(kind)
    return re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Z])", "", text).replace("NoneType", "None")


def _type(info: FieldInfo) -> str:
    """A type with its bounds; what a setting refers to where it names something."""
    optional = [mark for part in get_args(info.annotation) for mark in getattr(part, "__metadata__", ())]
    if reference := next((mark for mark in (*info.metadata, *optional) if isinstance(mark, Reference)), None):
        return {"model": "model slot", "collection": "collection slot"}.get(reference.kind, reference.kind)
    if "discriminator" in str(info.annotation):
        return "[bindings](#bindings) by name"
    bounds = [f"{mark} {value}" for mark, value in _bounds(info)]
    return f"`{_name(info.annotation)}`" + (f" {', '.join(bounds)}" if bounds else "")


def _bounds(info: FieldInfo) -> Iterator[tuple[str, Any]]:
    for rule in info.metadata:
        for attribute, mark in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<")):
            if hasattr(rule, attribute):
                yield mark, getattr(rule, attribute)


def _default(path: tuple[str, ...], info: FieldInfo) -> str:
    """A default as YAML would write it; words where it depends on the machine."""
    depends = {
        ("home",): "the user's data folder of the system",
        ("cache",): "the user's cache folder of the system",
        ("runtime", "threads"): "all cores",
        ("models",): "none",
        ("tenants",): "none",
    }
    if path in depends:
        return depends[path]
    if info.default is PydanticUndefined:
        return "required"
    return "none" if info.default is None or info.default == () else f"`{info.default}`"
