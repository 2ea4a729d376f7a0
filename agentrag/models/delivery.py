"""Streamed text on its way to whoever listens."""

from __future__ import annotations

from agentrag.core.ports import OnText


class Delivery:
    """Hands streamed text on and remembers that it did: what was handed out cannot be taken back, nor asked for again."""

    def __init__(self, on_text: OnText) -> None:
        self._on_text = on_text
        self.begun = False

    def __call__(self, text: str) -> None:
        self.begun = True
        self._on_text(text)
