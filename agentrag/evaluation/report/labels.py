"""Where the names of points stand in a plot, so that they can be read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_WAYS = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (1, 1), (-1, -1), (-1, 1))
"""Where a label is tried around its point: right, left, above, below, then the corners."""

_DISTANCES = (9.0, 18.0, 30.0, 44.0, 60.0, 80.0, 104.0, 132.0)
_MARK = 7.0  # half the side of what a mark takes
_COVERS, _RATHER_NOT = 1000.0, 0.1  # pixels of distance that a covered square pixel is worth


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels, y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def shares(self, other: Box) -> float:
        """The area that both cover."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(wide, 0.0) * max(high, 0.0)

    def holds(self, other: Box) -> bool:
        """Whether the other one is inside."""
        across = self.left <= other.left and other.right <= self.right
        return across and self.top <= other.top and other.bottom <= self.bottom


def placed(
    points: Sequence[tuple[float, float]], sizes: Sequence[tuple[float, float]], inside: Box, avoid: Sequence[Box] = ()
) -> list[Box]:
    """Boxes for the labels of points: near them, inside the plot, on no point and not on each other.

    Args:
        points: Pixels of the points.
        sizes: Width and height of each label.
        inside: The plot.
        avoid: What a label should rather not cover, such as whiskers.

    Returns:
        A box per label, in order. One covers another or a point only where all places that are tried are taken.
    """
    marks = [Box(x - _MARK, y - _MARK, x + _MARK, y + _MARK) for x, y in points]
    boxes: list[Box] = []
    for point, size in zip(points, sizes, strict=True):
        taken = [*marks, *boxes]
        tried = {box: _burden(box, distance, taken, avoid) for distance, box in _around(*point, *size) if inside.holds(box)}
        boxes.append(min(tried, key=lambda box: tried[box]) if tried else _pushed(*point, *size, inside))
    return boxes


def _burden(box: Box, distance: float, taken: Sequence[Box], avoid: Sequence[Box]) -> float:
    return _COVERS * sum(map(box.shares, taken)) + _RATHER_NOT * sum(map(box.shares, avoid)) + distance


def _around(x: float, y: float, width: float, height: float) -> Iterator[tuple[float, Box]]:
    """Distances from the point, and a box there in each direction."""
    for distance in _DISTANCES:
        for across, down in _WAYS:
            middle_x = x + across * (distance + width / 2)
            middle_y = y + down * (distance + height / 2)
            half_x, half_y = width / 2, height / 2
            yield distance, Box(middle_x - half_x, middle_y - half_y, middle_x + half_x, middle_y + half_y)


def _pushed(x: float, y: float, width: float, height: float, inside: Box) -> Box:
    """The label over its point, pushed into the plot."""
    left = max(min(x - width / 2, inside.right - width), inside.left)
    top = max(min(y - height / 2, inside.bottom - height), inside.top)
    return Box(left, top, left + width, top + height)
