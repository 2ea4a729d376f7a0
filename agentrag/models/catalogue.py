"""Model files on this machine: where they lie, whether they are whole, and what to do when they are not.

A pulled model is a folder `<cache>/models/<name>` that holds its files and `pulled.json`, which records source, sizes and
sha256. The folder appears complete or not at all.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agentrag.core.errors import CatalogueError, ChecksumError, NotPulledError, unknown
from agentrag.models.entries import CATALOGUE, HubFile, ModelEntry, ModelFile, Part

RECORD = "pulled.json"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class PulledFile:
    """A file as it was when it was pulled; `modified` is its time of change in nanoseconds."""

    name: str
    size: int
    sha256: str
    modified: int


@dataclass(frozen=True, slots=True)
class Pulled:
    """The record of a pull: where the files came from, and the files by role."""

    source: str
    files: dict[str, PulledFile]


def folder(name: str, cache: Path) -> Path:
    """Where the files of a model lie once they are pulled.

    Raises:
        CatalogueError: `name` cannot be a folder's name.
    """
    if not _NAME.fullmatch(name):
        raise CatalogueError(f"'{name}' cannot be the name of a model: use lower-case letters, digits, '.', '_' and '-'.")
    return cache / "models" / name


def model_files(name: str, cache: Path) -> dict[str, Path]:
    """The files of a model by role ("weights", "tokenizer"), checked.

    Sizes are checked at every use; the sha256 is computed again when a file changed since it was pulled. `name` may also be
    the path of a GGUF file, which is then the only file.

    Raises:
        NotPulledError: The model is known but not on this machine.
        ChecksumError: A file is not what was pulled.
        CatalogueError: Nothing is known under this name.
    """
    if _is_path(name):
        return {"weights": _local_gguf(Path(name).expanduser())}
    home = folder(name, cache)
    record = read_record(home)
    if record is None:
        if name in CATALOGUE:
            raise NotPulledError(name)
        raise CatalogueError(unknown("model", name, CATALOGUE) + " The path of a GGUF file may be given too.")
    for file in record.files.values():
        _check(name, home / file.name, file)
    return {role: home / file.name for role, file in record.files.items()}


def pulled_names(cache: Path) -> list[str]:
    """Names of all models that are on this machine, sorted."""
    models = cache / "models"
    return sorted(path.parent.name for path in models.glob(f"[!.]*/{RECORD}")) if models.is_dir() else []


def read_record(home: Path) -> Pulled | None:
    """The record of a pulled model; None where there is none.

    Raises:
        CatalogueError: The record cannot be read.
    """
    path = home / RECORD
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return Pulled(data["source"], {role: PulledFile(**file) for role, file in data["files"].items()})
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CatalogueError(
            f"{path} cannot be read ({error}). Get the model again: agentrag models pull {home.name}"
        ) from error


def write_record(home: Path, source: str, hashes: dict[str, tuple[Path, str]]) -> None:
    """Record what lies in `home`: file and sha256 by role."""
    files = {}
    for role, (path, sha256) in hashes.items():
        stat = path.stat()
        files[role] = PulledFile(path.name, stat.st_size, sha256, stat.st_mtime_ns)
    (home / RECORD).write_text(json.dumps(asdict(Pulled(source, files)), indent=2) + "\n", encoding="utf-8")


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file, read once in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _is_path(name: str) -> bool:
    return name.endswith(".gguf") or "/" in name or "\\" in name


def _local_gguf(path: Path) -> Path:
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise CatalogueError(f"Model file {path} cannot be read: {error.strerror}.") from error
    if magic != b"GGUF":
        raise CatalogueError(f"Model file {path} is not a GGUF file.")
    return path


def identity(weights: Path) -> str:
    """A name for a weights file, equal for equal weights only: journals and vector caches reuse results by it."""
    record = read_record(weights.parent)
    if record is None or record.files["weights"].name != weights.name:
        return f"{weights.name}@{_fingerprint(weights)}"
    model, sha256 = weights.parent.name, record.files["weights"].sha256
    packaged = model in CATALOGUE and CATALOGUE[model].files[0].sha256 == sha256
    return model if packaged else f"{model}@{sha256[:8]}"


def _fingerprint(weights: Path) -> str:
    """Eight hex digits of size and first MiB: enough to tell models apart, without reading gigabytes at every start."""
    with weights.open("rb") as file:
        return hashlib.sha256(str(weights.stat().st_size).encode() + file.read(1 << 20)).hexdigest()[:8]


def _check(model: str, path: Path, file: PulledFile) -> None:
    advice = f"Get it again with: agentrag models pull {model}"
    try:
        stat = path.stat()
    except OSError as error:
        raise ChecksumError(f"{path} of model '{model}' is gone ({error.strerror}). {advice}") from error
    if stat.st_size != file.size:
        raise ChecksumError(f"{path} has {stat.st_size} bytes, model '{model}' has {file.size}. {advice}")
    if stat.st_mtime_ns == file.modified:
        return
    found = sha256_of(path)
    if found != file.sha256:
        raise ChecksumError(f"{path} has sha256 {found}, model '{model}' has {file.sha256}. {advice}")


__all__ = [
    "CATALOGUE",
    "HubFile",
    "ModelEntry",
    "ModelFile",
    "Part",
    "Pulled",
    "PulledFile",
    "folder",
    "identity",
    "model_files",
    "pulled_names",
    "read_record",
    "sha256_of",
    "write_record",
]
