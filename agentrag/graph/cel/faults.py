"""What CEL says of a wrong expression, in the words of this language and with the place of each fault."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from agentrag.core.channels import Channel
from agentrag.core.errors import unknown
from agentrag.graph.cel.measures import measure
from agentrag.graph.cel.text import FORMS
from agentrag.graph.cel.types import CelTypes
from agentrag.graph.channels import type_text

UNDECLARED = re.compile(r"undeclared reference to '\.?(\w+)[\w.]*'")
_ERROR = re.compile(r"^(?:INVALID_ARGUMENT: )?ERROR: <input>:(\d+):(\d+): (.*?)(?: \[INVALID_ARGUMENT\])?$", re.MULTILINE)
_NO_FIELD = re.compile(r"undefined field '(\w+)' not found in struct '([\w.]+)'")
_OPERATOR = re.compile(r"overload for '([^']*[^'\w][^']*)'")


@dataclass(frozen=True)
class Fault:
    """What is wrong at character `offset` of an expression."""

    offset: int
    message: str


@dataclass(frozen=True)
class Source:
    """A text as CEL read it.

    Attributes:
        channels: All channels of the graph.
        types: The CEL types of theirs.
        calls: The measure calls that variables stand for, by variable.
    """

    text: str
    channels: Mapping[str, Channel]
    types: CelTypes
    calls: Mapping[str, str]

    def faults(self, report: str) -> list[Fault]:
        """All faults that a report of CEL tells."""
        if "recursion limit" in report:
            return [Fault(0, "is nested too deep")]
        starts = [0] + [match.end() for match in re.finditer("\n", self.text)]
        found = []
        for line, column, message in _ERROR.findall(report):
            offset = starts[min(int(line), len(starts)) - 1] + int(column) - 1
            if "*error*" not in message:  # only follows from another one
                found.append(self._fault(min(offset, len(self.text) - 1), message))
        return found or [Fault(0, " ".join(report.split()))]

    def _fault(self, offset: int, message: str) -> Fault:
        if match := UNDECLARED.search(message):
            name = match[1]
            if self.text[offset] == "(":  # CEL points behind the name of a function
                return Fault(max(self.text.rfind(name, 0, offset), 0), self._function(name))
            return Fault(offset, self._name(name))
        if match := _NO_FIELD.search(message):
            return Fault(offset, unknown("field", match[1], self.types.fields(match[2])))
        message = message.split(" expecting {")[0].replace("mismatched input", "unexpected").replace("'<EOF>'", "end")
        for variable, call in self.calls.items():
            message = message.replace(variable, call)
        return Fault(offset, _OPERATOR.sub(lambda match: f"overload for '{re.sub('[_@]', '', match[1])}'", message))

    def _function(self, name: str) -> str:
        if name in FORMS:
            return f"{name}() is written {FORMS[name]}"
        return _how(name) if name in measure else unknown("function", name, {*FORMS, *measure})

    def _name(self, name: str) -> str:
        if name in self.channels:
            return f"channel '{name}' is {type_text(self.channels[name].type)}, which conditions cannot read"
        return _how(name) if name in measure else unknown("name", name, self.channels)


def _how(name: str) -> str:
    return f"{name}() takes the name of a channel"
