"""What a graph costs besides its steps: loading and checking it, loading it again, and a condition.

Bars: a graph of 60 nodes in choices, loops, branches and maps is loaded and checked in 150 ms, in 5 ms where the same text
was checked before. `benchmarks.engines` has the steps.
"""

from __future__ import annotations

from statistics import median
from time import process_time

from agentrag.core.channels import STANDARD
from agentrag.core.types import Passage
from agentrag.graph.cel.expressions import compile_expression
from agentrag.graph.loader import load_graph_text
from benchmarks.clock import verdict
from benchmarks.ours import NOTE

BLOCKS, TURNS = 10, 9
FRESH_BAR, AGAIN_BAR = 150.0, 5.0
HEAD = """agentrag: 1
name: large
inputs: {question: str, items: "list[str]"}
outputs: [answer, found]
channels: {left: {type: str}, right: {type: str}, item: {type: str}, found: {type: "list[str]", max: 10}}
"""
BLOCK = """
  - choose: [{{when: "answer != '{n}' && question.size() > {n}", do: [a{n}]}}, {{otherwise: [b{n}]}}]
  - repeat: {{do: [c{n}], until: "stable(answer) || answer == '{n}'", at_most: 3}}
  - parallel: {{branches: {{left: [d{n}], right: [e{n}]}}}}
  - each: {{in: items, as: item, do: [f{n}], collect: {{answer: found}}, at_most: 4}}"""
SETTINGS = {"a": "", "b": "", "c": "", "d": ", out: {answer: left}", "e": ", out: {answer: right}", "f": ""}


def large_text(blocks: int) -> str:
    """A graph of 6 nodes in 4 structures per block, and one node before them."""
    numbers = range(blocks)
    nodes = "".join(f"\n  {name}{n}: {{use: {NOTE}{more}}}" for n in numbers for name, more in SETTINGS.items())
    flow = "".join(BLOCK.format(n=n) for n in numbers)
    return f"{HEAD}nodes:\n  begin: {{use: {NOTE}}}{nodes}\nflow:\n  - begin{flow}\n"


def loading(text: str, turns: int) -> tuple[float, float]:
    """Milliseconds of processor for loading a text that was not seen before, and of loading it again: medians."""
    fresh: list[float] = []
    again: list[float] = []
    for turn in range(turns):
        changed = f"{text}# {turn}\n"
        for times in (fresh, again):
            begun = process_time()
            load_graph_text(changed, "large.yaml")
            times.append((process_time() - begun) * 1e3)
    return median(fresh), median(again)


def condition_cost(passages: int, times: int) -> float:
    """Microseconds of one evaluation that looks at every passage."""
    expression = compile_expression("passages.exists(p, p.score > 2.0)", STANDARD)
    state = {"passages": [Passage(str(number), "text " * 160, "source", score=0.5) for number in range(passages)]}
    begun = process_time()
    for _ in range(times):
        expression(state)
    return (process_time() - begun) / times * 1e6


def main() -> None:
    """Print what was measured."""
    print(f"a condition over 5 passages {condition_cost(5, 500):.0f} us, over 50 passages {condition_cost(50, 500):.0f} us")
    fresh, again = loading(large_text(BLOCKS), TURNS)
    print(verdict(f"loading and checking a graph of {6 * BLOCKS} nodes in {4 * BLOCKS} structures", fresh, FRESH_BAR, "ms"))
    print(verdict("loading the same text again", again, AGAIN_BAR, "ms"))


if __name__ == "__main__":
    main()
