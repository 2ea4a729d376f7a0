"""What starting costs: CPU of an import and of --help beside a bare interpreter, and memory of a run without a local model."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from time import perf_counter

ROUNDS = 7
HEAVY = ("litellm", "chromadb", "torch", "langgraph", "onnxruntime", "trafilatura", "scipy", "xllamacpp", "rich", "numpy")
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import agentrag": ["-c", "import agentrag"],
    "from agentrag import Graph": ["-c", "from agentrag import Graph"],
    "agentrag --help": ["-m", "agentrag", "--help"],
}
COLLECTION = "startup"


@dataclass(frozen=True)
class Cost:
    """Milliseconds of processor and of wall time of one process."""

    cpu: float
    wall: float


def cost(arguments: list[str]) -> Cost:
    """Run the interpreter once and measure it."""
    begun = perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall = perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}")
    return Cost((used.ru_utime + used.ru_stime) * 1e3, wall * 1e3)


def print_costs() -> None:
    """Measure all commands in turn, several rounds, and print medians beside the bare interpreter's."""
    for arguments in COMMANDS.values():
        cost(arguments)  # compiles and caches
    rounds = [{name: cost(arguments) for name, arguments in COMMANDS.items()} for _ in range(ROUNDS)]
    bare = median(each["python -c pass"].cpu for each in rounds)
    print(f"{'':28}{'CPU ms':>8}{'ratio':>8}{'wall ms':>9}")
    for name in COMMANDS:
        cpu, wall = median(each[name].cpu for each in rounds), median(each[name].wall for each in rounds)
        print(f"{name:28}{cpu:8.0f}{cpu / bare:7.1f}x{wall:9.0f}")


def print_modules() -> None:
    """Print how many modules an import loads, and which heavy ones."""
    names = ", ".join(map(repr, HEAVY))
    script = f"import agentrag, sys; print(len(sys.modules), [name for name in ({names}) if name in sys.modules] or 'none')"
    found = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    count, heavy = found.strip().split(" ", 1)
    print(f"import agentrag loads {count} modules; heavy ones: {heavy}")


def print_memory() -> None:
    """Ingest the sample documents in one process, ask them with a scripted model in another, and print its peak memory."""
    with tempfile.TemporaryDirectory() as home:
        from agentrag.core.resources import shipped
        from agentrag.core.settings import load_settings

        cache = Path(home) / "cache"  # with the models, without vectors of earlier runs
        cache.mkdir()
        (cache / "models").symlink_to(load_settings().cache / "models")
        environment = {**os.environ, "AGENTRAG_HOME": home, "AGENTRAG_CACHE": str(cache)}
        samples = str(shipped("samples"))
        ingest = [sys.executable, "-m", "agentrag", "ingest", samples, "--collection", COLLECTION]
        done = subprocess.run(ingest, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"memory of a run: skipped, ingestion failed: {done.stderr.strip().splitlines()[-1]}")
            return
        asking = [sys.executable, "-m", "benchmarks.startup", "ask"]
        found = subprocess.run(asking, env=environment, capture_output=True, text=True, check=True).stdout
    bare = subprocess.run(
        [sys.executable, "-m", "benchmarks.startup", "rest"], capture_output=True, text=True, check=True
    ).stdout
    peak, least = float(found), float(bare)
    print(f"peak memory of a run of `ask` without a local model: {peak:.0f} MB, {peak / least:.1f}x of a bare interpreter")


async def ask_once() -> None:
    """Ask one question of the collection: all that a run with a remote model loads, but a script answers for it."""
    from agentrag.app import Graph
    from agentrag.back_ends import open_deps
    from agentrag.core.bindings import OpenAICompatible
    from agentrag.core.settings import load_settings
    from agentrag.core.types import ChatRequest, Completion, TokenLogprob
    from agentrag.testing.fakes import ScriptedModel

    def reply(request: ChatRequest) -> str | Completion:
        sure = (TokenLogprob("Yes", -0.01, (("Yes", -0.01),)),)
        return Completion("Yes", tokens=sure) if request.logprobs else "The ferry leaves at nine."

    remote = OpenAICompatible(provider="openai-compatible", url="http://127.0.0.1:9", model="none")
    settings = load_settings().model_copy(update={"models": {"remote": remote}})
    graph = Graph.load("ask")
    async with open_deps(graph, settings, models={"*": "remote"}, collections={"docs": COLLECTION}) as deps:
        models = dict.fromkeys(graph.spec.models, ScriptedModel(reply))
        result = await graph.run(replace(deps, models=models), question="When does the ferry leave?")
    if not result.state["passages"]:
        raise SystemExit("the run found no passages")


def peak_megabytes() -> float:
    """Peak resident memory of this process, in MB."""
    status = Path("/proc/self/status")
    if status.is_file():  # its own peak; ru_maxrss would begin with that of the process that started it
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Measure and print; with an argument, be one of the measured processes."""
    if sys.argv[1:]:
        if sys.argv[1] == "ask":
            asyncio.run(ask_once())
        print(peak_megabytes())
        return
    print_costs()
    print_modules()
    print_memory()


if __name__ == "__main__":
    main()
