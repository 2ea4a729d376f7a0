"""Outward calls: everything a node asks of the world passes through one of these."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal

CallKind = Literal["chat", "search", "embed", "tool", "clock", "random"]
# encoders made once: `json.dumps` with arguments makes one for every call
_canonical = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode
_spaced = json.JSONEncoder(ensure_ascii=False).encode

Effect = Literal["none", "read", "write"]
"""What a call does to the world. Only "write" changes something; it is never made again without a person's word."""


def new_run_id(what: str = "") -> str:
    """A run id that sorts by its start in UTC and cannot collide: "20261123-034501-9f3a2c41", `what` before the last part."""
    parts = (f"{datetime.now(UTC):%Y%m%d-%H%M%S}", what, secrets.token_hex(4))
    return "-".join(part for part in parts if part)


@dataclass(frozen=True)
class OutwardCall:
    """What is asked, of whom, and from where in the run.

    Its position is (run, step, key, nth): the same request made ten times in one step is ten records, and concurrent calls
    are found again whatever order they ended in.

    Attributes:
        run: Id of the run.
        step: Path of the step in the flow, with branch names, rounds, items and attempts, e.g.
            "flow.2.repeat#1.0:write" or "flow.1.each[3].0:search~2".
        ordinal: Number of the call inside its step, from 0, in program order; assigned before awaiting.
        kind: What sort of call it is.
        target: Whom it asks: model (with its adapter), or collection and version.
        request: The whole request as JSON data. Never holds a credential.
        deterministic: Equal requests have equal answers, so a recorded answer may be reused.
        effect: What it does to the world.
        tenant: Whose call it is: answers are reused inside one tenant only.
        nth: How many equal calls the step made before, from 0.
    """

    run: str
    step: str
    ordinal: int
    kind: CallKind
    target: str
    request: dict[str, Any] = field(hash=False)
    deterministic: bool = True
    effect: Effect = "none"
    tenant: str = ""
    nth: int = 0

    @cached_property
    def request_json(self) -> str:
        """The request as canonical JSON: sorted keys, no spaces."""
        return _canonical(self.request)

    @cached_property
    def key(self) -> bytes:
        """Sha256 (32 bytes) of tenant, kind, target and request: equal for equal calls of any run."""
        head = _spaced([self.tenant, self.kind, self.target])
        return hashlib.sha256(f"{head}{self.request_json}".encode()).digest()

    @property
    def idempotency_key(self) -> str:
        """Names this call for a server that refuses to do the same write twice: 32 hex digits, equal in every attempt."""
        place = json.dumps([self.run, self.step.partition("~")[0], self.nth]).encode()
        return hashlib.sha256(place + self.key).hexdigest()[:32]
