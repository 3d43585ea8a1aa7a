"""Draws the losses of a training run of tiny-gptj as an SVG for the model card.
`python gptj_curve.py --run <folder of gptj_train.py>`
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import curve
import paths


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--to", type=Path, default=paths.GPTJ / "loss.svg")
    args = parser.parse_args()
    history = torch.load(args.run / "checkpoint.pt", weights_only=False)["history"]
    lines = [
        curve.Line("training", "#666666", [row["train"] for row in history]),
        curve.Line("stories, validation", "#c0392b", [row["validation"]["loss"] for row in history]),
        curve.Line("stories, held out", "#2455c3", [row["heldout"]["loss"] for row in history]),
        curve.Line("summaries, validation", "#1e8449", [row["response"]["loss"] for row in history]),
    ]
    args.to.write_text(curve.draw([row["step"] for row in history], lines, "steps; nats a token"))


if __name__ == "__main__":
    main()
