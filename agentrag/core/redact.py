"""Blanks credentials in what leaves a journal or a process. The journal itself is kept whole, in a file of its owner alone.

No library does this for running text. `detect-secrets` and its fork `bc-detect-secrets` look for secrets in lines of source
code: given a passage they call plain words secrets by their entropy, find the first line of a private key only, and take 10 ms
per 4 kB; the newest release of the first, of 2024, knows no key of Anthropic, Google, Groq, Hugging Face or xAI, and no
fine-grained one of GitHub. `llm-redacted` blanks names, addresses and paths too, and with them the text a record is kept for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.parse import quote

BLANK = "[redacted]"
LEAST = 8
"""Characters of the shortest secret that is blanked by its value: shorter ones, such as "none" or "ollama", are words."""
LONGEST = 1000
"""Characters of the longest pattern."""
_NAMES = {
    "key": r"(?:api|access|secret|private|auth|account|encryption|signing)[_-]?key",
    "pass": r"pass(?:word|wd|phrase)",
    "pwd": r"pwd",
    "secret": r"secret",
    "token": r"(?:access|api|auth|bearer|bot|git(?:hub|lab)|hf|id|refresh|security|session|slack)[_-]?token",
}
_MORE = r"(?:[_-](?:id|value))?"
_QUOTE = r"(?:\\{0,63}[\"'])?"  # escaped, where JSON stands in a text
_BETWEEN = rf"{_QUOTE}\]?\s*[:=]\s*"
_SET = rf"{_BETWEEN}{_QUOTE}"
_SIGN = r"(?:[^\s\"',;&)}\]\\]|\\(?!\\{0,63}[\"']))"
_VALUE = rf"(?!\[redacted\]){_SIGN}{{4,}}"
# up to the quote that ends it at the same level of escapes, whatever stands between
_QUOTED = r"(?P<level>\\{0,63})(?P<quote>[\"'])(?!(?P=level)(?P=quote)|\[redacted\])[^\n]{1,2000}?(?<!\\)(?P=level)(?P=quote)"
_WHOLE = (
    (
        "private key",
        r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)",
    ),
    ("k-", r"(?<![\w-])[sr]k-(?=[\w-]{0,99}\d)[A-Za-z0-9_-]{16,}"),  # OpenAI, Anthropic, OpenRouter, litellm
    ("k_", r"\b(?:[srp]k_(?:live|test)|gsk)_[A-Za-z0-9]{8,}"),  # Stripe, Groq
    ("a", r"\b(?:A3T[A-Z0-9]|AKIA|ASIA|AGPA|AIDA|AROA|ANPA|ANVA)[A-Z0-9]{16}\b"),  # AWS
    ("aiza", r"\bAIza[\w-]{30,}"),  # Google
    ("gh", r"\bgh[opsur]_[A-Za-z0-9]{30,}"),
    ("github_pat_", r"\bgithub_pat_\w{30,}"),
    ("glpat-", r"\bglpat-[\w-]{16,}"),
    ("hf_", r"\bhf_[A-Za-z0-9]{30,}"),
    ("xai-", r"\bxai-[A-Za-z0-9]{30,}"),
    ("xox", r"\bxox[abeoprs]-[\w-]{10,}"),
    ("npm_", r"\bnpm_[A-Za-z0-9]{30,}"),
    ("pypi-", r"\bpypi-[\w-]{50,}"),
    ("eyj", r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"),  # JSON web token
)
_SCHEME = r"[a-z][\w-]{1,15}[ \t]+(?=[\w.~+/=-]{0,99}\d)"  # of a header: any word, where what follows looks like a key
_AFTER = (
    (
        "authorization",
        rf"(?i)(\bauthorization{_SET})(?:(?:bearer|basic|token|digest)\s+|{_SCHEME})?(?:{_SIGN}|[&)}}\]])+",
    ),
    ("bearer", r"(?i)(\bbearer\s+)(?=[\w.~+/-]{0,99}\d)[\w.~+/-]{8,}=*"),
    ("token", rf"(?i)(\btoken{_SET})(?=[\w.~+/-]{{0,99}}\d)[\w.~+/-]{{16,}}=*"),
    *((word, rf"(?i)({name}{_MORE}{_SET}){_VALUE}") for word, name in _NAMES.items()),
    ("://", r"(?i)(\b[a-z][a-z0-9+.-]{0,15}://[^\s/:@\"']{0,80}:)[^\s/@\"']{1,200}(?=@)"),
)
_IN_QUOTES = tuple((word, rf"(?i)(?P<head>{name}{_MORE}{_BETWEEN}){_QUOTED}") for word, name in _NAMES.items())
# a pattern is tried only where its word is in the text, in any case: that is found much faster
_RULES = (
    *((word, re.compile(pattern), BLANK) for word, pattern in _WHOLE),
    *((word, re.compile(pattern), rf"\g<head>\g<level>\g<quote>{BLANK}\g<level>\g<quote>") for word, pattern in _IN_QUOTES),
    *((word, re.compile(pattern), rf"\1{BLANK}") for word, pattern in _AFTER),
)
_SECRET_FIELD = re.compile(
    rf"(?i)[\w-]*?(?:{'|'.join(_NAMES.values())}){_MORE}|(?:proxy-)?authorization|(?:set-)?cookies?|credentials?"
)


def checked_pattern(pattern: str) -> str:
    """The pattern, where it is one that can be blanked: of RE2, so that no text takes it more than linear time.

    Raises:
        ValueError: It is none, or it matches the empty text.
    """
    if len(pattern) > LONGEST:
        raise ValueError(f"a pattern has at most {LONGEST:,} characters")
    if _compiled(pattern).search("") is not None:
        raise ValueError("it matches the empty text")
    return pattern


class Redactor:
    r"""Blanks secrets by their values, then credentials by their shapes and names, then what patterns match.

    Args:
        patterns: Of RE2, see `checked_pattern`. Where one has named groups, what these match is blanked, else all of it.
        secrets: Values to blank whatever they look like, also as they stand in an address or in JSON. Those of fewer than
            8 characters are left alone.

    >>> Redactor([r"order (?P<number>\d+)"], ["correct-horse"]).text("order 17 of correct-horse, password: x1y2z3")
    'order [redacted] of [redacted], password: [redacted]'
    """

    def __init__(self, patterns: Sequence[str] = (), secrets: Iterable[str] = ()) -> None:
        self._own = [_blanking(checked_pattern(pattern)) for pattern in patterns]
        forms = {form for secret in secrets if len(secret) >= LEAST for form in _forms(secret)}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._secrets = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def text(self, text: str) -> str:
        """The text with every secret in it blanked. Doing it twice changes nothing more."""
        if self._secrets is not None:
            text = self._secrets.sub(BLANK, text)
        lowered = text.lower()
        for word, pattern, blank in _RULES:
            if word in lowered:
                text = pattern.sub(blank, text)
        for blanked in self._own:
            text = blanked(text)
        return text

    def data(self, value: Any) -> Any:
        """JSON data with every text, name and number in it redacted, and everything under a telling name blanked."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list | tuple):
            return [self.data(item) for item in value]
        if isinstance(value, dict):
            return {self._name(name): BLANK if _hides(name, item) else self.data(item) for name, item in value.items()}
        if (self._own or self._secrets) and isinstance(value, int | float) and not isinstance(value, bool):
            return value if self.text(str(value)) == str(value) else BLANK
        return value

    def _name(self, name: Any) -> Any:
        return self.text(name) if isinstance(name, str) else name


