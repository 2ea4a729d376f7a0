"""JSON Schema of graph files, for editors: what completes keys, explains them, and marks what cannot be right."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar, TypeAlias, get_args

from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from pydantic_core import core_schema

from agentrag.core.channels import INPUT_TYPES
from agentrag.core.node import Node, Reference, node
from agentrag.graph.ladder import RUNGS, SettingName
from agentrag.graph.parts import ChannelName, Label
from agentrag.graph.spec import LANGUAGE, GraphSpec, TypeName
from agentrag.graph.steps import STEPS

Schema: TypeAlias = dict[str, Any]

_TOP: Mapping[str, str] = {
    "agentrag": "Version of the graph language.",
    "name": "What the graph is called; for a shipped graph, the name of its file.",
    "about": "What it does, in one sentence.",
    "source": "Where the idea comes from: a paper, a URL, or `own`.",
    "inputs": "Channels that a run is given: a type each, or {type, default, values}.",
    "outputs": "Channels that a run returns.",
    "channels": "Channels that no node type declares, or another bound or merge for one that is declared.",
    "models": "Model slots, and the binding that fills each unless the run says otherwise; or a list of bindings, a chain.",
    "budget": "The most that a run may cost; with `mode: audit` it is only reported.",
    "degrade": "What to make cheaper when too little of the budget is left, first rung first.",
    "nodes": "Nodes with their settings, by name; `use` is the node type.",
    "flow": "The steps, in order.",
}
_REFERENCES: Mapping[str, str] = {
    "model": "a model slot, declared under `models`",
    "collection": "a collection slot; a run fills it with a collection, that of the same name where it does not say",
    "prompt": "name of a prompt file: <task>/<what>",
    "template": "text with holes for channels: {question}; {answer?} for one that may be missing",
}
_ATTRIBUTES = re.compile(r"\n\nAttributes:\n(?P<entries>.*)", re.DOTALL)
_ATTRIBUTE = re.compile(r"^    (?P<name>\w+): (?P<text>.*(?:\n {8}.*)*)", re.MULTILINE)
_WORDS: Schema = {"enum": ["yes", "no", "on", "off", "true", "false", "null"]}
_SUBSCHEMAS = ("items", "prefixItems", "additionalProperties", "propertyNames", "anyOf", "oneOf", "allOf")


def json_schema(kinds: Mapping[str, type[Node]] | None = None) -> Schema:
    """JSON Schema (draft 2020-12) of a graph file.

    It knows the form of a file and nothing of its sense: that a channel is written before it is read is for the checks.

    Args:
        kinds: Node types by name; all registered ones where None.

    >>> sorted(json_schema()["properties"])[:3]
    ['about', 'agentrag', 'budget']
    """
    parts = _parts(GraphSpec.model_json_schema(schema_generator=_Generator)["$defs"], "")
    top = parts.pop("GraphSpec")
    steps = {word: parts.pop(step.__name__)["properties"][word] for word, step in STEPS.items()}
    rungs = {word: parts.pop(rung.__name__)["properties"][word] for word, rung in RUNGS.items()}
    del parts["Node"], parts["Prompts"]
    named, types = _node_types({name: node[name] for name in node.names()} if kinds is None else kinds)
    properties = {name: {**top["properties"][name], "description": about} for name, about in _TOP.items()}
    properties["agentrag"] |= {"const": LANGUAGE}
    properties["nodes"] |= {"additionalProperties": _ref("AnyNode")}
    properties["inputs"] |= {"additionalProperties": _either(_ref("TypeName"), _ref("InputSpec"))}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"agentrag graph, version {LANGUAGE} of the language",
        **top,
        "properties": properties,
        "$defs": {
            "Step": _step(steps),
            "Rung": {"description": f"One of: {', '.join(rungs)}.", **_one_of(rungs)},
            "Branch": _BRANCH,
            **parts,
            **dict(_NAMES.values()),
            "AnyNode": _any_node(named),
            **types,
        },
    }


def _parts(definitions: Schema, prefix: str) -> Schema:
    return {f"{prefix}{name}": _described(_tidied(part)) for name, part in definitions.items()}


def _node_types(kinds: Mapping[str, type[Node]]) -> tuple[dict[str, str], Schema]:
    """The names of the schemas of node types, by node type; and these schemas with all that they refer to."""
    models: list[Any] = [(kind, "validation") for kind in kinds.values()]
    refs, generated = models_json_schema(models, schema_generator=_Generator, ref_template=f"#/$defs/{_PREFIX}{{model}}")
    parts = _parts(generated.get("$defs", {}), _PREFIX)
    named = {name: refs[kind, "validation"]["$ref"].removeprefix("#/$defs/") for name, kind in kinds.items()}
    return named, parts | {part: _with_use(name, kinds[name], parts[part]) for name, part in named.items()}


def built_in() -> dict[str, type[Node]]:
    """The node types that come with the package, by name."""
    return {name: node[name] for name in node.names() if node[name].__module__.startswith("agentrag.")}


def schema_text(schema: Schema) -> str:
    """A schema as the text of its file."""
    return json.dumps(schema, ensure_ascii=False, indent=1) + "\n"


_NAMES: Mapping[Any, tuple[str, Schema]] = {
    Label: ("Label", {"type": "string", "pattern": "^[a-z][a-z0-9_-]*$", "not": _WORDS}),
    ChannelName: ("ChannelName", {"type": "string", "pattern": "^(?!__)[a-z_][a-z0-9_]*$", "not": _WORDS}),
    SettingName: ("SettingName", {"type": "string", "pattern": "^[^.]+\\.."}),
    TypeName: ("TypeName", {"type": "string", "enum": list(INPUT_TYPES)}),
}
_NAMED = "named"
_PREFIX = "node."
"""Keeps the classes of node types apart from those of the language."""
_BRANCH: Schema = {
    "description": "`when` with `do`, or last of all `otherwise`.",
    "type": "object",
    "if": {"required": ["otherwise"], "not": {"required": ["when"]}},
    "then": {"$ref": "#/$defs/Otherwise"},
    "else": {"$ref": "#/$defs/When"},
}


class _Generator(GenerateJsonSchema):
    """Says what pydantic's own generator cannot know of names, also where they are keys."""

    names: ClassVar[Mapping[Any, str]] = {get_args(kind)[1].func: name for kind, (name, _) in _NAMES.items()}

    def function_after_schema(self, schema: core_schema.AfterValidatorFunctionSchema) -> Schema:
        name = self.names.get(schema["function"]["function"])
        return {_NAMED: name} if name else super().function_after_schema(schema)

    def dict_schema(self, schema: core_schema.DictSchema) -> Schema:
        keys = self.generate_inner(schema["keys_schema"]) if "keys_schema" in schema else {}
        said: Schema = {"type": "object"}
        if "values_schema" in schema and (values := self.generate_inner(schema["values_schema"])):
            said["additionalProperties"] = values
        if _NAMED in keys:
            said["propertyNames"] = keys
        self.update_with_validations(said, schema, self.ValidationsMapping.object)
        return said


