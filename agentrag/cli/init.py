"""`agentrag init`: a settings file and a first graph to change."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agentrag.cli.console import fail, say

SETTINGS = """\
# Settings of agentrag, read from the folder in which a command runs. Every line may be left out; a variable
# AGENTRAG_<NAME> (AGENTRAG_CHUNK__TOKENS for chunk.tokens) beats the file. Check with: agentrag check agentrag.yaml

# Collections, the journal; model files, vectors. Without these lines: the usual folders of your system.
# home: ./.agentrag/home
# cache: ./.agentrag/cache

# Bindings: what fills the model slots of a graph. `default` and `local` always exist (the local model).
# Use one with `-m NAME` for every slot, or `--models SLOT=NAME` for one. A binding called `default` replaces the local one.
# models:
#   small: {provider: llamacpp, model: qwen2.5-coder-0.5b-instruct}
#   mine: {provider: llamacpp, model: /path/to/model.gguf}
#   ollama: {provider: openai-compatible, url: "http://127.0.0.1:11434/v1", model: "llama3.2"}
#   gpt: {provider: openai-compatible, url: "https://api.openai.com/v1", model: gpt-5-mini, api_key_env: OPENAI_API_KEY}
#   claude: {provider: litellm, model: anthropic/claude-sonnet-4-5}

# The model that turns texts into vectors. A collection keeps the one it was made with.
embedder: all-minilm-l6-v2

# How documents are cut: most tokens of one passage (16 to 256).
chunk: {tokens: 160}

# How local models run: requests at once, and tokens of context for each.
runtime: {parallel: 2, context: 4096}
"""

GRAPH = """\
# A first graph to change: search, choose evidence, answer, cite. After a change: agentrag check graphs/first.yaml
# Ask with it: agentrag ask "QUESTION" --graph graphs/first.yaml

agentrag: 1                                   # version of the graph language
name: first
about: Answer a question from documents and cite the evidence.

inputs:
  question: str
  history: {type: history, default: []}       # earlier turns; `agentrag chat` fills it
outputs: [answer, abstained, citations]

models: {writer: default}                     # slots; `-m BINDING` or `--models writer=BINDING` fills them otherwise

nodes:                                        # each names its type by `use:`; the rest are settings of that type
  condense: {use: condense, model: writer}    # makes a follow-up question self-contained
  search: {use: retrieve, collection: docs, k: 10, query: "{standalone}"}
  select: {use: evidence, query: "{standalone}"}
  write: {use: generate, prompt: answer/grounded, model: writer, max_tokens: 120}
  cite: {use: cite, question: "{standalone}", among: evidence}
  refuse: {use: abstain}                      # says "not in the documents"; here only where nothing is found

flow:
  - condense
  - search
  - select
  - choose:                                   # the first branch whose condition (CEL over channels) is true
      - when: "size(evidence) == 0"
        do: [refuse]
      - otherwise: [write, cite]
"""


def init(folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to write.")] = Path()) -> None:
    """Write settings and a first graph to change.

    The files are agentrag.yaml, with comments, and graphs/first.yaml. Nothing is ever overwritten.
    """
    files = {folder / "agentrag.yaml": SETTINGS, folder / "graphs" / "first.yaml": GRAPH}
    if standing := [str(path) for path in files if path.exists()]:
        raise fail(f"{', '.join(standing)} already there; nothing was written. Move it away, or name another folder.")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        say(f"wrote {path}")
    say(f"Next: agentrag check {folder / 'graphs' / 'first.yaml'}")
