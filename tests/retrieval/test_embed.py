from __future__ import annotations

import asyncio
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrag.core.errors import NotPulledError
from agentrag.core.ports import Embedder
from agentrag.core.settings import Settings, load_settings
from agentrag.models.catalogue import model_files
from agentrag.models.pull import pull
from agentrag.retrieval.embed import MAX_TOKENS, OnnxEmbedder, batched, open_embedder

MINILM = "all-minilm-l6-v2"


@given(st.lists(st.integers(1, 300), max_size=80), st.integers(50, 2000))
def test_batches_hold_every_text_once_within_the_budget(lengths: list[int], budget: int) -> None:
    tokens = [[0] * length for length in lengths]
    batches = list(batched(tokens, budget))
    assert sorted(place for batch in batches for place in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[place] for place in batch) <= budget


@given(st.lists(st.integers(1, 300), min_size=1, max_size=80))
def test_batches_hold_texts_of_like_length(lengths: list[int]) -> None:
    ordered = [lengths[place] for batch in batched([[0] * length for length in lengths]) for place in batch]
    assert ordered == sorted(lengths)


def test_an_embedder_that_was_not_pulled_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(NotPulledError, match="agentrag models pull all-minilm-l6-v2"):
        open_embedder(Settings(home=tmp_path, cache=tmp_path))


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings with the real embedder, kept in the user's cache, and a vector cache of their own."""
    empty = tmp_path_factory.mktemp("settings") / "agentrag.yaml"
    empty.touch()
    kept = load_settings(empty).cache
    pull(MINILM, kept)
    cache = tmp_path_factory.mktemp("cache")
    (cache / "models").symlink_to(kept / "models")
    return Settings(home=cache, cache=cache)


@pytest.fixture(scope="module")
def embedder(minilm: Settings) -> Embedder:
    return open_embedder(minilm)


TEXTS = [
    "A cat sleeps on the sofa.",
    "The kitten is napping on the couch.",
    "Interest rates rose by half a percent.",
    "lamp " * 300,
    "",
    "Ünïcödé 東京 🙂",
]


@pytest.mark.model
async def test_vectors_have_length_1_and_like_texts_are_near(embedder: Embedder) -> None:
    vectors = await embedder.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), embedder.dimensions) == (len(TEXTS), 384)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(TEXTS)), abs=1e-5)
    cosines = vectors @ vectors.T
    assert cosines[0, 1] > 0.6 > 0.3 > cosines[0, 2]


@pytest.mark.model
async def test_a_vector_does_not_depend_on_what_else_is_embedded(minilm: Settings) -> None:
    model = OnnxEmbedder(MINILM, model_files(MINILM, minilm.cache), threads=2)
    together = await model.embed(TEXTS * 20)
    alone = np.concatenate([await model.embed([text]) for text in TEXTS])
    assert np.allclose(together, np.concatenate([alone] * 20), atol=1e-5)
    assert (await model.embed([])).shape == (0, 384)


@pytest.mark.model
async def test_texts_are_cut_after_the_tokens_that_the_model_reads(embedder: Embedder) -> None:
    long, longer, short = await embedder.embed(["lamp " * MAX_TOKENS, "lamp " * 999 + "whale", "lamp " * 20])
    assert np.array_equal(long, longer)
    assert not np.allclose(long, short, atol=1e-3)


@pytest.mark.model
async def test_the_event_loop_stays_free_while_texts_are_embedded(minilm: Settings) -> None:
    model = OnnxEmbedder(MINILM, model_files(MINILM, minilm.cache), threads=2)
    await model.embed(["warm"])
    task = asyncio.create_task(model.embed([f"passage {i} " + "word " * 120 for i in range(60)]))
    longest = 0.0
    while not task.done():
        begun = time.perf_counter()
        await asyncio.sleep(0.001)
        longest = max(longest, time.perf_counter() - begun)
    assert len(await task) == 60
    assert longest < 0.5  # the whole takes seconds
