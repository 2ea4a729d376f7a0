"""Blanks credentials in what leaves a journal. The journal itself is kept whole, in a file that its owner alone reads.

No library does this for running text. `bc-detect-secrets` looks for secrets in lines of source code: given a passage it calls
plain words secrets by their entropy, finds the first line of a private key only, and takes 10 ms per 4 kB. `llm-redacted`
blanks names, addresses and paths as well, and with them the text that a record is kept for.
"""

from __future__ import annotations

import re
from typing import Any

BLANK = "[redacted]"
_NAMES = {
    "key": r"(?:api|access|secret|private|auth|account|encryption|signing)[_-]?key",
    "pass": r"pass(?:word|wd|phrase)",
    "pwd": r"pwd",
    "secret": r"secret",
    "token": r"(?:access|api|auth|bearer|bot|git(?:hub|lab)|hf|id|refresh|security|session|slack)[_-]?token",
}
_MORE = r"(?:[_-](?:id|value))?"
_VALUE = r"(?!\[redacted\])[^\s\"',;&)}\]]{4,}"
_WHOLE = (
    (
        "private key",
        r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)",
    ),
    ("k-", r"(?<![\w-])[sr]k-(?=[\w-]{0,99}\d)[A-Za-z0-9_-]{16,}"),  # OpenAI, Anthropic, OpenRouter, litellm
    ("k_", r"\b(?:[srp]k_(?:live|test)|gsk)_[A-Za-z0-9]{8,}"),  # Stripe, Groq
    ("a", r"\b(?:A3T[A-Z0-9]|AKIA|ASIA|AGPA|AIDA|AROA|ANPA|ANVA)[A-Z0-9]{16}\b"),  # AWS
    ("aiza", r"\bAIza[\w-]{30,}"),  # Google
    ("gh", r"\bgh[opsur]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{30,}"),
    ("glpat-", r"\bglpat-[\w-]{16,}"),
    ("hf_", r"\bhf_[A-Za-z0-9]{30,}"),
    ("xai-", r"\bxai-[A-Za-z0-9]{30,}"),
    ("xox", r"\bxox[abeoprs]-[\w-]{10,}"),
    ("npm_", r"\bnpm_[A-Za-z0-9]{30,}"),
    ("pypi-", r"\bpypi-[\w-]{50,}"),
    ("eyj", r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"),  # JSON web token
)
_AFTER = (
    ("authorization", r"(?i)(\bauthorization[\"']?\s*[:=]\s*[\"']?)(?:(?:bearer|basic|token|digest)\s+)?[^\s\"',;]+"),
    ("bearer", r"(?i)(\bbearer\s+)(?=[\w.~+/-]{0,99}\d)[\w.~+/-]{8,}=*"),
    ("token", r"(?i)(\btoken[\"']?\s*[:=]\s*[\"']?)(?=[\w.~+/-]{0,99}\d)[\w.~+/-]{16,}=*"),
    *((word, rf"(?i)({name}{_MORE}[\"']?\s*[:=]\s*[\"']?){_VALUE}") for word, name in _NAMES.items()),
    ("://", r"(\b[a-z][a-z0-9+.-]{0,15}://[^\s/:@\"']{0,80}:)[^\s/@\"']{1,200}(?=@)"),
)
# a pattern is tried only where its word is in the text, in any case: that is found much faster
_RULES = tuple((word, re.compile(pattern), BLANK) for word, pattern in _WHOLE) + tuple(
    (word, re.compile(pattern), rf"\1{BLANK}") for word, pattern in _AFTER
)
_SECRET_FIELD = re.compile(
    rf"(?i)[\w-]*?(?:{'|'.join(_NAMES.values())}){_MORE}|(?:proxy-)?authorization|(?:set-)?cookies?|credentials?"
)


def redact(text: str) -> str:
    """The text with every credential in it blanked: keys by their known shapes, values by telling names, private keys.

    A secret without a known shape or a telling name, such as a password in prose, is not found.

    >>> redact("curl -H 'Authorization: Bearer abc.def1' 'https://x/?api_key=12345678&k=5'")
    "curl -H 'Authorization: [redacted]' 'https://x/?api_key=[redacted]&k=5'"
    """
    lowered = text.lower()
    for word, pattern, blank in _RULES:
        if word in lowered:
            text = pattern.sub(blank, text)
    return text


def redacted(value: Any) -> Any:
    """JSON data with every text in it redacted, and everything under a telling name blanked.

    >>> redacted({"password": "x", "max_tokens": 8, "notes": ["sk-1234567890abcdefgh"]})
    {'password': '[redacted]', 'max_tokens': 8, 'notes': ['[redacted]']}
    """
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list):
        return [redacted(item) for item in value]
    if isinstance(value, dict):
        return {name: BLANK if _hides(name, item) else redacted(item) for name, item in value.items()}
    return value


def _hides(name: str, value: Any) -> bool:
    """Whether all that stands under a name is secret: texts, numbers, and lists and tables of them."""
    return value is not None and not isinstance(value, bool) and bool(_SECRET_FIELD.fullmatch(name))
