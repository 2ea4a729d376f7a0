"""Write a sample document as a web page with the boilerplate that real pages carry."""

from html import escape
from pathlib import Path
from string import Template

from tools.sample_formats.blocks import Block, Bullets, Heading, Paragraph, Source, Table

PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>$subtitle | $author</title>
<meta name="author" content="$author">
<meta name="date" content="$date">
<style>body { font-family: sans-serif; } nav li { display: inline; }</style>
</head>
<body>
<header><nav><ul>
$links
</ul></nav></header>
<main><article>
$body
</article></main>
<aside><p>$aside</p></aside>
<footer><p>$footer</p></footer>
</body>
</html>
""")


def write_html(source: Source, path: Path) -> None:
    """Write `source` to `path`: navigation, article, aside and footer, in UTF-8."""
    texts = {name: escape(value) for name, value in source.header.items()}
    links = "\n".join(f'<li><a href="#">{escape(name)}</a></li>' for name in source.header["nav"].split(", "))
    body = "\n".join(_markup(block) for block in source.blocks)
    path.write_text(PAGE.substitute(texts, links=links, body=body), encoding="utf-8", newline="\n")


def _markup(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"<h{level}>{escape(text)}</h{level}>"
        case Paragraph(text):
            return f"<p>{escape(text)}</p>"
        case Bullets(ordered, items):
            tag = "ol" if ordered else "ul"
            return f"<{tag}>\n" + "\n".join(f"<li>{escape(item)}</li>" for item in items) + f"\n</{tag}>"
        case Table((head, *rows)):
            return "\n".join(["<table>", _row(head, "th"), *(_row(row, "td") for row in rows), "</table>"])
        case _:
            # A web page has no pages to break.
            return ""


def _row(cells: tuple[str, ...], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
