"""A package of its own adds a node, a measure and a join: it is installed elsewhere, and its graph is checked and run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = Path(__file__).resolve().parent.parent / "examples" / "plugin"
GRAPH = PLUGIN / "graph.yaml"
RUN = """
import asyncio, json, sys
from agentrag import Graph
from agentrag.core.events import RoundFinished
from agentrag.testing import fake_deps, passages

graph = Graph.load(sys.argv[1])
events = []
texts = ["Ice is on it", "A keeper tends the lamp", "The keeper lives beside the harbour", "Harbour ice melts", "Bread"]
deps = fake_deps(collection=passages(*texts))
result = asyncio.run(graph.run(deps, on_event=events.append, question="Who tends the lamp?"))
print(json.dumps({
    "found": [passage.id for passage in result["passages"]],
    "widened": result["widened"],
    "grown": [event.measures["grown(passages)"] for event in events if isinstance(event, RoundFinished)],
}))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the plugin and nothing else."""
    folder = tmp_path_factory.mktemp("plugin")
    source, target = folder / "source", folder / "site"
    shutil.copytree(PLUGIN, source)
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(source)], check=True, capture_output=True)
    return target


def python(*arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python where the plugin is installed, or where it is not."""
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    found = {"PYTHONPATH": str(path)} if path else {}
    return subprocess.run([sys.executable, *arguments], env=plain | found, capture_output=True, text=True, timeout=120)


def test_the_graph_of_the_plugin_runs_with_its_node_its_measure_and_its_join(installed: Path) -> None:
    done = python("-c", RUN, str(GRAPH), path=installed)
    assert done.stderr == ""
    told = json.loads(done.stdout)
    assert told["widened"] == "Who tends the lamp? harbour keeper beside"
    kept = ["A keeper tends the lamp", "The keeper lives beside the harbour", "Ice is on it", "Harbour ice melts"]
    assert told["found"] == kept
    assert told["grown"] == [1.0, 0.25, 0.0]


def test_the_graph_of_the_plugin_is_checked_by_the_command(installed: Path) -> None:
    done = python("-m", "agentrag", "check", str(GRAPH), path=installed)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_the_plugin_its_graph_is_refused_by_the_names_that_are_unknown() -> None:
    done = python("-m", "agentrag", "check", str(GRAPH))
    assert done.returncode == 1
    assert f"{GRAPH}:12:16 nodes.widen.use: Unknown node 'example.feedback'." in done.stderr
    assert "Unknown join 'longest'." in done.stderr
    assert "grown" in done.stderr


def test_what_the_plugin_registers_is_known_by_its_entry_points_alone(installed: Path) -> None:
    code = """
from agentrag.core.node import node
from agentrag.graph.values.joins import join
from agentrag.graph.cel.measures import measure
print([name for table in (node, measure, join) for name in table.names() if name in ("example.feedback", "grown", "longest")])
"""
    assert python("-c", code, path=installed).stdout.strip() == "['example.feedback', 'grown', 'longest']"
