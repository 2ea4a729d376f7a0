"""An agent defined in Python: the graph of ask_documents.yaml, in as many lines.

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
    about="Answer a question from documents and cite the evidence.",
    inputs={"question": "str", "history": {"type": "history", "default": []}},
    outputs=["answer", "abstained", "citations"],
    models={"writer": "default"},
    nodes={
        "condense": Condense(model="writer"),
        "search": Retrieve(collection="docs", k=10, query="{standalone}"),
        "select": Evidence(query="{standalone}", tokens=230),
        "judge": JudgeAnswerable(model="writer"),
        "write": Generate(prompt="answer/grounded", model="writer", max_tokens=120),
        "cite": Cite(question="{standalone}", among="evidence"),
        "refuse": Abstain(),
    },
    flow=[
        "condense",
        "search",
        "select",
        "judge",
        choose({"size(evidence) == 0 || answerable < 0.5": ["refuse"]}, otherwise=["write", "cite"]),
    ],
)

if __name__ == "__main__":
    result = graph.run_sync(question=" ".join(sys.argv[1:]))
    print(result["answer"])
    for citation in result["citations"]:
        print(f"[{citation.n}] {citation.source}, {citation.start}-{citation.end}: {citation.quote}")
