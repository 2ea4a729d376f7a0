"""What goes wrong with a model server, as ModelError: one line that names model and host, never the key."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite

import aiohttp
import httpx

from agentrag.core.errors import ModelError
from agentrag.models.limits import silent

_RETRYABLE = {408, 409, 425, 429}
_CONTEXT = re.compile(r"context.{0,12}(length|size|window)|exceed_context|maximum context", re.IGNORECASE)
BROKEN = (httpx.TransportError, httpx.DecodingError, aiohttp.ClientError, OSError)
"""What an exchange may raise when the connection, not the answer, is at fault."""


def broken(who: str, error: BaseException, timeout: float) -> ModelError:
    """The connection failed or nothing came for `timeout` seconds."""
    cause = error.__cause__ or error  # the transport's own names for errors are coarser than aiohttp's
    said = one_line(str(cause)) or type(cause).__name__
    if isinstance(error, httpx.DecodingError):
        return ModelError(f"{who} sent an answer that is not encoded as it says ({said}).", retryable=True)
    if isinstance(cause, aiohttp.ClientConnectorError):
        return ModelError(f"{who}: no server answers there ({said}). Start it, or correct the url.", retryable=True)
    if isinstance(cause, aiohttp.ConnectionTimeoutError):
        return ModelError(f"{who}: the server does not accept connections ({said}).", retryable=True)
    if isinstance(cause, aiohttp.ServerTimeoutError):
        return silent(who, timeout)
    if isinstance(cause, aiohttp.ClientPayloadError):
        return ModelError(f"{who} broke off in the middle of its answer.", retryable=True)
    return ModelError(f"{who}: the connection broke ({said}).", retryable=True)


def refused(who: str, status: int, headers: Mapping[str, str], payload: bytes, key: str) -> ModelError:
    """The server answered with an error status, or a redirect, which is not followed: the key belongs to one host."""
    said = _said(payload, key)
    if 300 <= status < 400:
        where = one_line(headers.get("location", "nowhere"), key)
        return ModelError(
            f"{who} redirects to {where}. Redirects are not followed; set the url of the binding to the final place."
        )
    if _CONTEXT.search(said):
        return ModelError(f"{who}: the prompt is longer than the model's context: {said}. Send less, or use a larger context.")
    advice = {
        401: " Check the key that api_key_env of the binding names.",
        403: " The key has no right to this model.",
        404: " Check the url and the model's name in the binding.",
    }.get(status, "")
    retryable = status in _RETRYABLE or status >= 500
    message = f"{who} answered HTTP {status}{': ' if said else ''}{said}.{advice}"
    return ModelError(message, retryable=retryable, retry_after=retry_after(headers.get("retry-after")))


def malformed(who: str, what: object, key: str = "") -> ModelError:
    """What came is not the OpenAI protocol."""
    return ModelError(
        f"{who} sent no valid reply of the OpenAI protocol ({one_line(str(what), key)}). Is the url right?", retryable=True
    )


def reported(who: str, error: object, key: str) -> ModelError:
    """The server reported an error in the middle of a stream."""
    return ModelError(f"{who} broke off: {_error_text(error, key)}.", retryable=True)


def retry_after(value: str | None) -> float | None:
    """Seconds from a Retry-After header, which gives seconds or an HTTP date; None where it is no such thing, or has no end."""
    if not value:
        return None
    try:
        seconds = float(value)
        return max(0.0, seconds) if isfinite(seconds) else None
    except ValueError:
        pass
    try:
        then = parsedate_to_datetime(value)
        return max(0.0, (then.replace(tzinfo=then.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):
        return None


def _said(payload: bytes, key: str) -> str:
    text = payload.decode("utf-8", "replace")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return "" if "<html" in text[:500].lower() else one_line(text, key)
    return _error_text(data.get("error", data) if isinstance(data, dict) else data, key)


def _error_text(error: object, key: str) -> str:
    if isinstance(error, dict):
        parts = [str(error[name]) for name in ("message", "code", "type") if isinstance(error.get(name), str)]
        if not parts:
            return one_line(json.dumps(error), key)
        return one_line(parts[0] if len(parts) == 1 else f"{parts[0]} ({', '.join(parts[1:])})", key)
    return one_line(str(error), key)


def whole(text: str) -> str:
    """Foreign text without lone surrogates, which JSON may hold and UTF-8 may not."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def one_line(text: str, key: str = "") -> str:
    """Foreign text as one line of at most 300 characters, without its final stop; the key is blanked before it is cut."""
    line = " ".join(whole(text.replace(key, "***") if key else text).split())
    return (line if len(line) <= 300 else line[:297] + "...").rstrip(".")
