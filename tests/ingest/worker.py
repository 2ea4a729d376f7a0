"""Runs `agentrag ingest` in a process of its own with a slow embedder of words, for the tests that interrupt it.

Arguments: seconds that an embedding of 256 texts takes, then those of the command.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

import typer

import agentrag.ingest.pipeline
import agentrag.retrieval.embed
from agentrag.cli.ingest import ingest
from agentrag.core.ports import Vectors
from agentrag.testing.fakes import WordEmbedder


class SlowEmbedder(WordEmbedder):
    """Takes its time, so that there is time to interrupt it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def embed(self, texts: Sequence[str]) -> Vectors:
        await asyncio.sleep(self._seconds * len(texts) / 256)
        return await super().embed(texts)


if __name__ == "__main__":
    seconds = float(sys.argv.pop(1))
    vars(agentrag.retrieval.embed)["open_embedder"] = lambda settings: SlowEmbedder(seconds)
    vars(agentrag.ingest.pipeline)["token_counter"] = lambda settings: lambda text: len(text.split())
    typer.run(ingest)
