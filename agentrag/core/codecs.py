"""How results of outward calls become JSON text and come back; see `agentrag.core.ports.Codec`."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode

import numpy as np
from pydantic import TypeAdapter

from agentrag.core.ports import Vectors
from agentrag.core.types import Completion, Passage

NUMBER: TypeAdapter[float] = TypeAdapter(float)
WHOLE: TypeAdapter[int] = TypeAdapter(int)
TEXTS: TypeAdapter[list[str]] = TypeAdapter(list[str])
COMPLETION: TypeAdapter[Completion] = TypeAdapter(Completion)
PASSAGES: TypeAdapter[list[Passage]] = TypeAdapter(list[Passage])


class VectorCodec:
    """Vectors as JSON: shape and base64 of little-endian float32, 2 kB per 384 dimensions."""

    def dump_json(self, value: Vectors, /) -> bytes:
        body = b64encode(np.ascontiguousarray(value, dtype="<f4").tobytes()).decode()
        return json.dumps({"shape": value.shape, "float32": body}).encode()

    def validate_json(self, data: bytes, /) -> Vectors:
        stored = json.loads(data)
        return np.frombuffer(b64decode(stored["float32"]), dtype="<f4").reshape(stored["shape"])


VECTORS = VectorCodec()
