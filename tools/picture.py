"""Draw docs/assets/ask.svg: a real run of `agentrag ask` on the sample documents, as the terminal shows it.

Run after `agentrag demo`: python -m tools.picture
"""

from __future__ import annotations

import io
import re
import subprocess
import sys

from rich.console import Console
from rich.text import Text

from tools.doc_regions import ROOT

QUESTION = "What must I do when a generator does not start?"
COLUMNS = 100


def main() -> None:
    arguments = ["ask", QUESTION, "--collection", "demo"]
    done = subprocess.run([sys.executable, "-m", "agentrag", *arguments], capture_output=True, text=True, check=True)
    shown = re.sub(rf"{re.escape(str(ROOT))}/", "", done.stdout)
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), highlight=False)
    console.print(Text.assemble(("$ ", "bold green"), f'agentrag ask "{QUESTION}" --collection demo'))
    console.print(_coloured(shown))
    svg = console.export_svg(title="agentrag")
    fonts_from_elsewhere = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
    target = ROOT / "docs" / "assets" / "ask.svg"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(fonts_from_elsewhere.sub("", svg), encoding="utf-8")
    print(f"wrote {target.relative_to(ROOT)}")


def _coloured(shown: str) -> Text:
    """The colours of a terminal: sources bold, quotes dim, citation numbers cyan."""
    text = Text(shown.rstrip("\n"))
    text.highlight_regex(r"(?m)^Sources$", "bold")
    text.highlight_regex(r'(?m)  ".*"$', "dim")
    text.highlight_regex(r"\[(?:\d+|\?)\]", "cyan")
    return text


if __name__ == "__main__":
    main()
