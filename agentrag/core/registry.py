"""Named things that plug in: nodes, model providers, stores, measures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import TypeVar

from agentrag.core.errors import UnknownNameError

T = TypeVar("T")


class Registry(dict[str, T]):
    """A table of named things, filled by decorator; loud about doubles and unknown names.

    Plugins are entry points of the group `agentrag.<kind>s`; each names a module whose import registers its things.
    They are imported at the first look-up, not at start.

    >>> shape = Registry[type]("shape")
    >>> @shape("square")
    ... class Square: ...
    >>> shape["square"] is Square
    True
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self._loaded = False

    def __call__(self, name: str) -> Callable[[T], T]:
        """Return a decorator that registers its argument under `name`."""

        def register(thing: T) -> T:
            if dict.__contains__(self, name):
                raise ValueError(f"{self.kind} '{name}' is already registered: {dict.__getitem__(self, name)!r}")
            dict.__setitem__(self, name, thing)
            return thing

        return register

    def __getitem__(self, name: str) -> T:
        self._load_plugins()
        try:
            return super().__getitem__(name)
        except KeyError:
            raise UnknownNameError(self.kind, name, self.names()) from None

    def __contains__(self, name: object) -> bool:
        self._load_plugins()
        return super().__contains__(name)

    def __iter__(self) -> Iterator[str]:
        self._load_plugins()
        return super().__iter__()

    def names(self) -> list[str]:
        """All registered names, sorted."""
        return sorted(self)

    def _load_plugins(self) -> None:
        if self._loaded:
            return
        self._loaded = True  # before they load, for loading looks names up
        try:
            for plugin in entry_points(group=f"agentrag.{self.kind}s"):
                plugin.load()
        except BaseException:
            self._loaded = False  # a plugin that cannot be imported stays an error at every look-up
            raise