def _tidied(schema: Any) -> Any:
    """A schema of pydantic with steps and branches by reference, unions that editors can explain, and no titles."""
    if isinstance(schema, list):
        return [_tidied(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if _NAMED in schema:
        return _ref(schema[_NAMED])
    kept: Schema = {}
    for key, value in schema.items():
        if key == "properties":
            kept[key] = {name: _tidied(inner) for name, inner in value.items()}
        elif key in _SUBSCHEMAS:
            kept[key] = _tidied(value)
        elif key != "title" and (key, value) != ("default", None):
            kept[key] = value
    options = kept.pop("oneOf", None)
    return kept if options is None else {**kept, **_chosen(options)}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _chosen(options: list[Schema]) -> Schema:
    """One of some schemas, which one being told by what is there."""
    named = {option.get("$ref", "").removeprefix("#/$defs/") for option in options}
    if "Choose" in named:
        return _ref("Step")
    if "When" in named:
        return _ref("Branch")
    return _ref("Rung") if "SetRung" in named else _either(*options)


def _either(text: Schema, other: Schema) -> Schema:
    """A text of one form, or what is no text of another."""
    return {"if": {"type": "string"}, "then": text, "else": other}


def _described(part: Schema) -> Schema:
    """A part with the attributes of its docstring as descriptions of its keys."""
    about, found = part.get("description", ""), {}
    if section := _ATTRIBUTES.search(about):
        about = about[: section.start()]
        found = {match["name"].rstrip("_"): match["text"] for match in _ATTRIBUTE.finditer(section["entries"])}
    properties = {
        key: {**said, "description": " ".join(found[key].split())} if key in found else said
        for key, said in part.get("properties", {}).items()
    }
    return {**part, **({"description": about} if about else {}), **({"properties": properties} if properties else {})}


def _with_use(name: str, kind: type[Node], part: Schema) -> Schema:
    """The schema of a node type's settings with `use`, its own settings before those that every node has."""
    given = dict(part["properties"])
    for field, info in kind.model_fields.items():
        key = info.alias or field
        for mark in info.metadata:
            if isinstance(mark, Reference) and "description" not in given[key]:
                given[key] = {**given[key], "description": _REFERENCES[mark.kind]}
    ordered = {key: given[key] for key in sorted(given, key=Node.model_fields.__contains__)}
    return {**part, "properties": {"use": {"const": name}, **ordered}, "required": ["use", *part.get("required", ())]}


def _any_node(names: Mapping[str, str]) -> Schema:
    """A node, whose settings depend on its `use`."""
    cases = [
        {"if": {"properties": {"use": {"const": name}}, "required": ["use"]}, "then": _ref(part)}
        for name, part in names.items()
    ]
    use = {"description": "The node type.", "enum": list(names)}
    return {"type": "object", "required": ["use"], "properties": {"use": use}, "allOf": cases}


def _step(words: Mapping[str, Schema]) -> Schema:
    """A step: the name of a node, or a mapping of one word."""
    described = "The name of a node, or one of: " + ", ".join(words) + "."
    return {"description": described, **_either(_ref("Label"), _one_of(words))}


def _one_of(words: Mapping[str, Schema]) -> Schema:
    """A mapping with one of these keys."""
    return {"type": "object", "properties": dict(words), "additionalProperties": False, "minProperties": 1, "maxProperties": 1}
