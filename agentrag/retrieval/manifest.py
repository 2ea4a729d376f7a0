"""What the files of an index were when it was last written, so that damage is found before a library trips over it."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_BLOCK = 1 << 20
Manifest = Mapping[str, list[int]]
"""Size, time of change in nanoseconds and CRC-32 by path relative to the folder."""


def manifest(folder: Path, leave_out: str = "") -> dict[str, list[int]]:
    """Describe all files below a folder but those whose names begin with `leave_out`. Cost: reads them all."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    kept = [path for path in files if not (leave_out and path.name.startswith(leave_out))]
    return {path.relative_to(folder).as_posix(): [*_state(path), _crc(path)] for path in kept}


def damage(folder: Path, known: Manifest, thorough: bool = False) -> list[str]:
    """Say which files are missing or changed.

    With `thorough` every file is read. Otherwise a file with the known size and time of change counts as the known one,
    and only the others are read.
    """
    findings = []
    for name, (size, changed, crc) in known.items():
        path = folder / name
        if not path.is_file():
            findings.append(f"{path.name} is missing")
            continue
        state = _state(path)
        same = state[0] == size and ((state[1] == changed and not thorough) or _crc(path) == crc)
        if not same:
            findings.append(f"{path.name} was changed from outside")
    return findings


def described(value: Any) -> Manifest:
    """A manifest as it comes back from JSON; empty where there is none."""
    return value if isinstance(value, dict) else {}


def _state(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _crc(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            crc = zlib.crc32(block, crc)
    return crc
