"""Fakes for whole graphs: a collection that knows what each query finds, and a model that knows what it is asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from agentrag.core.types import ChatRequest, Completion, Passage, SearchRequest, TokenLogprob, Usage
from agentrag.testing import ScriptedModel


@dataclass
class Shelf:
    """A collection. `finds` maps queries to the ids of passages, best first; any other query finds nothing."""

    passages: Mapping[str, str]
    finds: Mapping[str, Sequence[str]]
    name: str = "shelf"
    version: str = "1"
    queries: list[str] = field(default_factory=list)

    async def search(self, request: SearchRequest) -> list[Passage]:
        """Passages whose text is the whole of their source."""
        self.queries.append(request.query)
        texts = [(id_, self.passages[id_]) for id_ in self.finds.get(request.query, ())]
        return [Passage(id_, text, source=id_, end=len(text), collection=self.name) for id_, text in texts][: request.k]


def judged(odds: float) -> Completion:
    """One token with these log-odds of yes."""
    yes = 1 / (1 + math.exp(-odds))
    top = (("yes", math.log(yes)), ("no", math.log(1 - yes)))
    return Completion("yes", usage=Usage(calls=1), tokens=(TokenLogprob(*top[0], top),))


@dataclass
class Mind:
    """What a model says to each kind of request; the argument is the last message."""

    answer: Callable[[str], str] = lambda _: ""
    judge: Callable[[str], float] = lambda _: 4.0
    grade: Callable[[str], float] = lambda _: 4.0
    expand: str = ""
    rewrite: Callable[[str], str] = lambda _: ""
    decompose: str = ""

    def model(self) -> ScriptedModel:
        """The model, which remembers what it was asked."""
        return ScriptedModel(self._reply)

    def _reply(self, request: ChatRequest) -> str | Completion:
        system, asked = request.messages[0].content, request.messages[-1].content
        if request.logprobs:
            return judged((self.grade if "judge whether" in system else self.judge)(asked))
        if "other queries" in asked:
            return self.expand
        if asked.endswith("Better query:"):
            return self.rewrite(asked)
        return self.decompose if "one fact at a time" in system else self.answer(asked)