_BUILT_IN = Redactor()


def redact(text: str) -> str:
    """The text with every credential in it blanked: keys by their known shapes, values by telling names, private keys.

    A secret without a known shape or a telling name, such as a password in prose, is not found.

    >>> redact("curl -H 'Authorization: Bearer abc.def1' 'https://x/?api_key=12345678&k=5'")
    "curl -H 'Authorization: [redacted]' 'https://x/?api_key=[redacted]&k=5'"
    """
    return _BUILT_IN.text(text)


def redacted(value: Any) -> Any:
    """JSON data with every text in it redacted, and everything under a telling name blanked.

    >>> redacted({"password": "x", "max_tokens": 8, "notes": ["sk-1234567890abcdefgh"]})
    {'password': '[redacted]', 'max_tokens': 8, 'notes': ['[redacted]']}
    """
    return _BUILT_IN.data(value)


def _hides(name: Any, value: Any) -> bool:
    """Whether all that stands under a name is secret: texts, numbers, and lists and tables of them."""
    return value is not None and not isinstance(value, bool) and telling(str(name))


def telling(name: str) -> bool:
    """Whether a name says that what stands under it is secret, e.g. "OPENAI_API_KEY"."""
    return bool(_SECRET_FIELD.fullmatch(name))


def _forms(secret: str) -> set[str]:
    """How a secret may stand in a text: as it is, in an address, in JSON."""
    in_json = (json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False))
    return {secret, quote(secret), quote(secret, safe=""), *in_json}


def _compiled(pattern: str) -> Any:
    import re2  # lazy: 7 ms that only patterns need

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError) as error:
        said = error.args[0]
        raise ValueError(f"it is no pattern of RE2: {said.decode() if isinstance(said, bytes) else error}") from None


def _blanking(pattern: str) -> Callable[[str], str]:
    compiled = _compiled(pattern)
    groups = sorted(compiled.groupindex.values()) or [0]

    def blank(match: Any) -> str:
        whole, at, parts = match.group(), match.start(), []
        for group in groups:
            begin, end = match.span(group)
            if begin >= at and (begin, end) != (-1, -1):  # it took part, and is not inside of one before
                parts += [match.string[at:begin], _blank_for(match.string, begin, end)]
                at = end
        return "".join(parts) + str(match.string[at : match.start() + len(whole)])

    def blanked(text: str) -> str:
        whole = text.encode("utf-8", "replace").decode()  # RE2 takes no half characters
        return str(compiled.sub(blank, whole))

    return blanked


def _blank_for(text: str, begin: int, end: int) -> str:
    """What stands instead of a part of a text: a part of an earlier blank stays."""
    blanked_before = text[max(0, begin - 1) : end + 1] == BLANK or begin == end
    return text[begin:end] if blanked_before else BLANK
