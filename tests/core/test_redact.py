"""Credentials are blanked in exports; what looks like prose, hashes or numbers is not."""

from __future__ import annotations

import time
from typing import Any

import pytest

from agentrag.core.redact import BLANK, redact, redacted

A = "abcDEF123456ghiJKL789"  # stands for the random part of a key


@pytest.mark.parametrize(
    ("text", "blanked"),
    [
        (f"Authorization: Bearer {A}", "Authorization: [redacted]"),
        (f"-H 'authorization: Basic {A}=='", "-H 'authorization: [redacted]'"),
        (f'{{"Authorization":"Bearer {A}"}}', '{"Authorization":"[redacted]"}'),
        (f"send Bearer {A} along", "send Bearer [redacted] along"),
        (f"sk-{A}", "[redacted]"),
        (f"my key sk-ant-api03-{A}-{A}, thanks", "my key [redacted], thanks"),
        (f"sk-or-v1-{A}", "[redacted]"),
        ("AKIAIOSFODNN7EXAMPLE", "[redacted]"),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "aws_secret_access_key = [redacted]"),
        ("https://x.org/?api_key=hunter2x&k=5", "https://x.org/?api_key=[redacted]&k=5"),
        ("OPENAI_API_KEY=abcdefgh", "OPENAI_API_KEY=[redacted]"),
        ("apiKey: 'abcdefgh'", "apiKey: '[redacted]'"),
        ('"client_secret": "abcdefgh"', '"client_secret": "[redacted]"'),
        ("password: hunter2", "password: [redacted]"),
        (f"access_token={A}", "access_token=[redacted]"),
        (f"?token={A}", "?token=[redacted]"),
        ("postgres://me:hunter2@db:5432/x", "postgres://me:[redacted]@db:5432/x"),
        (f"ghp_{A}{A}", "[redacted]"),
        (f"hf_{A}{A}", "[redacted]"),
        (f"xoxb-{A}", "[redacted]"),
        (f"eyJhbGciOiJIUzI1NiJ9.{A}.{A}", "[redacted]"),
        (f"a\n-----BEGIN RSA PRIVATE KEY-----\n{A}\n{A}\n-----END RSA PRIVATE KEY-----\nb", "a\n[redacted]\nb"),
        (f"-----BEGIN OPENSSH PRIVATE KEY-----\n{A} cut off", "[redacted]"),
    ],
)
def test_a_credential_is_blanked(text: str, blanked: str) -> None:
    assert redact(text) == blanked
    assert redact(blanked) == blanked


@pytest.mark.parametrize(
    "text",
    [
        "The bearer of bad news; basic understanding; a sk-learn pipeline; task-oriented-dialogue-2024-benchmark",
        "max_tokens: 256, prompt_tokens=1024, token: 5, the token: Paris",
        "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "https://example.org:8080/path?query=author@host",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "The password is asked for, the secret of their success: none.",
        "kubernetes secrets: they are base64",
    ],
)
def test_what_is_no_credential_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    ("value", "blanked"),
    [
        ({"password": "x", "user": "me"}, {"password": "[redacted]", "user": "me"}),
        ({"openaiApiKey": 12345, "api-key": "a"}, {"openaiApiKey": "[redacted]", "api-key": "[redacted]"}),
        ({"headers": [{"Cookie": "a=b"}]}, {"headers": [{"Cookie": "[redacted]"}]}),
        ({"token": "Paris", "logprob": -0.1, "max_tokens": 8}, {"token": "Paris", "logprob": -0.1, "max_tokens": 8}),
        ({"password": None, "has_secret": True}, {"password": None, "has_secret": True}),
        ([1, None, True, "x"], [1, None, True, "x"]),
    ],
)
def test_json_data_is_blanked_by_what_it_is_called(value: Any, blanked: Any) -> None:
    assert redacted(value) == blanked


@pytest.mark.parametrize(
    "piece", ["a-", "a_", "a.", "a", "-----BEGIN PRIVATE KEY-----", "http://a:", "token=", "sk-", "bearer a", "eyJa."]
)
def test_no_text_takes_long(piece: str) -> None:
    begun = time.process_time()
    redact(piece * (200_000 // len(piece)))
    assert time.process_time() - begun < 2


def test_everything_under_a_telling_name_is_blanked_in_data() -> None:
    data = {
        "headers": {"X-Api-Key": ["k-list-1"]},
        "password": {"a": "b"},
        "credentials": "c",
        "token_count": [1],
        "secret": None,
    }
    hidden = {"headers": {"X-Api-Key": BLANK}, "password": BLANK, "credentials": BLANK, "token_count": [1], "secret": None}
    assert redacted(data) == hidden
