"""ONNX models as onnxruntime makes them at load, kept on disk: loading them again takes a third of the memory."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

_MODEL, _WEIGHTS = "model.onnx", "weights.bin"


def optimised(model: Path) -> Path:
    """The optimised form of a model, made at the first call, beside it; the model itself where nothing can be written there.

    onnxruntime unfolds quantised weights while it optimises: from 23 MB on disk MiniLM grows to 200 MB in memory, with both
    forms there at once. The stored form is mapped from its file instead. Results are equal to the last bit but one.
    Cost of the first call: one load of the model, and four times its size on disk.
    """
    import onnxruntime  # lazy: 200 ms of start-up

    folder = model.parent / f"onnxruntime-{onnxruntime.__version__}"
    if not (folder / _MODEL).is_file():
        try:
            _make(model, folder)
        except OSError:
            return model
    return folder / _MODEL


def _make(model: Path, folder: Path) -> None:
    import onnxruntime  # lazy, as above

    draft = Path(tempfile.mkdtemp(prefix=".optimising-", dir=model.parent))
    try:
        options: Any = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(draft / _MODEL)
        # what goes further than this level is made for the processor at hand
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.add_session_config_entry("session.optimized_model_external_initializers_file_name", _WEIGHTS)
        onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        if not folder.exists():
            draft.rename(folder)  # another process that was faster has made the same
    finally:
        shutil.rmtree(draft, ignore_errors=True)
