"""Credentials are blanked in exports; what looks like prose, hashes or numbers is not."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from agentrag.core.observing import redactor_of
from agentrag.core.redact import BLANK, Redactor, redact, redacted
from agentrag.core.settings import Settings

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
        (r'{"arguments": "{\"password\": \"hunt\\er2\"}"}', r'{"arguments": "{\"password\": \"[redacted]\"}"}'),
        (r"[\\\"authorization\\\": \\\"Basic abcd\\\"]", r"[\\\"authorization\\\": \\\"[redacted]\\\"]"),
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
    "piece",
    [
        "a-",
        "a_",
        "a.",
        "a",
        "-----BEGIN PRIVATE KEY-----",
        "http://a:",
        "token=",
        "sk-",
        "bearer a",
        "eyJa.",
        "\\",
        "password=\\",
        "a key:",
    ],
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


@pytest.mark.parametrize(
    ("pattern", "text", "blanked"),
    [
        (r"\d{4}", "pin 1234", "pin [redacted]"),
        (r"patient (?P<id>\d+)", "patient 17", "patient [redacted]"),
        (r"(?P<a>\d+)-x-(?P<b>\d+)", "1-x-2 and 3", "[redacted]-x-[redacted] and 3"),
        (r"(?P<a>a(?P<b>b))", "ab", "[redacted]"),
        (r"(?i)müller\b", "Frau MÜLLER", "Frau [redacted]"),
        (r"x(?P<a>y)?", "x xy", "x x[redacted]"),
        (r"\w+", "ab [redacted]", "[redacted] [redacted]"),
    ],
)
def test_a_pattern_blanks_its_named_groups_or_all_it_matches(pattern: str, text: str, blanked: str) -> None:
    redactor = Redactor([pattern])
    assert redactor.text(text) == blanked
    assert redactor.text(blanked) == blanked


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("(", "it is no pattern of RE2: missing ): ("),
        ("(?=a)b", "it is no pattern of RE2: invalid perl operator: (?="),
        (r"(a)\1", r"it is no pattern of RE2: invalid escape sequence: \1"),
        ("x*", "it matches the empty text"),
        ("x" * 1001, "a pattern has at most 1,000 characters"),
    ],
)
def test_what_is_no_pattern_or_could_take_long_is_refused(pattern: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        Redactor([pattern])


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*a){12}b"])
def test_no_pattern_takes_long(pattern: str) -> None:
    begun = time.process_time()
    Redactor([pattern]).text("a" * 50_000 + "!")
    assert time.process_time() - begun < 2


@pytest.mark.parametrize("text", ['s3cr/et+=x"y', "s3cr%2Fet%2B%3Dx%22y", 's3cr/et+=x\\"y'])
def test_a_known_secret_is_blanked_as_it_is_in_an_address_and_in_json(text: str) -> None:
    assert Redactor(secrets=['s3cr/et+=x"y', "ollama"]).text(f"a {text} of ollama") == "a [redacted] of ollama"


def test_names_and_numbers_of_data_are_blanked_too() -> None:
    data = {"card 4711": [4711, 1.5, True, None, ("4711",)], "n": 12345678}
    hidden = {"card [redacted]": [BLANK, 1.5, True, None, [BLANK]], "n": BLANK}
    assert Redactor(["4711"], ["12345678"]).data(data) == hidden


def test_half_characters_do_not_stop_a_pattern() -> None:
    assert Redactor(["b+"]).text("a\ud800bb") == "a?[redacted]"


def test_a_fine_grained_token_of_github_is_blanked() -> None:
    assert Redactor().text("push with github_pat_" + "a1" * 30 + " today") == "push with [redacted] today"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('{"password": "Xy7,kkkk-real-secret"}', '{"password": "[redacted]"}'),
        ('{"password": "correct horse battery", "user": "bob"}', '{"password": "[redacted]", "user": "bob"}'),
        ("password='two words; here' x", "password='[redacted]' x"),
        ("d['password'] = 'a b'", "d['password'] = '[redacted]'"),
        (json.dumps({"a": json.dumps({"api_key": 'q"uo, te'})}), '{"a": "{\\"api_key\\": \\"[redacted]\\"}"}'),
        ('{"password": "", "user": "bob"}', '{"password": "", "user": "bob"}'),
    ],
)
def test_a_quoted_value_behind_a_telling_name_is_blanked_to_its_end(text: str, left: str) -> None:
    assert redact(text) == left
    assert redact(left) == left


@pytest.mark.parametrize(
    ("text", "blanked"),
    [
        ("Authorization: ApiKey abc123def456", "Authorization: [redacted]"),
        ("Authorization: granted by the board", "Authorization: [redacted] by the board"),
        ("see HTTPS://Ann:correct-horse@host/a", "see HTTPS://Ann:[redacted]@host/a"),
    ],
)
def test_schemes_of_headers_and_addresses_may_be_of_any_word_and_case(text: str, blanked: str) -> None:
    assert redacted(text) == blanked
    assert redacted(blanked) == blanked


def test_folders_of_the_shell_are_no_secrets_though_litellm_reads_keys_from_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PWD", "/srv/documents")
    monkeypatch.setenv("OTHER_API_KEY", "correct-horse")
    settings = Settings.model_validate({"models": {"far": {"provider": "litellm", "model": "openai/gpt"}}})
    assert redactor_of(settings).text("/srv/documents and correct-horse") == "/srv/documents and [redacted]"
