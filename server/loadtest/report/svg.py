"""Plots as inline SVG, without a script: colours are the page's CSS variables, so that both themes fit. Pure."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH: Final = 640
HEIGHT: Final = 240
_LEFT: Final = 56
_RIGHT: Final = 12
_TOP: Final = 12
_BOTTOM: Final = 34
_TICKS: Final = 4
_BARS_MAX: Final = 60

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Series:
    """A line: its points in order of x; ``None`` where nothing was measured. ``colour`` is 1 to 4, as the CSS has."""

    name: str
    colour: int
    points: Sequence[tuple[float, float | None]]


def steps(largest: float, count: int = _TICKS) -> list[float]:
    """Round numbers from 0 to at least ``largest``."""
    if largest <= 0:
        return [0.0, 1.0]
    rough = largest / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))
    return [step * i for i in range(math.ceil(largest / step - 1e-9) + 1)]


def line_plot(series: Sequence[Series], x_name: str, y_name: str) -> str:
    """Lines over one x axis, with a legend."""
    values = [y for one in series for _, y in one.points if y is not None]
    if not values:
        return nothing_measured()
    x_max = max(x for one in series for x, _ in one.points) or 1.0
    x_marks = [mark for mark in steps(x_max, 6) if mark <= x_max]
    y_marks = steps(max(values))
    at = _scale(x_max, y_marks[-1])
    parts = [_axes(x_marks, y_marks, at, x_name, y_name)]
    for one in series:
        for piece in _pieces(one.points):
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(x, y) for x, y in piece))
            if len(piece) == 1:
                x, y = at(*piece[0])
                parts.append(f'<circle class="dot c{one.colour}" cx="{x:.1f}" cy="{y:.1f}" r="2"/>')
            else:
                parts.append(f'<polyline class="line c{one.colour}" points="{path}"/>')
    return _svg(parts, ", ".join(one.name for one in series)) + _legend(series)


def histogram_plot(buckets: Sequence[tuple[float, float, int]], unit: str) -> str:
    """Bars over a logarithmic axis. ``buckets``: least and largest value, and count; in order."""
    if not buckets:
        return nothing_measured()
    low, high = max(buckets[0][0], 1e-3), max(buckets[-1][1], 2e-3)
    first, last = math.log10(low), math.log10(max(high, low * 1.2))
    bars = [0] * _BARS_MAX
    for least, largest, count in buckets:
        place = (math.log10(max((least + largest) / 2, low)) - first) / (last - first)
        bars[min(_BARS_MAX - 1, max(0, int(place * _BARS_MAX)))] += count
    y_marks = steps(max(bars))
    at = _scale(1.0, y_marks[-1])
    marks = [i / 5 for i in range(6)]
    parts = [
        _axes(marks, y_marks, at, unit, "count", x_text=lambda mark: _short(10 ** (first + mark * (last - first))))
    ]
    for i, count in enumerate(bars):
        if count:
            (x, y), (right, bottom) = at(i / _BARS_MAX, count), at((i + 1) / _BARS_MAX, 0)
            span = [10 ** (first + (i + edge) / _BARS_MAX * (last - first)) for edge in (0, 1)]
            told = f"{_short(span[0])} to {_short(span[1])} {unit}: {count}"
            size = f'width="{right - x - 1:.1f}" height="{bottom - y:.1f}"'
            parts.append(f'<rect class="bar" x="{x:.1f}" y="{y:.1f}" {size}><title>{escape(told)}</title></rect>')
    return _svg(parts, "histogram")


def nothing_measured() -> str:
    """In place of a plot without a point."""
    return '<p class="none">Nothing was measured.</p>'


def _scale(x_max: float, y_max: float) -> Callable[[float, float], Point]:
    width, height = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
    return lambda x, y: (_LEFT + width * x / x_max, _TOP + height * (1 - y / y_max))


def _axes(
    x_marks: Sequence[float],
    y_marks: Sequence[float],
    at: Callable[[float, float], Point],
    x_name: str,
    y_name: str,
    *,
    x_text: Callable[[float], str] | None = None,
) -> str:
    shown = x_text or _short
    parts = []
    for mark in y_marks:
        x, y = at(0, mark)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="mark" x="{x - 6:.1f}" y="{y + 4:.1f}" text-anchor="end">{_short(mark)}</text>')
    for mark in x_marks:
        x, y = at(mark, 0)
        parts.append(f'<text class="mark" x="{x:.1f}" y="{y + 16:.1f}" text-anchor="middle">{shown(mark)}</text>')
    parts.append(
        f'<text class="name" x="{WIDTH - _RIGHT}" y="{HEIGHT - 4}" text-anchor="end">{escape(x_name)}</text>'
        f'<text class="name" x="4" y="{HEIGHT - 4}">{escape(y_name)}</text>'
    )
    return "".join(parts)


def _pieces(points: Sequence[tuple[float, float | None]]) -> list[list[Point]]:
    """The points without the holes."""
    pieces: list[list[Point]] = [[]]
    for x, y in points:
        if y is None:
            pieces.append([])
        else:
            pieces[-1].append((x, y))
    return [piece for piece in pieces if piece]


def _legend(series: Sequence[Series]) -> str:
    items = (f'<span><i class="c{one.colour}"></i>{escape(one.name)}</span>' for one in series)
    return f'<p class="legend">{"".join(items)}</p>'


def _svg(parts: Sequence[str], label: str) -> str:
    head = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label, quote=True)}">'
    return f"{head}{''.join(parts)}</svg>"


def _short(number: float) -> str:
    if number >= 10_000:
        return f"{number / 1000:.3g}k"
    return f"{number:.3g}" if number < 1000 else f"{number:.0f}"
