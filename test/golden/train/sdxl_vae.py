"""Trains tiny-sdxl's AutoencoderKL on drawn pictures; CPU, resumable: checkpoint, log and losses go to --out.
sdxl_train.py reads the result. Every step seeds itself, so a resumed run sees the batches that it would have seen.

Plan: 0.21 M parameters, ×4, 4 latent channels. 1.0 GFLOP a picture (forward and backward), 16 pictures a step, so 1,900
steps are 30 TFLOP: about 13 minutes of one free core at 40 GFLOP/s.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import torch
from diffusers import AutoencoderKL

import checkpoints
import sdxl_data as data

SEED = 32
CONFIG = dict(
    in_channels=3,
    out_channels=3,
    down_block_types=["DownEncoderBlock2D"] * 3,
    up_block_types=["UpDecoderBlock2D"] * 3,
    block_out_channels=[16, 24, 32],
    layers_per_block=1,
    latent_channels=4,
    norm_num_groups=8,
    sample_size=64,
    force_upcast=False,
)
KL_WEIGHT = 3e-4


def batch(step: int, count: int) -> torch.Tensor:
    """Every eighth batch is of 128×128 pictures, a quarter as many."""
    side, some = (128, count // 4) if step % 8 == 7 else (64, count)
    return data.training_examples(step * count, some, side)[0]


@torch.no_grad()
def psnr(vae: AutoencoderKL, side: int, count: int = 64) -> float:
    """Mean peak signal-to-noise ratio in dB of encode (mean) → decode over drawings that were not trained on."""
    total = 0.0
    for index in range(count):
        scene, _, _ = data.held_out_example(index)
        given = data.to_tensor(data.shapes.render(scene, side))[None]
        out = vae.decode(vae.encode(given).latent_dist.mean).sample.clamp(-1, 1)
        total += 10 * math.log10(4 / float((out - given).square().mean()))
    return total / count


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1900)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--every", type=int, default=250)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)

    torch.manual_seed(SEED)
    vae, average = AutoencoderKL(**CONFIG), AutoencoderKL(**CONFIG)
    average.load_state_dict(vae.state_dict())
    vae.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(vae.parameters(), lr=args.lr, betas=(0.9, 0.99), weight_decay=1e-4, fused=True)
    checkpoint = args.out / "vae.pt"
    step, spent, history = checkpoints.resume(checkpoint, vae, average, optimizer)
    print(f"vae: {sum(p.numel() for p in vae.parameters())} parameters, from step {step}", flush=True)

    averaged, current = list(average.parameters()), list(vae.parameters())
    started, seen, error = time.time(), 0, 0.0
    while step < args.steps:
        torch.manual_seed(SEED * 7_368_787 + step)
        given = batch(step, args.batch).to(memory_format=torch.channels_last)
        for group in optimizer.param_groups:
            group["lr"] = args.lr * min(1.0, (step + 1) / 200) * 0.5 * (1 + math.cos(math.pi * step / args.steps))
        posterior = vae.encode(given).latent_dist
        difference = vae.decode(posterior.sample()).sample - given
        squared = difference.square().mean()
        kl = 0.5 * (posterior.mean.square() + posterior.var - 1 - posterior.logvar).mean()
        (squared + 0.05 * difference.abs().mean() + KL_WEIGHT * kl).backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        checkpoints.follow(averaged, current, step, 0.998)
        error, seen = error + squared.item(), seen + 1
        if step % 25 == 0:
            print(f"vae {step} mse {squared.item():.5f} kl {kl.item():.3f} {spent + time.time() - started:.0f}s", flush=True)
        if step % args.every == 0 or step == args.steps:
            row = {"step": step, "seconds": round(spent + time.time() - started), "mse": round(error / seen, 5)}
            row |= {"psnr64": round(psnr(average, 64), 2), "psnr128": round(psnr(average, 128, 16), 2)}
            history.append(row)
            seen, error = 0, 0.0
            print(json.dumps(row), flush=True)
            checkpoints.save(checkpoint, vae, average, optimizer, step, spent + time.time() - started, history)


if __name__ == "__main__":
    main()
