"""Generated graphs that are well-formed and make no sense: every step, every kind of text, everywhere."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from agentrag.graph.spec import GraphSpec
from tests.graph.sample_nodes import Add, Ask, Decide, Say, Search, Write

BOOLEANS = {"yes", "no", "on", "off", "true", "false", "null"}
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [
        "yes",
        "~",
        "3",
        "1e3",
        "a: b",
        "a #b",
        "a,b",
        "- a",
        "it's",
        'a "b"',
        "a:",
        "2020-01-01",
        "{x}",
        "é ü",
        "x\ny",
        "c:\\d",
        "0x1f",
        "1_0",
    ]
)
labels = st.from_regex(r"[a-z][a-z0-9_-]{0,5}", fullmatch=True).filter(lambda name: name not in BOOLEANS)
channels = st.from_regex(r"(?!__)[a-z_][a-z0-9_]{0,5}", fullmatch=True).filter(lambda name: name not in BOOLEANS)
templates = texts.filter(str.strip).map(lambda text: text.replace("{", "{{").replace("}", "}}"))
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
data = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=5
)
renames = st.dictionaries(channels, channels, max_size=2)
common = {"timeout": st.sampled_from([600.0, 60.0, 0.5]), "retry": st.integers(0, 3), "out": renames}
nodes = st.one_of(
    st.builds(Say, text=templates, **common),
    st.builds(Search, query=templates, k=st.integers(1, 10), **common),
    st.builds(Ask, prompt=texts, model=texts),
    st.builds(Write, declared=st.lists(texts, max_size=2), written=st.dictionaries(texts, data, max_size=2)),
    st.builds(Add, items=st.lists(texts, max_size=3)),
    st.builds(Decide, retrieve=st.booleans()),
)


def steps_of(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    steps = st.lists(inner, max_size=3)
    counts = st.integers(1, 9)
    on_error = st.sampled_from(["fail", "collect"])
    whens = st.lists(st.fixed_dictionaries({"when": texts, "do": steps}), max_size=2)
    wait = st.sampled_from(["all", "first"]) | st.fixed_dictionaries({"quorum": counts})
    return st.one_of(
        st.tuples(whens, steps).map(lambda both: {"choose": [*both[0], {"otherwise": both[1]}]}),
        _word(
            "repeat",
            {"do": steps, "at_most": counts},
            {"until": texts, "best_by": texts, "on_exhausted": st.sampled_from(["return_best", "fail"]) | steps},
        ),
        _word(
            "parallel",
            {"branches": st.dictionaries(labels, steps, min_size=2, max_size=3)},
            {"join": st.dictionaries(channels, texts, max_size=2), "wait": wait, "on_error": on_error},
        ),
        _word(
            "each",
            {"in": channels, "as": channels, "do": steps, "collect": renames, "at_most": counts},
            {"concurrency": counts, "on_error": on_error},
        ),
    )


def _word(word: str, needed: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({word: st.fixed_dictionaries(needed, optional=optional)})


leaves = st.one_of(
    labels,
    labels,
    _word("graph", {"use": texts, "out": st.dictionaries(channels, channels, min_size=1, max_size=2)}, {"in": renames}),
    _word(
        "ask_human",
        {"question": templates, "out": channels},
        {"choices": st.lists(texts.filter(str.strip), max_size=2), "schema": st.dictionaries(texts, data, max_size=2)},
    ),
    st.fixed_dictionaries({"return": renames}),
)
inputs = st.sampled_from(["str", "int"]) | st.fixed_dictionaries(
    {"type": st.sampled_from(["str", "history"])},
    optional={"default": data, "values": st.lists(scalars, max_size=2), "about": texts},
)
bindings = texts.filter(lambda name: bool(name.strip()) and "," not in name)
specs = st.builds(
    lambda **parts: GraphSpec.model_validate({"agentrag": 1, **parts}),
    name=labels,
    about=texts,
    source=texts,
    inputs=st.dictionaries(channels, inputs, max_size=2),
    outputs=st.lists(channels, max_size=2),
    channels=st.dictionaries(
        channels,
        st.fixed_dictionaries({}, optional={"type": st.just("str"), "max": st.integers(1, 9), "about": texts}),
        max_size=2,
    ),
    models=st.dictionaries(labels, bindings | st.lists(bindings, min_size=2, max_size=3, unique=True), max_size=2),
    nodes=st.dictionaries(labels, nodes, max_size=3),
    flow=st.lists(st.recursive(leaves, steps_of, max_leaves=6), max_size=4),
)
