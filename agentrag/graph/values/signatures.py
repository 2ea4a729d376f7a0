"""What the annotations of a plugin's function say: which channel types it takes, and what it gives."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from agentrag.graph.channels import type_text

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def annotations_of(what: str, function: Callable[..., Any], names: Sequence[str]) -> tuple[Any, ...]:
    """The types of the parameters and of the result of a plain function.

    Args:
        what: Names the plugin in errors, e.g. "measure 'stable'".
        function: Takes one positional parameter for each of `names`.
        names: What the parameters are for; they may be called otherwise.

    Raises:
        TypeError: It is no such function, or an annotation is missing or names nothing.
    """
    form = f"{what} should be a function ({', '.join(names)}) -> result with all types annotated"
    if not inspect.isroutine(function) or inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise TypeError(f"{form}, but is {function!r}")
    try:
        signature = inspect.signature(function, eval_str=True)
    except NameError as error:
        raise TypeError(f"{form}, but {error}") from error
    parameters = list(signature.parameters.values())
    if len(parameters) != len(names) or any(parameter.kind not in _POSITIONAL for parameter in parameters):
        raise TypeError(f"{form}, but is {signature}")
    found = (*(parameter.annotation for parameter in parameters), signature.return_annotation)
    if inspect.Signature.empty in found:
        raise TypeError(f"{form}, but is {signature}")
    return found


def item_of(what: str, annotation: Any) -> Any:
    """`X` of the annotation `Sequence[X]`.

    Raises:
        TypeError: It is another one; tuples are given, so `list[X]` is wrong too.
    """
    if get_origin(annotation) is not Sequence:
        raise TypeError(f"{what} is given several values as Sequence[...], but is annotated {accepted_text(annotation)}")
    return get_args(annotation)[0]


def about(function: Callable[..., Any]) -> str:
    """The first line of a docstring; "" where there is none."""
    return (inspect.getdoc(function) or "").partition("\n")[0]


def fits(kind: Any, wanted: Any) -> bool:
    """True when values of a channel type may be given where an annotation asks for `wanted`.

    An integer is a float, as type checkers have it; a truth value is no number.

    >>> fits(list[str], str | list[Any]), fits(int, float), fits(bool, int)
    (True, True, False)
    """
    if kind is Any or wanted is Any:
        return True
    if _is_union(kind):
        return all(fits(each, wanted) for each in get_args(kind))
    if get_origin(kind) is Literal:
        return all(fits(type(value), wanted) for value in get_args(kind))
    if len(choices := _choices(wanted)) > 1 or choices[0] is not wanted:
        return any(fits(kind, each) for each in choices)
    return _fits_one(kind, wanted)


def accepted_text(wanted: Any) -> str:
    """What an annotation asks for, in words: "str or list[Any]"."""
    return " or ".join(dict.fromkeys(map(type_text, _choices(wanted))))


def _fits_one(kind: Any, wanted: Any) -> bool:
    outer, wanted_outer = get_origin(kind) or kind, get_origin(wanted) or wanted
    if not isinstance(outer, type) or not isinstance(wanted_outer, type):
        return False
    if wanted_outer in (int, float):
        return outer is not bool and issubclass(outer, (int, wanted_outer))
    inner = (str,) if kind is str else get_args(kind)
    pairs = zip(inner, get_args(wanted), strict=False)  # a list without a type inside is a list of anything
    return issubclass(outer, wanted_outer) and all(fits(*pair) for pair in pairs if ... not in pair)


def _choices(wanted: Any) -> tuple[Any, ...]:
    if isinstance(wanted, TypeVar):
        return wanted.__constraints__ or (wanted.__bound__ or Any,)
    return get_args(wanted) if _is_union(wanted) else (wanted,)


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, UnionType)
