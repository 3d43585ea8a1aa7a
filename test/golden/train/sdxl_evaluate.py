"""Measures a saved tiny-sdxl folder and prints JSON: pictures for 200 held-out captions by diffusers' own pipeline (f32,
seeds fixed), judged by src/quantize/judge.ts (node scripts/judgeShapes.mjs), and the VAE's round trip. Pictures and
judgements are written to --out. Trains nothing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionXLPipeline
from PIL import Image

import paths
import sdxl_data as data
import sdxl_vae
from sdxl_export import MODEL

SEED = 7


def wanted(scene, caption: str, named: dict) -> dict:
    """What the caption asks for, null where it leaves something open; the form that judgeShapes.mjs reads."""
    things = [
        {"shape": thing.shape, "colour": thing.colour, "size": thing.size if is_named else None}
        for thing, is_named in zip(scene.things, named["sizes"])
    ]
    background = scene.background if named["background"] else None
    return {"caption": caption, "things": things, "relation": scene.relation, "background": background}


def generate(pipeline: StableDiffusionXLPipeline, captions: list[str], args: argparse.Namespace) -> np.ndarray:
    """uint8 [n, side, side, 3]; each picture starts from its own seeded latents, which the pipeline scales."""
    shape = (pipeline.unet.config.in_channels, args.side // 4, args.side // 4)
    some = []
    for at in range(0, len(captions), 20):
        rows = captions[at : at + 20]
        starts = [torch.randn(shape, generator=torch.Generator().manual_seed(SEED * 1000 + at + row)) for row in range(len(rows))]
        out = pipeline(
            prompt=rows, latents=torch.stack(starts), height=args.side, width=args.side,
            num_inference_steps=args.steps, guidance_scale=args.guidance, output_type="np",
        ).images  # fmt: skip
        some.append((out * 255).round().astype(np.uint8))
    return np.concatenate(some)


def sheet(pictures: np.ndarray, columns: int = 20) -> Image.Image:
    rows = len(pictures) // columns
    side = pictures.shape[1]
    grid = pictures[: rows * columns].reshape(rows, columns, side, side, 3).transpose(0, 2, 1, 3, 4)
    return Image.fromarray(grid.reshape(rows * side, columns * side, 3))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=4.0)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)

    pipeline = StableDiffusionXLPipeline.from_pretrained(args.model, torch_dtype=torch.float32, add_watermarker=False)
    pipeline.set_progress_bar_config(disable=True)
    scenes = [data.held_out_example(index) for index in range(args.count)]
    pictures = generate(pipeline, [caption for _, caption, _ in scenes], args)
    (args.out / "pictures.rgb").write_bytes(pictures.tobytes())
    (args.out / "side.json").write_text(json.dumps(args.side))
    (args.out / "wanted.json").write_text(json.dumps([wanted(*scene) for scene in scenes]))
    sheet(pictures).save(args.out / "pictures.png")
    judge = [
        "node", str(paths.ROOT / "scripts" / "judgeShapes.mjs"), str(args.out)
    ]  # fmt: skip
    rates = json.loads(subprocess.run(judge, check=True, capture_output=True, text=True, cwd=paths.ROOT).stdout)
    figures = {"side": args.side, "steps": args.steps, "guidance": args.guidance, "rates": rates}
    figures["psnr"] = round(sdxl_vae.psnr(pipeline.vae, args.side, args.count), 2)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
