"""Trains tiny-sdxl's two text encoders before the UNet, on captions alone: from what the UNet will read of a caption, heads
that are thrown away tell what stands where. So the UNet starts from text that means something, as SDXL's does, instead of
learning language through the noise. sdxl_train.py reads the result and trains the encoders on. No pictures here.
`python sdxl_text.py --out <folder>`
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy

import checkpoints
import sdxl_data as data
import sdxl_models as models
import sdxl_shapes as shapes

SEED = 34
# Numbers of scenes beyond those of the other trainings.
FIRST_SCENE = 10_000_000
AXES = [None, "x", "y"]
# What is asked: the axis of the pair, then shape, colour and size of the left or upper object and of the other one, then the
# background. Each has one more class for what is not there or not said.
THING = [len(shapes.SHAPES) + 1, len(shapes.COLOURS) + 1, len(shapes.SIZES) + 1]
CLASSES = [len(AXES), *THING, *THING, len(shapes.BACKGROUNDS) + 1]


def answers(scene: shapes.Scene, named: dict) -> list[int]:
    """A class for each question."""
    told = [
        [shapes.SHAPES.index(thing.shape), shapes.COLOURS.index(thing.colour), shapes.SIZES.index(thing.size) if says_size else len(shapes.SIZES)]
        for thing, says_size in zip(scene.things, named["sizes"])
    ]
    axis = None
    if scene.relation is None:
        told.append([count - 1 for count in THING])
    else:
        relation = shapes.SPEC["relations"][scene.relation]
        axis = relation["axis"]
        told = told if relation["first"] else told[::-1]
    background = shapes.BACKGROUNDS.index(scene.background) if named["background"] else len(shapes.BACKGROUNDS)
    return [AXES.index(axis), *told[0], *told[1], background]


class Heads(nn.Module):
    """One learned query a question over the tokens that cross-attention will see, and one linear layer on the pooled text."""

    def __init__(self) -> None:
        super().__init__()
        width, pooled = models.WIDTH_1 + models.WIDTH_2, models.WIDTH_2
        self.queries = nn.Parameter(torch.randn(len(CLASSES), width) * width**-0.5)
        self.of_tokens = nn.ModuleList(nn.Linear(width, count) for count in CLASSES)
        self.of_pooled = nn.ModuleList(nn.Linear(pooled, count) for count in CLASSES)

    def forward(self, embeds: torch.Tensor, pooled: torch.Tensor) -> list[list[torch.Tensor]]:
        """Two lists of logits, one by tokens [n, 32, 128] and one by pooled text [n, 80]."""
        weights = torch.softmax(torch.einsum("qd,nld->nql", self.queries, embeds), -1)
        read = torch.einsum("nql,nld->nqd", weights, embeds)
        return [[head(read[:, i]) for i, head in enumerate(self.of_tokens)], [head(pooled) for head in self.of_pooled]]


def captions(first: int, count: int) -> tuple[list[str], torch.Tensor]:
    """Captions and answers [count, questions] of the scenes numbered from `first`."""
    some = [shapes.example(data.SEED, index, held_out=False) for index in range(first, first + count)]
    return [caption for _, caption, _ in some], torch.tensor([answers(scene, named) for scene, _, named in some])


@torch.no_grad()
def accuracy(parts: nn.ModuleDict, heads: Heads, tokenizers, examples) -> list[float]:
    """Share of captions of which every question is answered right, by tokens and by pooled text."""
    texts, wanted = [caption for _, caption, _ in examples], torch.tensor([answers(scene, named) for scene, _, named in examples])
    right = []
    for logits in heads(*models.encode(parts, *models.token_ids(tokenizers, texts))):
        given = torch.stack([row.argmax(-1) for row in logits], -1)
        right.append(round(float((given == wanted).all(-1).float().mean()), 4))
    return right


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--every", type=int, default=125)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)

    torch.manual_seed(SEED)
    tokenizers = models.make_tokenizers()
    parts, heads = models.make_text_encoders(tokenizers[0]), Heads()
    both = nn.ModuleList([parts, heads])
    optimizer = checkpoints.adamw(both, args.lr, weight_decay=0.01, betas=(0.9, 0.99))
    unseen = [data.held_out_example(1000 + index) for index in range(400)]
    started = time.time()
    for step in range(1, args.steps + 1):
        texts, wanted = captions(FIRST_SCENE + step * args.batch, args.batch)
        for group in optimizer.param_groups:
            group["lr"] = args.lr * min(1.0, step / 100, (args.steps - step + 1) / (0.5 * args.steps))
        found = heads(*models.encode(parts, *models.token_ids(tokenizers, texts)))
        loss = sum(cross_entropy(row, wanted[:, i]) for logits in found for i, row in enumerate(logits)) / (2 * len(CLASSES))
        loss.backward()
        nn.utils.clip_grad_norm_(both.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % args.every == 0 or step == args.steps:
            row = {"step": step, "seconds": round(time.time() - started), "loss": round(loss.item(), 4)}
            print(json.dumps(row | {"heldOut": accuracy(parts, heads, tokenizers, unseen)}), flush=True)
    torch.save(parts.state_dict(), args.out / "text.pt")


if __name__ == "__main__":
    main()
