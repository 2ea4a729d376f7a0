"""Fetch a model file over HTTP: from a Hugging Face repository, or from an address whose sha256 the user states."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx

from agentrag.core.errors import CatalogueError
from agentrag.models.entries import HubFile
from agentrag.models.growing import Growing

Tell = Callable[[int, str], None]
_SHA256 = re.compile(r"[0-9a-f]{64}")
_GIT_SHA1 = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Remote:
    """A file on a server. Exactly one of `sha256` and `git_sha1` is stated; `size` in bytes, None where unknown."""

    url: str
    size: int | None
    sha256: str = ""
    git_sha1: str = ""


def stated_url(source: str) -> Remote:
    """Read `URL#sha256=HEX`.

    Raises:
        CatalogueError: It is not an http address, or states no sha256.
    """
    url, _, stated = source.partition("#sha256=")
    if not url.startswith(("https://", "http://")) or not _SHA256.fullmatch(stated.lower()):
        raise CatalogueError(
            f"'{source}' is no source: give packages, hub, or an address with its hash, URL#sha256=64-HEX-DIGITS"
        )
    return Remote(url, None, sha256=stated.lower())


def on_hub(file: HubFile) -> Remote:
    """Ask the hub where a file lies, how large it is, and which hash it has. HF_ENDPOINT and HF_TOKEN hold.

    Raises:
        CatalogueError: The hub does not answer, has no such file, or states no hash.
    """
    base = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    url = f"{base}/{file.repo}/resolve/{file.revision}/{quote(file.path)}"
    token = os.environ.get("HF_TOKEN")
    headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {token}"} if token else {})
    try:
        response = httpx.head(url, headers=headers, follow_redirects=False, timeout=30)
    except httpx.HTTPError as error:
        raise CatalogueError(f"{urlsplit(base).netloc} does not answer: {error or type(error).__name__}.") from error
    if response.status_code >= 400:
        raise CatalogueError(
            f"{file.repo} on the hub does not give {file.path} (HTTP {response.status_code}){_token_hint(response)}."
        )
    tag = (response.headers.get("x-linked-etag") or response.headers.get("etag", "")).removeprefix("W/").strip('"').lower()
    size = response.headers.get("x-linked-size") or response.headers.get("content-length")
    if _SHA256.fullmatch(tag):
        return Remote(url, int(size) if size else None, sha256=tag)
    if _GIT_SHA1.fullmatch(tag):
        return Remote(url, int(size) if size else None, git_sha1=tag)
    raise CatalogueError(f"The hub states no hash of {file.path}, so it could not be checked. Use: --from packages")


def _token_hint(response: httpx.Response) -> str:
    return "; accept its licence there and set HF_TOKEN" if response.status_code in {401, 403} else ""


def fetch_from_web(remote: Remote, target: Path, tell: Tell) -> str:
    """Download into `target`, going on where an earlier download ended, and return its sha256.

    Raises:
        CatalogueError: The server failed or broke off; what came is kept for the next try.
        OSError: The disk is full or cannot be written.
    """
    host = urlsplit(remote.url).netloc
    limit = remote.size if remote.size is not None else 1 << 62
    with Growing(target, keep=limit) as growing:
        if growing.size != remote.size:
            try:
                _download(remote, growing, lambda: tell(growing.size, f"fetching from {host}"))
            except httpx.HTTPError as error:
                reason = str(error) or type(error).__name__
                raise CatalogueError(
                    f"{host} broke off: {reason}. Run the same command again; it goes on from there."
                ) from error
        return growing.sha256


def _download(remote: Remote, growing: Growing, tell: Callable[[], None]) -> None:
    token = (
        os.environ.get("HF_TOKEN") if remote.url.startswith(os.environ.get("HF_ENDPOINT", "https://huggingface.co")) else None
    )
    headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {token}"} if token else {})
    if growing.size:
        headers["Range"] = f"bytes={growing.size}-"
    with httpx.stream("GET", remote.url, headers=headers, follow_redirects=True, timeout=60) as response:
        if response.status_code == 416:  # nothing is left to send
            return
        if response.status_code >= 400:
            raise CatalogueError(f"{response.url.host} answered HTTP {response.status_code} for {remote.url}")
        if response.status_code != 206:
            growing.restart()
        for block in response.iter_raw():
            growing.write(block)
            tell()


def matches(remote: Remote, sha256: str, path: Path) -> bool:
    """Whether the downloaded file is the one that was stated."""
    return sha256 == remote.sha256 if remote.sha256 else _git_sha1(path) == remote.git_sha1


def _git_sha1(path: Path) -> str:
    """What git calls the id of a blob: how the hub identifies its small files."""
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
