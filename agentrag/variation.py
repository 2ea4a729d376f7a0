"""How a fork differs from the run that it is forked from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from agentrag.app import Graph
from agentrag.back_ends import EVERY_SLOT, ModelNames
from agentrag.core.calls import new_run_id
from agentrag.core.chain import chained
from agentrag.core.errors import InputError, RunError
from agentrag.core.ports import RunRecord
from agentrag.core.resources import find_graph
from agentrag.graph.recorded.edits import EDITS, checked_edits, fitting_edits
from agentrag.graph.recorded.sources import lacks_graphs, recorded_graph, with_settings


@dataclass(frozen=True)
class Changes:
    """What a fork does in another way than its parent.

    Attributes:
        settings: Of nodes, by "NODE.SETTING", e.g. `{"search.k": 8}`; of a node in another graph that the graph runs, by
            "GRAPH/NODE.SETTING".
        graph: A graph, its path or its name; the parent's, as it is now, where None.
        inputs: By name; the others are the parent's.
        models: Bindings and chains of them by model slot, "*" for all; the others are the parent's.
        at: A step of the parent, by its path or the name of a node: calls made there and later are made again.
        edits: Values that channels take before the step `at`. Then calls made there and later are made again only where
            they differ from the parent's.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    graph: Graph | str | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    models: ModelNames = field(default_factory=dict)
    at: str | None = None
    edits: Mapping[str, Any] = field(default_factory=dict)

    def graph_for(self, parent: RunRecord) -> Graph:
        """The graph of the fork.

        Raises:
            SpecError: The graph is wrong, or a setting is.
        """
        graph = self.graph
        if graph is None:
            file = find_graph(parent.ref) if parent.ref else None
            there = file is not None and not (_runs_others(parent) and lacks_graphs(file, recorded_graph(parent)))
            graph = current_graph(parent) if there else Graph.of(recorded_graph(parent))
        elif isinstance(graph, str):
            graph = Graph.load(graph)
        return Graph.of(with_settings(graph.spec, self.settings)) if self.settings else graph


def varied(parent: RunRecord, changes: Changes, cut: str | None) -> tuple[Graph, RunRecord]:
    """The graph of a fork and what it begins with. Inputs and slots that its graph does not have are left out.

    Args:
        parent: The run that is forked.
        changes: What the fork does in another way.
        cut: Path of the step that `changes.at` names.

    Raises:
        InputError: There are edits, and no step at which to make them.
        SpecError: The graph is wrong, or a setting or an edit is.
        StoreError: The graph has no such step.
    """
    graph = changes.graph_for(parent)
    spec = graph.spec
    models = {} if EVERY_SLOT in changes.models else _known(parent.options.get("models", {}), {*spec.slots, EVERY_SLOT})
    options = {
        "models": models | {slot: chained(names) for slot, names in changes.models.items()},
        "collections": _known(parent.options.get("collections", {}), spec.collection_slots),
    }
    options |= {name: parent.options[name] for name in ("budget",) if name in parent.options}
    edits = fitting_edits(spec, parent.options.get(EDITS, {}))
    if changes.edits:
        if cut is None:
            raise InputError("Say before which step channels take other values: `at`, on the command line --at STEP.")
        for place, values in checked_edits(spec, cut, changes.edits).items():
            edits[place] = {**edits.get(place, {}), **values}
        cut = None  # what follows is made again where it differs
    options |= {EDITS: edits} if edits else {}
    inputs = _known(parent.inputs, spec.inputs.keys()) | dict(changes.inputs)
    return graph, replace(parent, run=new_run_id(), ref=graph.ref, inputs=inputs, options=options, parent=parent.run, cut=cut)


def current_graph(record: RunRecord) -> Graph:
    """The graph of a run from where it was loaded; of one that was made in Python, from the record.

    Raises:
        RunError: Its file is not there any more.
        SpecError: It is wrong, or the record holds no graph.
    """
    if not record.ref:
        return Graph.of(recorded_graph(record))
    if find_graph(record.ref) is None:
        how = f"Bring it back, or go on with what was recorded of it: agentrag runs fork {record.run}"
        raise RunError(f"The graph of run {record.run}, {record.ref}, is not there any more. {how}")
    return Graph.load(record.ref)


def _runs_others(record: RunRecord) -> bool:
    """Whether its graph runs other graphs, as far as the record tells."""
    return any(name.startswith("graphs.") for name in record.sources)


def _known(given: Mapping[str, Any], names: Any) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name in names}
