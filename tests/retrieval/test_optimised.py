"""The stored form of an ONNX model gives the same vectors."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from agentrag.core.settings import load_settings
from agentrag.models.pull import pull
from agentrag.retrieval.embed import OnnxEmbedder
from agentrag.retrieval.optimised import optimised

pytestmark = pytest.mark.model


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    found = pull("all-minilm-l6-v2", load_settings().cache)
    return {role: Path(shutil.copy(path, tmp_path)) for role, path in found.items()}


def test_it_is_made_once_beside_the_model(files: dict[str, Path]) -> None:
    stored = optimised(files["weights"])
    made = stored.stat().st_mtime_ns
    assert stored.parent.parent == files["weights"].parent
    assert optimised(files["weights"]).stat().st_mtime_ns == made
    assert not list(files["weights"].parent.glob(".optimising-*"))


def test_where_nothing_can_be_written_the_model_itself_is_used(tmp_path: Path) -> None:
    assert optimised(tmp_path / "missing" / "model.onnx") == tmp_path / "missing" / "model.onnx"


async def test_its_vectors_are_those_of_the_model(files: dict[str, Path]) -> None:
    import onnxruntime

    texts = ["The ferry leaves at nine.", "Gulls nest on the cliffs, and nobody counts them twice."]
    embedder = OnnxEmbedder("all-minilm-l6-v2", files, threads=1)
    vectors = await embedder.embed(texts)
    plain = onnxruntime.InferenceSession(str(files["weights"]), providers=["CPUExecutionProvider"])
    for text, vector in zip(texts, vectors, strict=True):
        ids = np.array([embedder.tokenize([text])[0]], dtype=np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        mean = plain.run(None, given)[0][0].mean(axis=0)
        assert float(vector @ mean / np.linalg.norm(mean)) == pytest.approx(1.0, abs=1e-5)
