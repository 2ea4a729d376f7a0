"""How Python types look to CEL: scalars, lists and maps as themselves, dataclasses as messages with checked fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from cel_expr_python import cel
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, struct_pb2, wrappers_pb2

Convert = Callable[[Any], Any]
Fields = tuple[tuple[str, bool, bool], ...]
"""Fields of a message: name, whether it may be None, whether it is a scalar."""

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    str: (cel.Type.STRING, _Field.TYPE_STRING, ".google.protobuf.StringValue"),
    bool: (cel.Type.BOOL, _Field.TYPE_BOOL, ".google.protobuf.BoolValue"),
    int: (cel.Type.INT, _Field.TYPE_INT64, ".google.protobuf.Int64Value"),
    float: (cel.Type.DOUBLE, _Field.TYPE_DOUBLE, ".google.protobuf.DoubleValue"),
}
_PACKAGE = "agentrag"


@dataclass(frozen=True)
class CelTypes:
    """CEL types of Python types, and the messages that stand for dataclasses.

    Attributes:
        pool: Descriptors of the messages.
        messages: By dataclass, the message class and its fields.
    """

    pool: descriptor_pool.DescriptorPool
    messages: Mapping[type, tuple[Any, Fields]]

    def of(self, kind: Any) -> tuple[Any, Convert] | None:
        """The CEL type of a Python type and how its values are converted; None where CEL cannot hold it.

        A value that may be None is of CEL's dynamic type. Cost of converting: about 3 us per dataclass.
        """
        kind = _plain(kind)
        if kind in _SCALARS:
            return _SCALARS[kind][0], _same
        if kind is Any:
            return cel.Type.DYN, _same
        if kind in self.messages:
            return cel.Type(f"{_PACKAGE}.{_message_name(kind)}"), self._message
        origin, arguments = get_origin(kind), get_args(kind)
        if origin in (list, tuple) and (inner := self.of(arguments[0])):
            return cel.Type.List(inner[0]), _each(inner[1])
        if _is_map(kind) and (inner := self.of(arguments[1])):
            return cel.Type.Map(cel.Type.STRING, inner[0]), _each_value(inner[1])
        if _optional(kind) in _SCALARS:
            return cel.Type.DYN, _same
        return None

    def _message(self, value: Any) -> Any:
        message, names = self.messages[type(value)]
        given = {}
        for name, is_wrapper, is_simple in names:
            item = getattr(value, name)
            if item is not None:
                given[name] = item if is_simple else {"value": item} if is_wrapper else self._inside(item)
        return message(**given)

    def _inside(self, value: Any) -> Any:
        if type(value) in self.messages:
            return self._message(value)
        if isinstance(value, (list, tuple)):
            return [self._inside(item) for item in value]
        return dict(value) if isinstance(value, Mapping) else value

    def fields(self, message: str) -> list[str]:
        """Names of the fields of a message that an error of CEL names."""
        found = (kind.DESCRIPTOR for kind, _ in self.messages.values())
        return next((sorted(each.fields_by_name) for each in found if each.full_name == message), [])


def cel_types(kinds: Iterable[Any]) -> CelTypes:
    """CEL types for some Python types, e.g. those of the channels that an expression reads."""
    found: dict[type, None] = {}
    for kind in kinds:
        _collect(kind, found)
    return _types(tuple(sorted(found, key=_message_name)))


@cache
def _types(classes: tuple[type, ...]) -> CelTypes:
    pool = descriptor_pool.DescriptorPool()
    for known in (wrappers_pb2, struct_pb2):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    depends = [known.DESCRIPTOR.name for known in (wrappers_pb2, struct_pb2)]
    file = descriptor_pb2.FileDescriptorProto(name="channels.proto", package=_PACKAGE, syntax="proto3", dependency=depends)
    fields = {kind: _describe(kind, file.message_type.add(name=_message_name(kind))) for kind in classes}
    pool.Add(file)
    found = {kind: pool.FindMessageTypeByName(f"{_PACKAGE}.{_message_name(kind)}") for kind in classes}
    return CelTypes(pool, {kind: (message_factory.GetMessageClass(found[kind]), fields[kind]) for kind in classes})


def _describe(kind: type, message: descriptor_pb2.DescriptorProto) -> Fields:
    """Add the fields that CEL can hold and return them; one of another type is not there for expressions."""
    found = []
    for number, (name, hint) in enumerate(_hints(kind).items(), start=1):
        repeated = get_origin(_plain(hint)) in (list, tuple)
        inner = _plain(get_args(hint)[0] if repeated else hint)
        optional = _optional(inner) in _SCALARS
        label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
        if inner in _SCALARS:
            message.field.add(name=name, number=number, label=label, type=_SCALARS[inner][1])
        elif (type_name := _type_name(inner)) and not (repeated and optional):
            message.field.add(name=name, number=number, label=label, type=_Field.TYPE_MESSAGE, type_name=type_name)
        else:
            continue
        found.append((name, optional, inner in _SCALARS and not repeated))
    return tuple(found)


def _type_name(kind: Any) -> str | None:
    if is_dataclass(kind):
        return f".{_PACKAGE}.{_message_name(kind)}"
    if _is_map(kind):
        return ".google.protobuf.Struct"
    optional = _optional(kind)
    return _SCALARS[optional][2] if optional in _SCALARS else None


def _collect(kind: Any, found: dict[type, None]) -> None:
    if isinstance(kind, type) and is_dataclass(kind):
        if kind not in found:
            found[kind] = None
            for hint in _hints(kind).values():
                _collect(hint, found)
    else:
        for argument in get_args(kind):
            _collect(argument, found)


def _hints(kind: type) -> dict[str, Any]:
    names = [field.name for field in fields(kind)]
    try:
        hints = get_type_hints(kind)
    except NameError:  # a type that only its own function can see
        return {}
    return {name: hints[name] for name in names}


def _message_name(kind: Any) -> str:
    return f"{kind.__qualname__}_{kind.__module__}".replace(".", "_").replace("<locals>", "local")


def _plain(kind: Any) -> Any:
    """`str` for Literal["a", "b"]; other types as they are."""
    if get_origin(kind) is Literal:
        kinds = {type(value) for value in get_args(kind)}
        return kinds.pop() if len(kinds) == 1 else Any
    return kind


def _optional(kind: Any) -> Any:
    if get_origin(kind) in (Union, UnionType):
        others = [_plain(inner) for inner in get_args(kind) if inner is not NoneType]
        return others[0] if len(others) == 1 else None
    return None


def _is_map(kind: Any) -> bool:
    origin, arguments = get_origin(kind), get_args(kind)
    return isinstance(origin, type) and issubclass(origin, Mapping) and len(arguments) == 2 and arguments[0] is str


def _same(value: Any) -> Any:
    return value


def _each(convert: Convert) -> Convert:
    return list if convert is _same else lambda values: [convert(value) for value in values]


def _each_value(convert: Convert) -> Convert:
    return lambda values: {key: convert(value) for key, value in values.items()}
