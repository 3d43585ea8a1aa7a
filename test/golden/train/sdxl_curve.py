"""Draws the losses of a training run of tiny-sdxl as an SVG for the model card: the UNet's in training and on held-out
pictures of both sizes, logarithmic. `python sdxl_curve.py --run <folder of sdxl_train.py> --to loss.svg`
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 320, 56, 36, 28
LINES = {"train": ("#666666", "training"), "heldOut64": ("#c0392b", "held out, 64×64"), "heldOut128": ("#2455c3", "held out, 128×128")}


def draw(history: list[dict]) -> str:
    values = [row[name] for row in history for name in LINES]
    low, high = math.log10(min(values)) - 0.05, math.log10(max(values)) + 0.05
    last = history[-1]["step"]

    def x(step: float) -> float:
        return round(LEFT + (WIDTH - LEFT - 16) * step / last, 1)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * (math.log10(value) - low) / (high - low), 1)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">']
    parts.append(f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>')
    for exponent in range(math.floor(low), math.ceil(high) + 1):
        for value in (10.0**exponent, 2 * 10.0**exponent, 5 * 10.0**exponent):
            if low <= math.log10(value) <= high:
                parts.append(f'<path d="M{LEFT} {y(value)}H{WIDTH - 16}" stroke="#dddddd"/>')
                parts.append(f'<text x="{LEFT - 6}" y="{y(value) + 4}" text-anchor="end">{value:g}</text>')
    for fifth in range(6):
        step = last * fifth // 5
        parts.append(f'<text x="{x(step)}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{step:,}</text>')
    for at, (name, (colour, title)) in enumerate(LINES.items()):
        points = " ".join(f"{x(row['step'])},{y(row[name])}" for row in history)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(f'<text x="{LEFT + 150 * at}" y="18" fill="{colour}">{title}</text>')
    parts.append(f'<text x="{WIDTH - 16}" y="{HEIGHT - 4}" text-anchor="end">steps; weighted error of the noise</text></svg>')
    return "\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--to", type=Path, required=True)
    args = parser.parse_args()
    args.to.write_text(draw(torch.load(args.run / "unet.pt", weights_only=False)["history"]))


if __name__ == "__main__":
    main()
