"""Trains tiny-sdxl's UNet, and its text encoders on, from latents of the finished VAE and encoders that can read already
(sdxl_vae.py and sdxl_text.py, same --out); CPU, resumable: checkpoint, log and losses go to --out. sdxl_export.py makes
the model folder of it. Noise is predicted as SDXL does (epsilon, scaled-linear betas). Constant learning rate after a
warm-up, linear decay over the last --decay steps, an average of the weights beside them.

Plan: 3.2 M + 0.4 M parameters, 16×16×4 latents. About 0.85 GFLOP a picture (forward and backward), 32 pictures a step,
so 10,300 steps (0.33 M pictures, 90,000 of them different) are 0.28 PFLOP: 70 minutes of one core at 65 GFLOP/s.
Latents come in pools of 8,192 + 512, made anew every 1,024 steps (half a minute each). Every pool and step seeds
itself by its number, so a resumed run continues the run that was stopped.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import nn
from torch.nn.functional import avg_pool2d, mse_loss
from transformers import CLIPTokenizer

import checkpoints
import sdxl_data as data
import sdxl_models as models
import sdxl_shapes as shapes
import sdxl_vae

SEED = 33
POOL_STEPS, POOL_64, POOL_128 = 1024, 8192, 512
# Numbers of scenes beyond those that the VAE saw.
FIRST_SCENE = 1_000_000
GUIDANCE_DROPOUT = 0.1
MIN_SNR = 5.0
# At 1, the strongest noise of SDXL's schedule would not hide where a shape lies: pictures would be laid out by the noise that they
# begin with, and what captions say of it would go unlearned.
LATENT_STD = 0.35
COLOUR_WEIGHT, PLACE_WEIGHT = 0.5, 0.2


@dataclass
class Examples:
    """Latent distributions [n, 4, h, w] (scaled), layouts [n, h / 2, w / 2], time_ids [n, 6], token ids [n, 32] for either
    tokenizer."""

    mean: torch.Tensor
    std: torch.Tensor
    layout: torch.Tensor
    time_ids: torch.Tensor
    ids_1: torch.Tensor
    ids_2: torch.Tensor

    def __getitem__(self, rows: torch.Tensor) -> Examples:
        return Examples(*(getattr(self, name)[rows] for name in Examples.__annotations__))


def layout_of(pictures: torch.Tensor) -> torch.Tensor:
    """The colour of an object that fills a quarter or more of a cell of 8×8 pixels, as an index; one past the last where none does."""
    palette = torch.tensor([shapes.SPEC["colours"][name] for name in shapes.COLOURS]) / 127.5 - 1
    near = (pictures[:, None] - palette[None, :, :, None, None]).abs().amax(2) < 0.25
    share, colour = avg_pool2d(near.float(), 8).max(1)
    return torch.where(share >= 0.25, colour, len(shapes.COLOURS))


def load_vae(folder: Path) -> AutoencoderKL:
    """The averaged weights, with the scaling factor that gives latents of drawings a standard deviation of LATENT_STD."""
    vae = AutoencoderKL(**sdxl_vae.CONFIG)
    vae.load_state_dict(torch.load(folder / "vae.pt", weights_only=False)["average"])
    vae.eval().requires_grad_(False)
    with torch.no_grad():
        latents = vae.encode(data.training_examples(0, 512, 64)[0]).latent_dist
    square = latents.mean.square().mean() + latents.var.mean()
    vae.register_to_config(scaling_factor=round(LATENT_STD * float(square) ** -0.5, 5))
    return vae


class Encoder:
    def __init__(self, vae: AutoencoderKL, tokenizers: tuple[CLIPTokenizer, CLIPTokenizer]) -> None:
        self.vae, self.tokenizers = vae, tokenizers

    @torch.no_grad()
    def examples(self, pictures: torch.Tensor, time_ids: torch.Tensor, captions: list[str]) -> Examples:
        found = self.vae.encode(pictures).latent_dist
        scale = self.vae.config.scaling_factor
        return Examples(found.mean * scale, found.std * scale, layout_of(pictures), time_ids, *models.token_ids(self.tokenizers, captions))

    def pool(self, first: int, count: int, side: int) -> Examples:
        some = [self.examples(*data.training_examples(at, 64, side)) for at in range(first, first + count, 64)]
        return Examples(*(torch.cat([getattr(part, name) for part in some]) for name in Examples.__annotations__))


class Batches:
    """Batches by step number; every eighth is of 128×128 pictures, a quarter as many."""

    def __init__(self, encoder: Encoder, size: int) -> None:
        self.encoder, self.size, self.number = encoder, size, -1

    def __getitem__(self, step: int) -> Examples:
        number, at = divmod(step, POOL_STEPS)
        if number != self.number:
            first = FIRST_SCENE + number * (POOL_64 + POOL_128)
            self.small = self.encoder.pool(first, POOL_64, 64)
            self.large = self.encoder.pool(first + POOL_64, POOL_128, 128)
            self.number = number
        pool, count, turn = (self.large, self.size // 4, at // 8) if at % 8 == 7 else (self.small, self.size, at - at // 8)
        # A fresh order for each time the pool has been gone through.
        per_pass = len(pool.mean) // count
        order = torch.Generator().manual_seed(SEED + number * 1000 + turn // per_pass)
        rows = torch.randperm(len(pool.mean), generator=order)[turn % per_pass * count :][:count]
        return pool[rows]


class Loss:
    """Error of the predicted noise, weighted by min-SNR and more where noise is strong: there it decides the layout."""

    def __init__(self, empty: list[torch.Tensor]) -> None:
        self.kept = models.noise_schedule().alphas_cumprod
        self.empty = empty

    def __call__(self, parts: nn.ModuleDict, batch: Examples, dropout: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The error, and the losses of `models.Layout`."""
        count = len(batch.mean)
        # Half of the dropped captions are the empty text, half are zeros: pipelines use either as the negative prompt.
        chance = torch.rand(count)
        blank, zero = chance < dropout / 2, (chance >= dropout / 2) & (chance < dropout)
        ids_1 = torch.where(blank[:, None], self.empty[0], batch.ids_1)
        ids_2 = torch.where(blank[:, None], self.empty[1], batch.ids_2)
        embeds, pooled = models.encode(parts, ids_1, ids_2)
        embeds, pooled = embeds * ~zero[:, None, None], pooled * ~zero[:, None]
        clean = batch.mean + batch.std * torch.randn_like(batch.mean)
        noise = torch.randn_like(clean)
        # One time from each of `count` equal spans.
        times = ((torch.rand(count) + torch.arange(count)) / count * 1000).long()
        kept = self.kept[times].view(-1, 1, 1, 1)
        noisy = (kept.sqrt() * clean + (1 - kept).sqrt() * noise).contiguous(memory_format=torch.channels_last)
        given = {"text_embeds": pooled, "time_ids": batch.time_ids}
        predicted = parts["unet"](noisy, times, embeds, added_cond_kwargs=given).sample
        snr = LATENT_STD**2 * self.kept[times] / (1 - self.kept[times])
        weight = (snr.clamp(max=MIN_SNR) / snr) * (1 + 1 / snr).sqrt()
        error = (mse_loss(predicted, noise, reduction="none").mean((1, 2, 3)) * weight).mean()
        return error, *parts["layout"].losses(batch.layout)


