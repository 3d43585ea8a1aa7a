"""Trains tiny-sdxl's two text encoders before the UNet, on captions alone: heads that are thrown away tell from what the UNet
will read of a caption what stands where. So the UNet starts from text that means something, as SDXL's does, instead of
learning language through the noise. sdxl_train.py reads the result and trains the encoders on. No pictures here.
`python sdxl_text.py --out <folder>`

The encoders are causal: a word does not know what follows it, so no word can say that its object stands left of another one.
The last tokens, which are padding in every caption, can: one half of them tells of the object that stands left or above (or
alone), the other half of the other one, each what it is and on which side it stands. Cross-attention then need only
match places with places.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

import checkpoints
import sdxl_data as data
import sdxl_models as models
import sdxl_shapes as shapes

SEED = 34
# Numbers of scenes beyond those of the other trainings.
FIRST_SCENE = 10_000_000
# The tokens that tell of either object: no caption is longer than what is before them.
FIRST_TELLER, TELLERS = 24, 4
PLACES = ["alone", "left", "right", "above", "below"]
# What is asked of an object: shape, colour, size, place; each has one more class for what is not there or not said.
THING = [len(names) + 1 for names in (shapes.SHAPES, shapes.COLOURS, shapes.SIZES, PLACES)]
BACKGROUND = len(shapes.BACKGROUNDS) + 1


def answers(scene: shapes.Scene, named: dict) -> list[int]:
    """Classes of the left, upper or only object, of the other one, and of the background."""
    places = ["alone"]
    if scene.relation is not None:
        opposite = {"left": "right", "right": "left", "above": "below", "below": "above"}
        places = [scene.relation, opposite[scene.relation]]
    told = [
        [
            shapes.SHAPES.index(thing.shape),
            shapes.COLOURS.index(thing.colour),
            shapes.SIZES.index(thing.size) if says_size else len(shapes.SIZES),
            PLACES.index(place),
        ]
        for thing, says_size, place in zip(scene.things, named["sizes"], places)
    ]
    if scene.relation is None:
        told.append([count - 1 for count in THING])
    elif not shapes.SPEC["relations"][scene.relation]["first"]:
        told = told[::-1]
    background = shapes.BACKGROUNDS.index(scene.background) if named["background"] else len(shapes.BACKGROUNDS)
    return [*told[0], *told[1], background]


class Heads(nn.Module):
    """The same linear layers for every teller, and others for the pooled text."""

    def __init__(self) -> None:
        super().__init__()
        width, pooled = models.WIDTH_1 + models.WIDTH_2, models.WIDTH_2
        self.of_thing = nn.ModuleList(nn.Linear(width, count) for count in THING)
        self.of_background = nn.Linear(width, BACKGROUND)
        self.of_pooled = nn.ModuleList(nn.Linear(pooled, count) for count in [*THING, *THING, BACKGROUND])

    def forward(self, embeds: torch.Tensor, pooled: torch.Tensor) -> list[torch.Tensor]:
        """Logits [n, classes, tellers] for each question, asked of the tokens and then of the pooled text (one teller)."""
        one, other = (embeds[:, at : at + TELLERS] for at in (FIRST_TELLER, FIRST_TELLER + TELLERS))
        of_tokens = [head(tellers) for tellers in (one, other) for head in self.of_thing]
        of_tokens.append(self.of_background(torch.cat([one, other], 1)))
        return [logits.transpose(1, 2) for logits in of_tokens] + [head(pooled)[..., None] for head in self.of_pooled]


def questions(wanted: torch.Tensor) -> list[torch.Tensor]:
    """The columns of `answers` in the order of the logits."""
    return 2 * list(wanted.unbind(1))


def captions(first: int, count: int) -> tuple[list[str], torch.Tensor]:
    """Captions and answers [count, questions] of the scenes numbered from `first`."""
    some = [shapes.example(data.SEED, index, held_out=False) for index in range(first, first + count)]
    return [caption for _, caption, _ in some], torch.tensor([answers(scene, named) for scene, _, named in some])


@torch.no_grad()
def accuracy(parts: nn.ModuleDict, heads: Heads, tokenizers, examples) -> list[float]:
    """Share of captions of which every teller answers right, and of which the pooled text does."""
    texts = [caption for _, caption, _ in examples]
    wanted = torch.tensor([answers(scene, named) for scene, _, named in examples])
    logits = heads(*models.encode(parts, *models.token_ids(tokenizers, texts)))
    right = [(row.argmax(1) == answer[:, None]).all(1) for row, answer in zip(logits, questions(wanted), strict=True)]
    half = len(right) // 2
    return [round(float(torch.stack(rows).all(0).float().mean()), 4) for rows in (right[:half], right[half:])]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--every", type=int, default=125)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--again", action="store_true", help="go on with a UNet's encoders; words stay as that UNet reads them")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)

    torch.manual_seed(SEED)
    tokenizers = models.make_tokenizers()
    parts, before, heads = models.make_text_encoders(tokenizers[0]), models.make_text_encoders(tokenizers[0]), Heads()
    if args.again:
        kept = torch.load(args.out / "unet.pt", weights_only=False)["average"]
        for some in (parts, before):
            some.load_state_dict({name: tensor for name, tensor in kept.items() if name.startswith("text_encoder")})
    both = nn.ModuleList([parts, heads])
    optimizer = checkpoints.adamw(both, args.lr, weight_decay=0.01, betas=(0.9, 0.99))
    unseen = [data.held_out_example(1000 + index) for index in range(400)]
    started = time.time()
    for step in range(1, args.steps + 1):
        texts, wanted = captions(FIRST_SCENE + step * args.batch, args.batch)
        for group in optimizer.param_groups:
            group["lr"] = args.lr * min(1.0, step / 100, (args.steps - step + 1) / (0.5 * args.steps))
        ids = models.token_ids(tokenizers, texts)
        embeds, pooled = models.encode(parts, *ids)
        asked = list(zip(heads(embeds, pooled), questions(wanted), strict=True))
        loss = sum(cross_entropy(row, answer[:, None].expand(-1, row.shape[2])) for row, answer in asked) / len(asked)
        if args.again:
            with torch.no_grad():
                words, summary = models.encode(before, *ids)
            loss = loss + mse_loss(embeds[:, :FIRST_TELLER], words[:, :FIRST_TELLER]) + mse_loss(pooled, summary)
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
