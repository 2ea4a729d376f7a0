"""The charts of a report as pictures: intervals, questions of two runs, quality against cost, calibration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from xml.etree.ElementTree import Element

from markupsafe import Markup

from agentrag.evaluation.report.calibration import Calibration
from agentrag.evaluation.report.labels import Box, placed
from agentrag.evaluation.report.pareto import Point, Tradeoff
from agentrag.evaluation.report.scales import Axis, costs, label, linear
from agentrag.evaluation.report.scatter import Scatter, Spot
from agentrag.evaluation.report.svg import element, line, mark, picture, text
from agentrag.evaluation.report.units import Unit, counted, shortened, unit_of
from agentrag.evaluation.statistics.intervals import Interval

WIDTH, HEIGHT = 460.0, 340.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 66.0, 24.0, 22.0, 48.0
_BAR_WIDTH, _BAR_ROW, _BAR_EDGE = 210.0, 15.0, 8.0
_ROOM = 14.0  # between the ends of shares and the frame
_SMALLEST, _LARGEST = 3.0, 20.0  # radius of a circle of one question, where there is room, and of the largest
_LETTER = 6.7  # pixels of a letter of a label, on average
_LONGEST_NAME, _LONGEST_QUESTION, _MOST_TOLD = 30, 120, 5


@dataclass(frozen=True, slots=True)
class _Frame:
    """The plot inside a chart, with its two axes and their names."""

    x: Axis
    y: Axis
    x_name: str
    y_name: str
    x_factor: float = 1.0
    y_factor: float = 1.0

    def drawn(self) -> Iterator[Element]:
        """Grid, ticks and names."""
        for tick in self.x.ticks:
            place = self.x.place(tick)
            yield line(place, _TOP, place, HEIGHT - _BOTTOM, "grid")
            yield text(place, HEIGHT - _BOTTOM + 16, label(tick, self.x, self.x_factor), anchor="middle")
        for tick in self.y.ticks:
            place = self.y.place(tick)
            yield line(_LEFT, place, WIDTH - _RIGHT, place, "grid")
            yield text(_LEFT - 6, place + 4, label(tick, self.y, self.y_factor), anchor="end")
        yield line(_LEFT, HEIGHT - _BOTTOM, WIDTH - _RIGHT, HEIGHT - _BOTTOM, "axis")
        yield line(_LEFT, _TOP, _LEFT, HEIGHT - _BOTTOM, "axis")
        yield text((_LEFT + WIDTH - _RIGHT) / 2, HEIGHT - 10, self.x_name, "name", "middle")
        middle = (_TOP + HEIGHT - _BOTTOM) / 2
        turned = text(12, middle, self.y_name, "name", "middle")
        turned.set("transform", f"rotate(-90 12 {middle:g})")
        yield turned


def _across(values: Sequence[float], room: float = 0.0) -> Axis:
    """The axis from left to right, with so many pixels left free at its ends."""
    return linear(values, _LEFT + room, WIDTH - _RIGHT - room)


def _upwards(values: Sequence[float], room: float = 0.0) -> Axis:
    """The axis from the bottom to the top, with so many pixels left free at its ends."""
    return linear(values, HEIGHT - _BOTTOM - room, _TOP + room)


def _spread(shares: Sequence[float]) -> Sequence[float]:
    """Shares to make an axis of: all of 0..1 where they do not differ."""
    return shares if min(shares) < max(shares) else [0.0, 1.0]


def intervals_chart(metric: str, unit: Unit, runs: Sequence[tuple[int, str, Interval]]) -> Markup:
    """Mean and interval of each run as a dot with whiskers, below each other on one scale.

    Args:
        metric: What is shown.
        unit: How its numbers are written.
        runs: Number, name and interval of each run that has the metric, at least one.
    """
    ends = [end for _, _, value in runs for end in (value.low, value.high)]
    axis = linear(_spread(ends) if not unit.name else ends, _BAR_EDGE, _BAR_WIDTH - _BAR_EDGE, about=3)
    bottom = _BAR_ROW * len(runs) + 4
    drawn = [line(axis.place(tick), 0, axis.place(tick), bottom, "grid") for tick in axis.ticks]
    for end, anchor in ((axis.ticks[0], "start"), (axis.ticks[-1], "end")):
        x = 0.0 if anchor == "start" else _BAR_WIDTH
        drawn.append(text(x, bottom + 12, label(end, axis, unit.factor), anchor=anchor))
    told = []
    for row, (number, name, value) in enumerate(runs):
        y = _BAR_ROW * (row + 0.5) + 2
        told.append(f"{name} {unit.shown(value.mean)} ({unit.interval(value)})")
        drawn += [
            *_whisker(axis.place(value.low), axis.place(value.high), y, flat=True),
            mark(number, axis.place(value.mean), y),
        ]
        drawn[-1].append(element("title", told[-1]))
    return picture(_BAR_WIDTH, bottom + 16, f"{metric} of each run with its 95 % interval", *drawn, detail="; ".join(told))


def scatter_chart(found: Scatter) -> Markup:
    """A circle for each pair of scores, its area by the number of questions; above the diagonal they rose."""
    ends = [0.0, *(score for spot in found.spots for score in (spot.before, spot.after)), 1.0]
    x, y = _across(ends, _LARGEST), _upwards(ends, _LARGEST)
    frame = _Frame(x, y, f"{found.metric} of {_name(found.baseline)}", f"{found.metric} of {_name(found.system)}")
    diagonal = line(x.start, y.start, x.end, y.end, "diagonal")
    most = max((len(spot.questions) for spot in found.spots), default=1)
    largest_first = sorted(found.spots, key=lambda spot: -len(spot.questions))
    circles = [_circle(spot, frame, most) for spot in largest_first]
    numbers = [drawn for spot in largest_first for drawn in _number_in(spot, frame, most)]
    says = (
        f"{found.metric} of each question: {found.system} against {found.baseline}; "
        f"{found.rose:,} higher, {found.fell:,} lower, {found.same:,} the same"
    )
    return picture(WIDTH, HEIGHT, says, *frame.drawn(), diagonal, *circles, *numbers)


def tradeoff_chart(found: Tradeoff) -> Markup:
    """Each run at its cost and quality with the intervals of both; the Pareto front is a line with steps."""
    ends = [end for point in found.points for end in (point.cost.low, point.cost.high)]
    unit = unit_of(found.cost, max(ends))
    axis = costs([point.cost.mean for point in found.points] + ends, _LEFT, WIDTH - _RIGHT)
    upwards = _upwards(_spread([end for point in found.points for end in (point.quality.low, point.quality.high)]))
    name = unit.title(found.cost) + (", logarithmic" if axis.log else "")
    frame = _Frame(axis, upwards, name, found.quality, unit.factor)
    whiskers = [each for point in found.points for each in _cross(point, frame)]
    marks = [
        mark(point.number, axis.place(point.cost.mean), upwards.place(point.quality.mean), title=_told_point(point, unit))
        for point in found.points
    ]
    says = f"{found.quality} against {found.cost} of {counted(len(found.points), 'run')}"
    detail = "; ".join(_told_point(point, unit) for point in found.points)
    front = " ".join(f"{x:.2f},{y:.2f}" for x, y in _front(found.points, frame))
    drawn = [*frame.drawn(), element("polyline", points=front, class_="front"), *whiskers, *_names(found.points, frame), *marks]
    return picture(WIDTH, HEIGHT, says, *drawn, detail=detail)


def calibration_chart(found: Calibration) -> Markup:
    """What was foretold against how often it came true, bin by bin; on the diagonal both agree."""
    x, y = _across([0.0, 1.0], _ROOM), _upwards([0.0, 1.0], _ROOM)
    frame = _Frame(x, y, "probability foretold", "share that came true")
    drawn = [*frame.drawn(), line(x.start, y.start, x.end, y.end, "diagonal")]
    told, last = [], -1000.0
    for each in found.bins:
        across, low, high = x.place(each.probability), y.place(each.share.low), y.place(each.share.high)
        told.append(f"foretold {each.probability:.3f}, came true {each.share} of {counted(each.n, 'question')}")
        drawn += [*_whisker(low, high, across, flat=False), mark(0, across, y.place(each.share.mean), title=told[-1])]
        if across - last > 24:  # counts of bins that are nearer would cover each other; the table has them all
            drawn.append(text(across, high - 5, f"{each.n:,}", "count", "middle"))
            last = across
    says = f"Calibration of {found.channel} in {found.run}: {counted(len(found.bins), 'bin')} of {found.n:,} questions"
    return picture(WIDTH, HEIGHT, says, *drawn, detail="; ".join(told))


def _whisker(start: float, end: float, across: float, *, flat: bool) -> list[Element]:
    """A line from start to end with a cap at either, at the other coordinate `across`."""
    ends = [(start, across - 3, start, across + 3), (end, across - 3, end, across + 3), (start, across, end, across)]
    return [line(*(each if flat else (each[1], each[0], each[3], each[2])), "whisker") for each in ends]


def _cross(point: Point, frame: _Frame) -> list[Element]:
    x, y = frame.x.place(point.cost.mean), frame.y.place(point.quality.mean)
    wide = _whisker(frame.x.place(point.cost.low), frame.x.place(point.cost.high), y, flat=True)
    return wide + _whisker(frame.y.place(point.quality.low), frame.y.place(point.quality.high), x, flat=False)


def _told_point(point: Point, unit: Unit) -> str:
    quality = f"{Unit().shown(point.quality.mean)} ({Unit().interval(point.quality)})"
    where = " on the Pareto front" if point.front else ""
    return f"{point.name}: quality {quality}, {unit.shown(point.cost.mean)} {unit.name} ({unit.interval(point.cost)}){where}"


def _front(points: Sequence[Point], frame: _Frame) -> list[tuple[float, float]]:
    """Corners from the cheapest run on the front to the dearest, then on to the edge: what is had for at most so much."""
    rising = sorted((point for point in points if point.front), key=lambda point: point.cost.mean)
    corners: list[tuple[float, float]] = []
    for point in rising:
        x, y = frame.x.place(point.cost.mean), frame.y.place(point.quality.mean)
        corners += [(x, corners[-1][1]), (x, y)] if corners else [(x, y)]
    return [*corners, (WIDTH - _RIGHT, corners[-1][1])]


def _names(points: Sequence[Point], frame: _Frame) -> Iterator[Element]:
    """The names of points, with a line to the point where a name had to move away from it."""
    names = [_name(point.name) for point in points]
    places = [(frame.x.place(point.cost.mean), frame.y.place(point.quality.mean)) for point in points]
    sizes = [(len(name) * _LETTER, 13.0) for name in names]
    inside = Box(_LEFT + 2, 2, WIDTH - 2, HEIGHT - _BOTTOM - 2)
    lines = [_around(*ends) for ends in pairwise(_front(points, frame))]
    boxes = placed(places, sizes, inside, [*lines, *(box for point in points for box in _whisker_boxes(point, frame))])
    for name, (x, y), box in zip(names, places, boxes, strict=True):
        near_x, near_y = min(max(x, box.left), box.right), min(max(y, box.top), box.bottom)
        if abs(near_x - x) + abs(near_y - y) > 22:
            yield line(x, y, near_x, near_y, "leader")
        yield text(box.left, box.bottom - 3, name, "label")


def _whisker_boxes(point: Point, frame: _Frame) -> list[Box]:
    x, y = frame.x.place(point.cost.mean), frame.y.place(point.quality.mean)
    left, right = frame.x.place(point.cost.low), frame.x.place(point.cost.high)
    bottom, top = frame.y.place(point.quality.low), frame.y.place(point.quality.high)
    return [_around((left, y), (right, y)), _around((x, bottom), (x, top))]


def _around(start: tuple[float, float], end: tuple[float, float]) -> Box:
    """The box of a line, with 2 pixels on every side."""
    (left, right), (top, bottom) = (sorted(pair) for pair in zip(start, end, strict=True))
    return Box(left - 2, top - 2, right + 2, bottom + 2)


def _circle(spot: Spot, frame: _Frame, most: int) -> Element:
    way = "rose" if spot.after > spot.before else "fell" if spot.after < spot.before else "same"
    circle = element(
        "circle", cx=frame.x.place(spot.before), cy=frame.y.place(spot.after), r=_radius(spot, most), class_=f"spot {way}"
    )
    circle.append(element("title", _told_spot(spot)))
    return circle


def _radius(spot: Spot, most: int) -> float:
    """Area by count, as far as the largest has room, and never too small to be seen."""
    scale = min(_SMALLEST, _LARGEST / most**0.5)
    return float(max(scale * len(spot.questions) ** 0.5, 0.7 * _SMALLEST))


def _number_in(spot: Spot, frame: _Frame, most: int) -> Iterator[Element]:
    """The count of a circle that has room for it."""
    if _radius(spot, most) >= 5 + 3 * len(f"{len(spot.questions):,}"):
        place = frame.x.place(spot.before), frame.y.place(spot.after) + 4
        yield text(*place, f"{len(spot.questions):,}", "count", "middle")


def _told_spot(spot: Spot) -> str:
    lines = [f"{spot.before:.3f} to {spot.after:.3f}, {counted(len(spot.questions), 'question')}"]
    lines += [f"{name}: {shortened(words, _LONGEST_QUESTION)}" for name, words in spot.questions[:_MOST_TOLD]]
    more = len(spot.questions) - _MOST_TOLD
    return "\n".join([*lines, f"and {more:,} more"] if more > 0 else lines)


def _name(name: str) -> str:
    return shortened(name, _LONGEST_NAME)