def validation_examples(encoder: Encoder, side: int, count: int) -> Examples:
    scenes = [data.held_out_example(1000 + index) for index in range(count)]
    pictures = torch.stack([data.to_tensor(data.shapes.render(scene, side)) for scene, _, _ in scenes])
    time_ids = torch.tensor([[side, side, 0, 0, side, side]] * count)
    return encoder.examples(pictures, time_ids, [caption for _, caption, _ in scenes])


def rate(step: int, args: argparse.Namespace) -> float:
    return args.lr * min(1.0, (step + 1) / args.warmup, (args.steps - step) / args.decay)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=10300)
    parser.add_argument("--decay", type=int, default=2500)
    parser.add_argument("--warmup", type=int, default=300)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--average", type=float, default=0.999)
    parser.add_argument("--every", type=int, default=250, help="steps between measurements and checkpoints")
    parser.add_argument("--stop", type=int, help="stop at this step, to resume with other arguments")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    encoder = Encoder(load_vae(args.out), models.make_tokenizers())
    batches = Batches(encoder, args.batch)
    loss_of = Loss(models.token_ids(encoder.tokenizers, [""]))
    unseen = {side: validation_examples(encoder, side, count) for side, count in ((64, 96), (128, 24))}

    torch.manual_seed(SEED)
    parts, average = (nn.ModuleDict({**models.make_models(encoder.tokenizers[0]), "layout": models.Layout()}) for _ in range(2))
    for some in (parts, average):
        some["layout"].watch(some["unet"])
    parts.load_state_dict(torch.load(args.out / "text.pt", weights_only=True), strict=False)
    average.load_state_dict(parts.state_dict())
    average.requires_grad_(False)
    parts["unet"].to(memory_format=torch.channels_last)
    optimizer = checkpoints.adamw(parts, args.lr, weight_decay=0.01, betas=(0.9, 0.99))
    checkpoint = args.out / "unet.pt"
    step, spent, history = checkpoints.resume(checkpoint, parts, average, optimizer)
    print({name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}, "from step", step, flush=True)

    averaged, current = list(average.parameters()), list(parts.parameters())
    parts.train()
    started, total, seen = time.time(), 0.0, 0
    last = args.stop or args.steps
    while step < last:
        batch = batches[step]
        torch.manual_seed(SEED * 7_368_787 + step)
        for group in optimizer.param_groups:
            group["lr"] = rate(step, args)
        loss, colour, place = loss_of(parts, batch, GUIDANCE_DROPOUT)
        (loss + COLOUR_WEIGHT * colour + PLACE_WEIGHT * place).backward()
        norm = nn.utils.clip_grad_norm_(parts.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        checkpoints.follow(averaged, current, step, args.average)
        total, seen = total + loss.item(), seen + 1
        if step % 25 == 0:
            seconds = spent + time.time() - started
            print(f"unet {step} loss {loss.item():.4f} colour {colour.item():.4f} place {place.item():.4f} norm {norm:.2f} {seconds:.0f}s", flush=True)
        if step % args.every == 0 or step == last:
            row = {"step": step, "seconds": round(spent + time.time() - started), "train": round(total / seen, 5)}
            with torch.no_grad():
                for side, examples in unseen.items():
                    torch.manual_seed(SEED)
                    for name, value in zip(("heldOut", "colour", "place"), loss_of(average, examples, 0.0)):
                        row[f"{name}{side}"] = round(float(value), 5)
            history.append(row)
            total, seen = 0.0, 0
            print(json.dumps(row), flush=True)
            checkpoints.save(checkpoint, parts, average, optimizer, step, spent + time.time() - started, history)


if __name__ == "__main__":
    main()
