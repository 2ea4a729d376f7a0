"""Pictures as SVG elements. Text is escaped when they are written: nothing untrusted can become markup."""

from __future__ import annotations

from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from markupsafe import Markup

MARKS = 4
"""Kinds of marks; with the colours, whose number has no common factor with it, they tell 20 runs apart."""

COLOURS = 5
"""Colours of runs; the style sheet of the page names them, for light and for dark."""


def element(tag: str, *children: Element | str, **attributes: str | float) -> Element:
    """An element with children and attributes.

    Args:
        tag: Its name.
        children: Elements, or its text.
        attributes: Names with `_` for `-`, and `class_` for class; numbers are written with two decimals at most.
    """
    found = Element(tag, {name.strip("_").replace("_", "-"): _written(value) for name, value in attributes.items()})
    for child in children:
        if isinstance(child, str):
            found.text = (found.text or "") + child
        else:
            found.append(child)
    return found


def picture(width: float, height: float, says: str, *children: Element, detail: str = "") -> Markup:
    """A whole picture.

    Args:
        width: In pixels; a narrow page makes it smaller.
        height: In pixels.
        says: What it shows, in a sentence: for those who do not see it.
        children: What is in it, the last on top.
        detail: The numbers in it, for the same readers.
    """
    described = [element("desc", detail)] if detail else []
    box = f"0 0 {_written(width)} {_written(height)}"
    whole = element("svg", *described, *children, viewBox=box, width=width, height=height, role="img", aria_label=says)
    return Markup(ElementTree.tostring(whole, encoding="unicode"))  # noqa: S704  # ElementTree escapes texts and attributes


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Element:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def text(x: float, y: float, words: str, class_: str = "", anchor: str = "start") -> Element:
    """A line of text; `anchor` is the end of it that is at x: start, middle or end."""
    return element("text", words, x=x, y=y, text_anchor=anchor, **({"class_": class_} if class_ else {}))


def mark(number: int, x: float, y: float, size: float = 4.5, title: str = "") -> Element:
    """The mark of a run: a circle, square, diamond or triangle around (x, y), in its colour."""
    shape = element(_SHAPES[number % MARKS], **_placed(number % MARKS, x, y, size), class_=f"mark run{number % COLOURS}")
    if title:
        shape.append(element("title", title))
    return shape


_SHAPES = ("circle", "rect", "polygon", "polygon")


def _placed(shape: int, x: float, y: float, size: float) -> dict[str, str | float]:
    if shape == 0:
        return {"cx": x, "cy": y, "r": size}
    if shape == 1:
        side = size * 0.9
        return {"x": x - side, "y": y - side, "width": 2 * side, "height": 2 * side}
    wide = size * 1.25
    diamond = [(x, y - wide), (x + wide, y), (x, y + wide), (x - wide, y)]
    triangle = [(x, y - wide), (x + wide, y + size), (x - wide, y + size)]
    return {"points": " ".join(f"{_written(a)},{_written(b)}" for a, b in (diamond if shape == 2 else triangle))}


def _written(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
