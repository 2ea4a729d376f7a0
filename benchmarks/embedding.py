"""What ingestion costs beside the model: passages a second through a collection's writer, and through bare onnxruntime.

Both sides run the same batches on the same cores. The bare side gets its tokens ready-made and throws the result away; ours
tokenizes, pools, caches, stores and indexes. Bar: at least 0.9 of the bare rate. On a machine that does other work too the
ratio of processor time says more than that of wall time.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
import onnxruntime

from agentrag.core.errors import CatalogueError
from agentrag.core.settings import Settings, load_settings
from agentrag.models.catalogue import model_files
from agentrag.retrieval.collection import Chunk, NewDocument
from agentrag.retrieval.collections import Collections
from agentrag.retrieval.embed import OnnxEmbedder, batched
from agentrag.retrieval.optimised import optimised
from agentrag.retrieval.vector_cache import CachedEmbedder, VectorCache
from agentrag.retrieval.writer import FLUSH
from benchmarks.corpora import passages

COUNT, ROUNDS = 256, 5
Feed = dict[str, Any]
Spent = tuple[float, float]
"""Seconds of wall time and of processor time."""


def feeds(embedder: OnnxEmbedder, texts: Sequence[str]) -> list[list[Feed]]:
    """The model's inputs for each flush of a writer, in the batches that the embedder makes."""
    made = []
    for begin in range(0, len(texts), FLUSH):
        tokens = embedder.tokenize(texts[begin : begin + FLUSH])
        made.append([_feed([tokens[place] for place in batch]) for batch in batched(tokens)][::-1])
    return made


def _feed(tokens: Sequence[Sequence[int]]) -> Feed:
    ids = np.zeros((len(tokens), max(map(len, tokens))), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, own in enumerate(tokens):
        ids[row, : len(own)], mask[row, : len(own)] = own, 1
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def bare(session: Any, pool: ThreadPoolExecutor, groups: Sequence[Sequence[Feed]]) -> Spent:
    """Run all batches in onnxruntime alone."""
    begun, cpu = perf_counter(), process_time()
    for group in groups:
        list(pool.map(lambda feed: session.run(None, feed), group))
    return perf_counter() - begun, process_time() - cpu


async def ingested(settings: Settings, embedder: OnnxEmbedder, texts: Sequence[str]) -> Spent:
    """Store and index all texts in a new collection, with an empty vector cache in front of the model."""
    with tempfile.TemporaryDirectory() as home:
        cached = CachedEmbedder(embedder, VectorCache(Path(home) / "vectors.sqlite"))
        collections = Collections(settings.model_copy(update={"home": Path(home)}), cached)
        begun, cpu = perf_counter(), process_time()
        async with collections.open("bench", write=True) as collection, collection.writer() as writer:
            for number, text in enumerate(texts):
                writer.begin(NewDocument(f"/benchmark/{number}", "1"))
                await writer.add(f"/benchmark/{number}", [Chunk(text, 0, len(text))])
                writer.finish(f"/benchmark/{number}")
        return perf_counter() - begun, process_time() - cpu


def main() -> None:
    """Measure both sides in turn, several rounds, and print the rates and the median ratios."""
    settings = load_settings()
    try:
        files = model_files(settings.embedder, settings.cache)
    except CatalogueError as error:
        sys.exit(f"embedding: {error}")
    texts, _, origin = passages(COUNT)
    threads = settings.runtime.threads
    embedder = OnnxEmbedder(settings.embedder, files, threads)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(optimised(files["weights"])), options, providers=["CPUExecutionProvider"])
    groups = feeds(embedder, texts)
    tokens = sum(int(feed["attention_mask"].sum()) for group in groups for feed in group) / len(texts)
    print(f"{len(texts)} {origin}, {tokens:.0f} tokens each, {settings.embedder}, {threads} threads")
    with ThreadPoolExecutor(threads) as pool:
        bare(session, pool, groups[:1])
        asyncio.run(ingested(settings, embedder, texts[:16]))  # loads model and Chroma
        rounds = [(bare(session, pool, groups), asyncio.run(ingested(settings, embedder, texts))) for _ in range(ROUNDS)]
    for raw, whole in rounds:
        rates = f"{len(texts) / raw[0]:5.1f} passages/s in bare onnxruntime, {len(texts) / whole[0]:5.1f} through the writer"
        print(f"{rates}: {raw[0] / whole[0]:.2f}x; processor {raw[1] / whole[1]:.2f}x")
    wall, cpu = (median(raw[kind] / whole[kind] for raw, whole in rounds) for kind in (0, 1))
    print(f"median: {wall:.2f}x of the bare rate; by processor time {cpu:.2f}x")


if __name__ == "__main__":
    main()
