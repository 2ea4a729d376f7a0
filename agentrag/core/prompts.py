"""Prompt files: a header, then `## system`, `## user` and `## assistant` sections with holes. No logic.

---
about: Answer from passages.
source: own
version: 1
inputs: {question: data, passages: data}
---
## system
...
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from agentrag.core.errors import Problem, SpecError, UnknownNameError
from agentrag.core.rendering import as_data
from agentrag.core.resources import shipped
from agentrag.core.template import Template
from agentrag.core.types import Message, Role

Trust = Literal["instruction", "data"]
_SECTION = re.compile(r"^## (system|user|assistant)[ \t]*$", re.MULTILINE)
_NAME = re.compile(r"[a-z0-9-]{1,100}/[a-z0-9-]{1,100}")
_HEADER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)


class PromptHeader(BaseModel):
    """What a prompt file says of itself. `inputs` maps each hole to what may fill it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    about: str
    source: str
    version: int
    inputs: dict[str, Trust]


@dataclass(frozen=True)
class Prompt:
    """A parsed prompt file.

    Attributes:
        name: "<task>/<what>".
        sections: (role, template) in file order.
    """

    name: str
    header: PromptHeader
    sections: tuple[tuple[Role, Template], ...]

    @property
    def required(self) -> frozenset[str]:
        """Channels that must have a value to render the prompt."""
        return frozenset().union(*(template.required for _, template in self.sections))

    def messages(self, values: Mapping[str, Any]) -> tuple[Message, ...]:
        """Fill all sections; see `agentrag.core.rendering` for how each type of value is written and what it cannot say.

        Raises:
            KeyError: A required value is missing.
        """
        return tuple(Message(role, template.fill(values, as_data).strip()) for role, template in self.sections)


@lru_cache(maxsize=512)
def parse_prompt(name: str, text: str, file: str) -> Prompt:
    """Parse the text of a prompt file. Cost: 3 ms, for an equal text nothing.

    Raises:
        SpecError: Header, sections or holes are wrong.
    """
    # lazy: ruamel costs 50 ms of start-up and only runs need prompts
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    match = _HEADER.match(text)
    if match is None:
        raise SpecError([Problem(file, 1, 1, "", "a prompt begins with a header between two lines of ---")])
    try:
        header = PromptHeader.model_validate(YAML(typ="safe").load(match[1]))
    except (ValidationError, YAMLError) as error:
        raise SpecError([Problem(file, 2, 1, "header", " ".join(str(error).split()))]) from error
    sections = tuple(_sections(text[match.end() :]))
    problems = [Problem(file, 1, 1, "", what) for what in _faults(header, sections)]
    if problems:
        raise SpecError(problems)
    return Prompt(name, header, sections)


def _sections(body: str) -> list[tuple[Role, Template]]:
    marks = list(_SECTION.finditer(body))
    ends = [*(mark.start() for mark in marks[1:]), len(body)][: len(marks)]
    roles: dict[str, Role] = {"system": "system", "user": "user", "assistant": "assistant"}
    return [(roles[mark[1]], Template(body[mark.end() : end].strip())) for mark, end in zip(marks, ends, strict=True)]


def _faults(header: PromptHeader, sections: tuple[tuple[Role, Template], ...]) -> list[str]:
    if not any(role == "user" for role, _ in sections):
        return ["has no '## user' section"]
    try:
        holes = {hole.name: role for role, template in sections for hole in template.holes}
    except ValueError as error:
        return [str(error)]
    faults = [f"hole '{{{name}}}' is not in the header's inputs" for name in sorted(holes.keys() - header.inputs.keys())]
    return faults + [f"input '{name}' has no hole" for name in sorted(header.inputs.keys() - holes.keys())]


@dataclass(frozen=True)
class Prompts:
    """Finds prompts by name: first in `texts`, then in `folder`, then among the shipped ones."""

    folder: Path | None = None
    texts: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __getitem__(self, name: str) -> Prompt:
        """Load one prompt.

        Raises:
            UnknownNameError: There is no such prompt.
            SpecError: The file is wrong.
        """
        if name in self.texts:
            return parse_prompt(name, self.texts[name], name)
        if (path := self._own(name)) is not None:
            return parse_prompt(name, path.read_text(encoding="utf-8"), str(path))
        if self._ships(name):
            return _shipped_prompt(name)
        raise UnknownNameError("prompt", name, self.names())

    def text(self, name: str) -> str:
        """The text of a prompt's file.

        Raises:
            UnknownNameError: There is no such prompt.
        """
        if name in self.texts:
            return self.texts[name]
        if (path := self._own(name)) is not None:
            return path.read_text(encoding="utf-8")
        if self._ships(name):
            return _shipped_text(name)
        raise UnknownNameError("prompt", name, self.names())

    def _own(self, name: str) -> Path | None:
        if self.folder is None or not _NAME.fullmatch(name):  # nothing else, so that no name leads out of the folder
            return None
        path = self.folder / f"{name}.md"
        return path if path.is_file() else None

    def _ships(self, name: str) -> bool:
        return bool(_NAME.fullmatch(name)) and (shipped("prompts") / f"{name}.md").is_file()

    def names(self) -> list[str]:
        """Names of all prompts, sorted."""
        roots = [shipped("prompts")] + ([self.folder] if self.folder is not None and self.folder.is_dir() else [])
        tasks = [task for root in roots for task in root.iterdir() if task.is_dir() and not task.name.startswith("_")]
        files = {f"{task.name}/{item.name[:-3]}" for task in tasks for item in task.iterdir() if item.name.endswith(".md")}
        return sorted(files.union(self.texts))


@cache
def _shipped_prompt(name: str) -> Prompt:
    return parse_prompt(name, _shipped_text(name), f"prompts/{name}.md")


@cache
def _shipped_text(name: str) -> str:
    return (shipped("prompts") / f"{name}.md").read_text(encoding="utf-8")
