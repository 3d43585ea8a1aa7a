"""Saves a training run of tiny-sdxl as a folder that `diffusers` and `transformers` write themselves, in f16. Does not
write the model card. `python sdxl_export.py --run <folder of sdxl_train.py> [--to folder]`
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from diffusers import StableDiffusionXLPipeline
from safetensors.torch import load_file, save_file

import paths
import sdxl_models as models
import sdxl_train

MODEL = paths.MODEL.parent / "tiny-sdxl"


def name_as_before(file: Path) -> None:
    """Release 5 of transformers leaves `text_model.` off the first encoder's names. SDXL's own files have it, release 4
    finds no weights without it, and release 5 reads both.
    """
    named = load_file(file)
    save_file({name if name.startswith("text_model.") else f"text_model.{name}": tensor for name, tensor in named.items()},
              file, metadata={"format": "pt"})  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--to", type=Path, default=MODEL)
    args = parser.parse_args()

    kept = torch.load(args.run / "unet.pt", weights_only=False)
    tokenizer, tokenizer_2 = models.make_tokenizers()
    parts = models.make_models(tokenizer)
    parts.load_state_dict({name: tensor for name, tensor in kept["average"].items() if not name.startswith("layout.")})
    pipeline = StableDiffusionXLPipeline(
        vae=sdxl_train.load_vae(args.run), **parts, tokenizer=tokenizer, tokenizer_2=tokenizer_2,
        scheduler=models.noise_schedule(), add_watermarker=False,
    )  # fmt: skip
    pipeline.to(torch.float16).save_pretrained(args.to)
    for name, some in (("tokenizer", tokenizer), ("tokenizer_2", tokenizer_2)):
        models.save_tokenizer(some, args.to / name)
    name_as_before(args.to / "text_encoder" / "model.safetensors")
    files = [file for file in sorted(args.to.rglob("*")) if file.is_file()]
    for file in files:
        file.chmod(0o644)
    sizes = {str(file.relative_to(args.to)): file.stat().st_size for file in files}
    print(json.dumps({"step": kept["step"], "bytes": sum(sizes.values()), "files": sizes, "last": kept["history"][-1]}))


if __name__ == "__main__":
    main()
