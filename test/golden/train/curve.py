"""Draws the losses of a training run as an SVG for a model card. Not here: which losses, and where they are read from."""

from __future__ import annotations

import math
from dataclasses import dataclass

WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM, TOP = 640, 320, 56, 24, 36, 28


@dataclass
class Line:
    title: str
    colour: str
    values: list[float]


def draw(steps: list[int], lines: list[Line], note: str, logarithmic: bool = False) -> str:
    """Lines over steps, a title for each, and a note under the axis."""
    scale = math.log10 if logarithmic else float
    values = [scale(value) for line in lines for value in line.values]
    margin = 0.05 * (1 if logarithmic else max(values) - min(values))
    low, high = min(values) - margin, max(values) + margin

    def x(step: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * step / steps[-1], 1)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * (scale(value) - low) / (high - low), 1)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">']
    parts.append(f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>')
    for value in _marks(low, high, logarithmic):
        parts.append(f'<path d="M{LEFT} {y(value)}H{WIDTH - RIGHT}" stroke="#dddddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(value) + 4}" text-anchor="end">{value:g}</text>')
    for fifth in range(6):
        step = steps[-1] * fifth // 5
        parts.append(f'<text x="{x(step)}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{step:,}</text>')
    at = LEFT
    for line in lines:
        points = " ".join(f"{x(step)},{y(value)}" for step, value in zip(steps, line.values, strict=True))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{line.colour}" stroke-width="1.5"/>')
        parts.append(f'<text x="{at}" y="18" fill="{line.colour}">{line.title}</text>')
        at += 20 + 7 * len(line.title)
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end">{note}</text></svg>')
    return "\n".join(parts) + "\n"


def _marks(low: float, high: float, logarithmic: bool) -> list[float]:
    """Values with a line across: 1, 2, 5 and so on, or every half."""
    if not logarithmic:
        return [half / 2 for half in range(math.ceil(2 * low), math.floor(2 * high) + 1)]
    decades = range(math.floor(low), math.ceil(high) + 1)
    return [m * 10.0**e for e in decades for m in (1, 2, 5) if low <= math.log10(m * 10.0**e) <= high]
