"""CEL packages side by side: what they cost, what they refuse at load, where they see a fault, what they let through.

Packages that are not installed are named and left out: `uv pip install cel-python common-expression-language` adds them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from statistics import median
from time import process_time
from types import ModuleType
from typing import Any

from agentrag.core.channels import STANDARD, Channel
from agentrag.core.types import Passage
from agentrag.graph.cel.expressions import compile_expression

State = Mapping[str, Any]
Evaluate = Callable[[State], Any]
Compile = Callable[[str], Evaluate]

CONDITION = "n > 3 && x < 0.5"
STATE: State = {"n": 4, "x": 0.25, "style": "short"}
ROUNDS, TIMES = 7, 300
HIDDEN = "what no expression should see"
LATE = "not at load"


class Thing:
    """A Python object that gets into a state."""

    hidden = HIDDEN

    def tell(self) -> str:
        """What a call from an expression would give."""
        return HIDDEN


PROBES: Mapping[str, State] = {
    "style.__class__": STATE,
    "style.upper()": STATE,
    "__import__('os')": STATE,
    "thing.hidden": {"thing": Thing()},
    "thing.tell()": {"thing": Thing()},
    "thing.__class__": {"thing": Thing()},
    "thing(1)": {"thing": lambda number: HIDDEN},
}
"""Ways from an expression to Python, each with the state that it needs."""


def cel_expr_python() -> Compile:
    """The C++ CEL; types are declared."""
    cel: Any = import_module("cel_expr_python").cel
    kinds = {"n": cel.Type.INT, "x": cel.Type.DOUBLE, "style": cel.Type.STRING, "thing": cel.Type.DYN}
    env = cel.NewEnv(variables=kinds)

    def compiled(text: str) -> Evaluate:
        expression = env.compile(text)
        return lambda state: expression.eval(data=state).value()

    return compiled


def cel_python() -> Compile:
    """Python all through; types are declared, and values have to be converted."""
    celpy: Any = import_module("celpy")
    kinds = {"n": celpy.celtypes.IntType, "x": celpy.celtypes.DoubleType, "style": celpy.celtypes.StringType}
    env = celpy.Environment(annotations=kinds)

    def compiled(text: str) -> Evaluate:
        program = env.program(env.compile(text))
        return lambda state: program.evaluate({name: kinds.get(name, _same)(value) for name, value in state.items()})

    return compiled


def common_expression_language() -> Compile:
    """Rust; nothing can be declared."""
    cel: Any = import_module("cel")
    return lambda text: cel.compile(text).execute


PACKAGES: Mapping[str, Callable[[], Compile]] = {
    "cel-expr-python": cel_expr_python,
    "common-expression-language": common_expression_language,
    "cel-python": cel_python,
}
"""Each is imported when it is measured: it may be missing."""


@dataclass(frozen=True)
class Row:
    """What was found of one package."""

    package: str
    version: str
    compile_us: float
    evaluate_us: float
    unknown_name: str
    wrong_type: str
    syntax: str
    told: int
    reached: str


def _same(value: Any) -> Any:
    return value


def microseconds(work: Callable[[], object]) -> float:
    """Of processor; median over rounds."""
    found = []
    for _ in range(ROUNDS):
        begun = process_time()
        for _ in range(TIMES):
            work()
        found.append((process_time() - begun) / TIMES * 1e6)
    return median(found)


def refusal(compiled: Compile, text: str) -> Exception | None:
    """The error of compiling a wrong text, where there is one."""
    try:
        compiled(text)
    except Exception as error:
        return error
    return None


def place(error: Exception | None) -> str:
    """Line and column that an error of compiling tells, however it does."""
    if error is None:
        return LATE
    line, column = getattr(error, "line", None), getattr(error, "column", None)
    if line is not None:
        return f"{line}:{column}"
    match = re.search(r"<input>:(\d+:\d+)", str(error))
    return match[1] if match else "no place"


def reached(compiled: Compile) -> str:
    """The probes that got something of Python."""
    through = []
    for text, state in PROBES.items():
        try:
            value = compiled(text)(state)
        except Exception:  # noqa: S112  # any refusal will do
            continue
        if value in (HIDDEN, "SHORT") or isinstance(value, type | ModuleType) or callable(value):
            through.append(text)
    return ", ".join(through) or "no"


def measured(package: str, compiled: Compile) -> Row:
    """All that is measured of a package."""
    condition = compiled(CONDITION)
    if condition(STATE) != True:  # noqa: E712  # cel-python's truth is a type of its own
        raise ValueError(f"{package} is wrong about '{CONDITION}'")
    all_faults = refusal(compiled, "n > 'a' || zork || n + style > 1")
    return Row(
        package,
        version(package),
        microseconds(lambda: compiled(CONDITION)),
        microseconds(lambda: condition(STATE)),
        place(refusal(compiled, "n == 1 &&\n  zork > 1")),
        place(refusal(compiled, "n == 1 &&\n  n > 'a'")),
        place(refusal(compiled, "n == 1 &&\n  n > ")),
        len(re.findall("<input>:", str(all_faults or ""))),
        reached(compiled),
    )


def ours() -> dict[str, float]:
    """Microseconds of our own layer over cel-expr-python; checking includes finding what an expression reads."""
    channels = {**STANDARD, "n": Channel(int), "x": Channel(float)}
    texts = {"scalars": CONDITION, "measures": "stable(answer) || novelty(passages) < 0.2"}
    passages = [Passage(str(number), "text", "source") for number in range(5)]
    state = {**STATE, "answer": "The answer is Paris, not Lyon.", "passages": passages}
    found: dict[str, float] = {}
    for name, text in texts.items():
        expression = compile_expression(text, channels)
        found[f"check {name}"] = microseconds(lambda text=text: compile_expression(text, channels))  # type: ignore[misc]
        found[f"evaluate {name}"] = microseconds(lambda expression=expression: expression(state, [state, state]))  # type: ignore[misc]
    return found


def main() -> None:
    """Print the tables."""
    heads = (
        "package",
        "version",
        "compile us",
        "evaluate us",
        "unknown name",
        "wrong type",
        "syntax",
        "told",
        "Python reached",
    )
    print("{:28}{:9}{:>11}{:>12}  {:14}{:13}{:13}{:6}{}".format(*heads))
    for package, load in PACKAGES.items():
        try:
            compiled = load()
        except ImportError:
            print(f"{package:28}is not installed")
            continue
        row = measured(package, compiled)
        costs = f"{row.compile_us:11.0f}{row.evaluate_us:12.1f}"
        refuses = f"{row.unknown_name:14}{row.wrong_type:13}{row.syntax:13}{row.told:<6}"
        print(f"{row.package:28}{row.version:9}{costs}  {refuses}{row.reached}")
    print("\n'told': how many of three faults one error tells; the columns before it: where it tells of one.")
    print("Our own layer over cel-expr-python, us:")
    print(", ".join(f"{name} {value:.1f}" for name, value in ours().items()))


if __name__ == "__main__":
    main()
