"""Training pictures of tiny-sdxl by number, with SDXL's size and crop conditioning varied as SDXL's own training does:
most are drawn as they are, some are a window of a larger drawing, some are enlarged from a smaller one. No model here.
"""

from __future__ import annotations

import random

import numpy as np
import torch
from torch.nn.functional import interpolate

import sdxl_shapes as shapes

SEED = 30
HELD_OUT_SEED = 31


def picture(scene: shapes.Scene, side: int, rng: random.Random) -> tuple[torch.Tensor, list[int]]:
    """f32 [3, side, side] in -1..1, and the six numbers of time_ids: original size, crop (top, left), target size."""
    kind = rng.random()
    if kind < 0.125:
        drawn = rng.randint(side + 1, side * 5 // 4)
        top, left = rng.randint(0, drawn - side), rng.randint(0, drawn - side)
        pixels = shapes.render(scene, drawn)[top : top + side, left : left + side]
        return to_tensor(pixels), [drawn, drawn, top, left, side, side]
    if kind < 0.25:
        drawn = rng.randint(side // 2, side * 7 // 8)
        small = to_tensor(shapes.render(scene, drawn))[None]
        pixels = interpolate(small, size=(side, side), mode="bilinear", align_corners=False)[0]
        return pixels, [drawn, drawn, 0, 0, side, side]
    return to_tensor(shapes.render(scene, side)), [side, side, 0, 0, side, side]


def to_tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1).float() / 127.5 - 1


def training_examples(first: int, count: int, side: int) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    """Pictures [count, 3, side, side], time_ids [count, 6] and captions of the scenes numbered from `first`."""
    pictures, ids, captions = [], [], []
    for index in range(first, first + count):
        scene, caption, _ = shapes.example(SEED, index, held_out=False)
        pixels, time_ids = picture(scene, side, random.Random(index * 2 + (side > 64)))
        pictures.append(pixels)
        ids.append(time_ids)
        captions.append(caption)
    return torch.stack(pictures), torch.tensor(ids), captions


def held_out_example(index: int) -> tuple[shapes.Scene, str, dict]:
    """Two objects in a combination that was never trained on, or a single one from numbers that were never drawn."""
    single = index % 4 == 3
    at = index * 1000
    while True:
        scene, caption, named = shapes.example(HELD_OUT_SEED, at)
        if single if scene.relation is None else not single and shapes.is_held_out(scene):
            return scene, caption, named
        at += 1
