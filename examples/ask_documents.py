"""An agent defined in Python: the shipped graph `ask`, in about as many lines as its YAML.

Run: python examples/ask_documents.py "QUESTION" (searches the collection `docs`)
"""

import sys

from agentrag import Graph, choose
from agentrag.nodes.abstain import Abstain
from agentrag.nodes.cite import Cite
from agentrag.nodes.condense import Condense
from agentrag.nodes.evidence import Evidence
from agentrag.nodes.generate import Generate
from agentrag.nodes.judge import JudgeAnswerable
from agentrag.nodes.retrieve import Retrieve

graph = Graph(
    "ask-documents",
    about="Answer a question from documents, with a verified citation for every sentence.",
    inputs={
        "question": "str",
        "history": {"type": "history", "default": []},
        "style": {"type": "str", "default": "full", "values": ["full", "short"]},
    },
    outputs=["answer", "abstained", "citations", "unsupported"],
    models={"writer": "default", "gate": "default"},
    nodes={
        "condense": Condense(model="writer"),
        "search": Retrieve(collection="docs", k=10, query="{standalone}", also="{contextual}"),
        "select": Evidence(query="{standalone}", tokens=230),
        "judge": JudgeAnswerable(model="gate"),
        "write": Generate(prompt="answer/grounded", model="writer", max_tokens=120),
        "name-it": Generate(prompt="answer/short", model="writer", max_tokens=32, stop=("\n",)),
        "cite": Cite(question="{standalone}", among="evidence"),
        "cite-span": Cite(question="{standalone}", among="evidence", span=True),
        "refuse": Abstain(),
    },
    flow=[
        "condense",
        "search",
        "select",
        "judge",
        choose(
            {"size(evidence) == 0 || answerable + 2.0 * relevance < 1.8": ["refuse"]},
            otherwise=[
                choose({"style == 'short'": ["name-it", "cite-span"]}, otherwise=["write", "cite"]),
                choose({"size(citations) == 0": ["refuse"]}, otherwise=[]),
            ],
        ),
    ],
)

if __name__ == "__main__":
    result = graph.run_sync(question=" ".join(sys.argv[1:]))
    print(result["answer"])
    for citation in result["citations"]:
        print(f"[{citation.n}] {citation.source}, {citation.start}-{citation.end}: {citation.quote}")
