"""Draws the losses of a training run of tiny-sdxl as an SVG for the model card: the UNet's in training and on held-out
pictures of both sizes, logarithmic. `python sdxl_curve.py --run <folder of sdxl_train.py> --to loss.svg`
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import curve

LINES = {"train": ("#666666", "training"), "heldOut64": ("#c0392b", "held out, 64×64"), "heldOut128": ("#2455c3", "held out, 128×128")}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--to", type=Path, required=True)
    args = parser.parse_args()
    history = torch.load(args.run / "unet.pt", weights_only=False)["history"]
    lines = [curve.Line(title, colour, [row[name] for row in history]) for name, (colour, title) in LINES.items()]
    note = "steps; weighted error of the noise"
    args.to.write_text(curve.draw([row["step"] for row in history], lines, note, logarithmic=True))


if __name__ == "__main__":
    main()
