from __future__ import annotations

import json
import site
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"litellm", "chromadb", "torch", "langgraph", "numpy", "onnxruntime", "httpx", "aiohttp"}
COMMANDS = ["ask", "chat", "check", "collections", "demo", "doctor", "draw", "eval", "ingest", "init", "models"]
COMMANDS += ["plan", "run", "runs", "schema"]


def loaded(code: str) -> set[str]:
    """Which heavy modules a fresh interpreter has loaded after running `code`."""
    report = f"import json, sys; print(json.dumps(sorted(set(sys.modules) & {HEAVY!r})), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_importing_agentrag_loads_nothing_heavy() -> None:
    assert loaded("import agentrag") == set()


def test_importing_agentrag_keeps_its_names_reachable() -> None:
    import agentrag

    assert set(dir(agentrag)) == set(agentrag.__all__)
    assert all(getattr(agentrag, name) is not None for name in agentrag.__all__)
    assert agentrag.__all__ == sorted(agentrag.__all__)


def test_an_unknown_name_of_agentrag_is_an_attribute_error() -> None:
    import agentrag

    with pytest.raises(AttributeError, match="'Grahp'"):
        _ = agentrag.Grahp


@pytest.mark.parametrize("arguments", [[], *([command] for command in COMMANDS)], ids=["agentrag", *COMMANDS])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = f"""
import sys
from pathlib import Path
from agentrag.cli.main import main
sys.argv = ["agentrag", *{arguments!r}, "--help"]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""
    assert loaded(code) == set()


def test_no_package_runs_code_at_every_start_of_python_by_a_litellm_pth_file() -> None:
    """Two releases of litellm stole credentials that way in March 2026; the lock excludes them, this sees what is installed."""
    assert not [path for folder in site.getsitepackages() for path in Path(folder).glob("litellm*.pth")]
