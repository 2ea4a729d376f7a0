"""Outward calls: everything a node asks of the world passes through one of these."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal

CallKind = Literal["chat", "search", "embed"]


def new_run_id(what: str = "") -> str:
    """A run id that sorts by its start in UTC and cannot collide: "20261123-034501-9f3a2c41", `what` before the last part."""
    parts = (f"{datetime.now(UTC):%Y%m%d-%H%M%S}", what, secrets.token_hex(4))
    return "-".join(part for part in parts if part)


@dataclass(frozen=True)
class OutwardCall:
    """What is asked, of whom, and from where in the run.

    Attributes:
        run: Id of the run.
        step: Path of the step in the flow, e.g. "flow.2.choose.otherwise.0:write".
        ordinal: Number of the call inside its step, from 0, in program order; assigned before awaiting.
        kind: What sort of call it is.
        target: Whom it asks: model, or collection and version.
        request: The whole request as JSON data. Never holds a credential.
        deterministic: Equal requests have equal answers, so a recorded answer may be reused.
    """

    run: str
    step: str
    ordinal: int
    kind: CallKind
    target: str
    request: dict[str, Any] = field(hash=False)
    deterministic: bool = True

    @cached_property
    def key(self) -> str:
        """Hex sha256 of kind, target and request: equal for equal calls of any run."""
        text = json.dumps([self.kind, self.target, self.request], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
