"""What an evaluation ran with: versions, hashes, the machine."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from agentrag.core.errors import CatalogueError
from agentrag.core.settings import Settings
from agentrag.evaluation.data.dataset import DataSet
from agentrag.evaluation.data.recordings import RecordedOutputs
from agentrag.models.catalogue import folder, read_record, sha256_of

PACKAGES = (
    "agentrag",
    "bm25s",
    "chromadb",
    "ir-measures",
    "langgraph",
    "litellm",
    "numpy",
    "onnxruntime",
    "pytrec-eval-terrier",
    "tokenizers",
    "xllamacpp",
)
"""Those that can change a number."""


def environment() -> dict[str, Any]:
    """Python, machine, and the version of each package that can change a number."""
    return {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "packages": {package: found for package in PACKAGES if (found := _version(package))},
    }


def data_hashes(data: DataSet) -> dict[str, str]:
    """Hex sha256 of each file of a data set that decides numbers, by file name."""
    files = [data.corpus, data.folder / "queries.jsonl", data.judged_in, data.folder / "unanswerable.jsonl"]
    files += RecordedOutputs(data.folder).files
    return {path.name: sha256_of(path) for path in files if path is not None and path.is_file()}


def model_hashes(names: Mapping[str, str], settings: Settings) -> dict[str, dict[str, str]]:
    """Of each local model among the values of `names`: hex sha256 of its files by role. Others have none."""
    found: dict[str, dict[str, str]] = {}
    for name in sorted(set(names.values())):
        try:
            record = read_record(folder(name.removeprefix("llamacpp/"), settings.cache))
        except (CatalogueError, OSError, ValueError):
            record = None
        if record is not None:
            found[name] = {role: file.sha256 for role, file in sorted(record.files.items())}
    return found


def digest_of(parts: Mapping[str, str]) -> str:
    """One hex sha256 over named texts, whatever their order."""
    whole = hashlib.sha256()
    for name, text in sorted(parts.items()):
        whole.update(f"{name}\n{len(text)}\n{text}\n".encode())
    return whole.hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
