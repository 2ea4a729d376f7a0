"""The wheel holds what it should: it is built, installed elsewhere, and asked for its graphs, prompts and samples."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("agentrag", "graphs", "prompts", "samples", "LICENSE", "README.md", "pyproject.toml")
BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
LIST = """
import json, agentrag
from agentrag.core.prompts import Prompts
from agentrag.core.resources import shipped, shipped_graphs
samples = sorted(item.name for item in shipped("samples").iterdir())
print(json.dumps({"file": agentrag.__file__, "graphs": shipped_graphs(), "prompts": Prompts().names(), "samples": samples}))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the wheel's content and nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    source, target = folder / "source", folder / "site"
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
        (source / part).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / part, source / part)
    subprocess.run([sys.executable, "-c", BUILD, str(folder)], cwd=source, check=True, capture_output=True)
    (wheel,) = folder.glob("agentrag-*.whl")
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target), str(wheel)]
    subprocess.run([sys.executable, *install], check=True, capture_output=True)
    return target


def test_the_installed_wheel_lists_all_graphs_prompts_and_samples(installed: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIST],
        env={**os.environ, "PYTHONPATH": str(installed)},
        cwd=installed.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert Path(found["file"]).is_relative_to(installed)
    assert found["graphs"] == sorted(path.stem for path in (ROOT / "graphs").glob("*.yaml"))
    assert found["prompts"] == sorted(f"{path.parent.name}/{path.stem}" for path in (ROOT / "prompts").glob("*/*.md"))
    documents = {path.name for path in (ROOT / "samples").iterdir() if path.is_file()}
    assert documents <= set(found["samples"])


def test_the_installed_wheel_has_every_module_and_the_type_marker(installed: Path) -> None:
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "agentrag").rglob("*.py")}
    assert modules <= {str(path.relative_to(installed)) for path in installed.rglob("*.py")}
    assert (installed / "agentrag" / "py.typed").is_file()
