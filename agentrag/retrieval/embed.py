"""Text embeddings by an ONNX model on the processor: mean pooling, unit length.

Batches hold texts of like length, and every core works on a batch of its own: one thread inside each onnxruntime call and
many calls side by side gave 1.4 times the rate of one call over all cores, at two thirds of the processor time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentrag.core.ports import Embedder, Vectors
from agentrag.core.settings import Settings
from agentrag.models.catalogue import identity, model_files
from agentrag.retrieval.optimised import optimised
from agentrag.retrieval.vector_cache import CachedEmbedder, VectorCache

MAX_TOKENS = 256
BATCH_TOKENS = 512
"""Most tokens of one batch, padding counted. 1,024 are no faster and take 130 MB more; larger ones are slower."""

TokenIds = Sequence[int]


def open_embedder(settings: Settings) -> Embedder:
    """Open the embedder that the settings name, with the vector cache of their tenant in front of it.

    Tenants share no cache: how quick an answer is would tell one which texts the other has.

    Raises:
        NotPulledError: Its files are not on this machine.
        ChecksumError: They are not what the catalogue states.
    """
    files = model_files(settings.embedder, settings.cache)
    model = OnnxEmbedder(identity(files["weights"]), files, settings.runtime.threads)
    return CachedEmbedder(model, VectorCache(settings.own(settings.cache) / "vectors" / "vectors.sqlite"))


class OnnxEmbedder:
    """A sentence encoder with inputs `input_ids`, `attention_mask`, `token_type_ids`; loaded on first use."""

    def __init__(self, model: str, files: Mapping[str, Path], threads: int) -> None:
        self._model, self._files = model, files
        self._loading = Lock()
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="embed")

    @property
    def name(self) -> str:
        """Model, pooling and truncation: all that decides a vector."""
        return f"{self._model}/mean/{MAX_TOKENS}"

    @property
    def dimensions(self) -> int:
        """Length of a vector. Loads the model."""
        size: int = self._session.get_outputs()[0].shape[-1]
        return size

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Return float32 of shape (len(texts), dimensions), rows of length 1. Texts are cut after 256 tokens.

        Cost: about 40 passages of 160 tokens a second on two cores (MiniLM, int8). The event loop stays free.
        """
        if not texts:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        loop = asyncio.get_running_loop()
        tokens = await loop.run_in_executor(self._pool, self.tokenize, texts)
        # longest first: the batches that end last are then short, and no core waits long for another
        batches = list(batched(tokens))[::-1]
        parts = await asyncio.gather(*(loop.run_in_executor(self._pool, self.encode, tokens, batch) for batch in batches))
        vectors = np.empty((len(texts), parts[0].shape[1]), dtype=np.float32)
        for batch, part in zip(batches, parts, strict=True):
            vectors[batch] = part
        return vectors

    def tokenize(self, texts: Sequence[str]) -> list[TokenIds]:
        """Token ids of each text, at most 256."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]

    def encode(self, tokens: Sequence[TokenIds], batch: Sequence[int]) -> Vectors:
        """Vectors of the texts at the places `batch`, padded to the longest of them."""
        longest = max(len(tokens[place]) for place in batch)
        ids = np.zeros((len(batch), longest), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, place in enumerate(batch):
            ids[row, : len(tokens[place])] = tokens[place]
            mask[row, : len(tokens[place])] = 1
        hidden = self._session.run(None, {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)})[0]
        return _pooled(hidden, mask)

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer  # lazy: only embedding needs it

        tokenizer = Tokenizer.from_file(str(self._files["tokenizer"]))
        tokenizer.enable_truncation(MAX_TOKENS)
        tokenizer.no_padding()
        return tokenizer

    @property
    def _session(self) -> Any:
        with self._loading:
            return self._opened

    @cached_property
    def _opened(self) -> Any:
        import onnxruntime  # lazy: 200 ms of start-up

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        weights = optimised(self._files["weights"])
        return onnxruntime.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])


def batched(tokens: Sequence[TokenIds], budget: int = BATCH_TOKENS) -> Iterator[list[int]]:
    """Split the places of `tokens` into batches of like length, shortest first.

    Each holds at most `budget` tokens with its padding, or one single text.
    """
    batch: list[int] = []
    for place in sorted(range(len(tokens)), key=lambda place: len(tokens[place])):
        if batch and (len(batch) + 1) * len(tokens[place]) > budget:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _pooled(hidden: NDArray[np.float32], mask: NDArray[np.int64]) -> Vectors:
    """Mean of the token vectors where `mask` is 1, then unit length."""
    weights = mask[:, :, None].astype(np.float32)
    mean = (hidden * weights).sum(axis=1) / weights.sum(axis=1)
    unit: Vectors = mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
    return unit.astype(np.float32, copy=False)
