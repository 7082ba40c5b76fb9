"""Small pictures as inline SVG: bars, columns and lines in the colours of the page around them.

Colours are classes (`bar`, `line`, `grid`, `break`, `label`), so that one picture serves light and
dark.
"""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 560
HEIGHT: Final = 220
LEFT: Final = 52
BOTTOM: Final = 26
TOP: Final = 10
RIGHT: Final = 10
TICKS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a picture.

    Attributes:
        label: Under it; may be empty.
        value: Its height.
        title: Shown when pointed at.
    """

    label: str
    value: float
    title: str = ""


def columns(values: Sequence[Column], *, width: int = WIDTH, is_share: bool = True) -> str:
    """Return a column chart; labels are thinned until they fit."""
    most = max((column.value for column in values), default=0.0)
    if not values or most <= 0.0:
        return _empty(width)
    top = _nice_top(most)
    step = (width - LEFT - RIGHT) / len(values)
    parts = [_scale(top, width, is_share=is_share)]
    bar = max(1.0, min(step * 0.82, 42.0))
    for index, column in enumerate(values):
        height = (HEIGHT - TOP - BOTTOM) * column.value / top
        x = LEFT + step * index + (step - bar) / 2
        y = HEIGHT - BOTTOM - height
        title = html.escape(column.title or f"{column.label}: {words(column.value)}")
        parts.append(
            f'<rect class="bar" x="{x:.1f}" y="{y:.1f}" width="{bar:.1f}" height="{height:.1f}" '
            f'rx="{min(2.0, bar / 4):.1f}"><title>{title}</title></rect>'
        )
    parts.append(_labels([column.label for column in values], width))
    return _svg("".join(parts), width)


def bars(values: Sequence[Column], *, width: int = WIDTH) -> str:
    """Return horizontal bars with their words, longest scale 1."""
    most = max((column.value for column in values), default=0.0)
    if not values or most <= 0.0:
        return _empty(width)
    row, name, tail = 26, 150, 120
    parts = []
    for index, column in enumerate(values):
        length = (width - name - tail) * column.value / most
        y = index * row
        parts.append(
            f'<text class="label" x="{name - 10}" y="{y + 17}" text-anchor="end">'
            f"{html.escape(column.label)}</text>"
            f'<rect class="bar" x="{name}" y="{y + 5}" width="{max(length, 1.0):.1f}" height="16" '
            f'rx="2"/><text class="label strong" x="{name + max(length, 1.0) + 8:.1f}" '
            f'y="{y + 17}">{html.escape(column.title)}</text>'
        )
    return _svg("".join(parts), width, height=row * len(values) + 4)


def lines(
    values: Sequence[float | None], labels: Sequence[str], breaks: Sequence[int], *, width: int
) -> str:
    """Return a line over equally wide steps, torn where a value is missing or a break lies before.

    The scale fits the values and does not start at zero.
    """
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return _empty(width)
    low, high = min(known), max(known)
    margin = (high - low) * 0.06 or 1.0
    low, high = low - margin, high + margin
    step = (width - LEFT - RIGHT) / max(1, len(values) - 1)
    height = HEIGHT - TOP - BOTTOM

    def place(index: int, value: float) -> str:
        x = LEFT + step * index
        return f"{x:.1f},{HEIGHT - BOTTOM - height * (value - low) / (high - low):.1f}"

    parts: list[str] = []
    path: list[str] = []
    torn = set(breaks)
    for index, value in enumerate(values):
        if (value is None or index in torn) and path:
            parts.append(_polyline(path))
            path = []
        if value is not None:
            path.append(place(index, value))
    parts.append(_polyline(path))
    for number in range(TICKS + 1):
        value = low + (high - low) * number / TICKS
        y = HEIGHT - BOTTOM - height * number / TICKS
        parts.insert(0, _gridline(y, f"{value:,.0f}", width))
    parts += [_break(LEFT + step * (index - 0.5)) for index in breaks]
    parts.append(_labels(labels, width))
    return _svg("".join(parts), width)


def words(value: float) -> str:
    """Return a number for people: three digits, thousands apart."""
    if value == 0.0:
        return "0"
    if abs(value) >= 1_000.0:
        return f"{value:,.0f}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{min(digits, 9)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _polyline(path: Sequence[str]) -> str:
    return f'<polyline class="line" points="{" ".join(path)}"/>' if path else ""


def _break(x: float) -> str:
    bottom = HEIGHT - BOTTOM
    return f'<line class="break" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}"/>'


def _nice_top(most: float) -> float:
    """Return the next of 1, 2, 2.5, 4, 5, 8 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(most))
    return next(power * step for step in (1, 2, 2.5, 4, 5, 8, 10) if power * step >= most * 0.9999)


def _scale(top: float, width: int, *, is_share: bool) -> str:
    parts = []
    for number in range(TICKS + 1):
        value = top * number / TICKS
        y = HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * number / TICKS
        parts.append(_gridline(y, f"{words(value * 100)} %" if is_share else words(value), width))
    return "".join(parts)


def _gridline(y: float, label: str, width: int) -> str:
    return (
        f'<line class="grid" x1="{LEFT}" x2="{width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="label" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'
    )


def _labels(labels: Sequence[str], width: int) -> str:
    """Return the labels under the columns, every n-th where they would overlap."""
    room = width - LEFT - RIGHT
    shown = [index for index, label in enumerate(labels) if label]
    if not shown:
        return ""
    widest = max(len(labels[index]) for index in shown) * 7 + 10
    every = max(1, math.ceil(len(shown) * widest / room))
    step = room / len(labels)
    return "".join(
        f'<text class="label" x="{LEFT + step * (index + 0.5):.1f}" y="{HEIGHT - 8}" '
        f'text-anchor="middle">{html.escape(labels[index])}</text>'
        for index in shown[::every]
    )


def _svg(content: str, width: int, height: int = HEIGHT) -> str:
    return f'<svg viewBox="0 0 {width} {height}" role="img">{content}</svg>'


def _empty(width: int) -> str:
    text = f'<text class="label" x="{width / 2}" y="30" text-anchor="middle">nothing to show</text>'
    return _svg(text, width, height=50)
