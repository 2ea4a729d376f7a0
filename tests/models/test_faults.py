"""Faults of a server never show the key that it was sent."""

from __future__ import annotations

import json

from agentrag.models.faults import refused, reported

KEY = "sk-0123456789"


def test_a_key_that_a_server_says_back_is_hidden_wherever_it_stands() -> None:
    payload = json.dumps({"error": {"message": "x" * 295 + KEY}}).encode()  # cut for display in the middle of the key
    for error in (refused("M", 400, {}, payload, KEY), reported("M", {"message": f"wrong {KEY}"}, KEY)):
        assert "sk-0" not in str(error)
        assert "*" in str(error)
