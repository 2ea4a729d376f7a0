"""Make a follow-up question self-contained, so that a retriever that knows no history understands it."""

from __future__ import annotations

from dataclasses import replace
from textwrap import shorten

from pydantic import Field

from agentrag.core.channels import State
from agentrag.core.deps import Deps
from agentrag.core.node import ModelSlot, Node, PromptName, node
from agentrag.core.sizes import ITEM_BYTES, Calls, Sizes
from agentrag.core.types import ChatRequest


@node("condense")
class Condense(Node):
    """Rewrite `question` with what `history` says.

    Reads `question`, `history`; writes `standalone` (one line; the question itself where there is no history or the
    model writes nothing) and `contextual` (the user's last turn before the question, then the question: a second query
    that no model can spoil). Only the last `turns` messages are shown, each cut to `characters` at a word.
    Cost: one model call, none without history.
    """

    prompt: PromptName = "chat/condense"
    model: ModelSlot = "writer"
    turns: int = Field(4, ge=1, le=40, description="messages of the history that are shown, newest last")
    characters: int = Field(200, ge=50, description="most characters shown of one message")
    max_tokens: int = Field(64, ge=8, description="bound of the rewritten question")

    def reads(self) -> frozenset[str]:
        return frozenset({"question", "history"})

    def writes(self) -> frozenset[str]:
        return frozenset({"standalone", "contextual"})

    async def __call__(self, state: State, deps: Deps) -> State:
        question, history = state["question"], state["history"]
        if not history:
            return {"standalone": question, "contextual": question}
        asked = [turn.content for turn in history if turn.role == "user"][-1:]
        shown = [
            replace(turn, content=shorten(turn.content, self.characters, placeholder=" ...")) for turn in history[-self.turns :]
        ]
        messages = deps.prompts[self.prompt].messages({**state, "history": shown})
        completion = await deps.chat(self.model, ChatRequest(messages, self.max_tokens, stop=("\n",)))
        return {"standalone": completion.text.strip().strip('"') or question, "contextual": " ".join([*asked, question])}

    def cost(self, sizes: Sizes) -> Calls:
        turns = min(self.turns, sizes.items("history"))
        if not turns:
            return Calls()
        turn = min(sizes.item("history"), sizes.shown(self.characters * sizes.scale.character + ITEM_BYTES))
        return Calls(model=1, prompt=sizes.prompt(self.prompt, history=turns * turn), completion=self.max_tokens)
