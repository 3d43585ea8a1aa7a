"""Saves a training run of tiny-llama as a model folder that `transformers` writes itself: config, generation
config, f16 safetensors, tokenizer. Does not write the model card. `python export.py --run <folder of train.py>`
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

import make_tokenizer as mt
import paths
import train


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--to", type=Path, default=paths.MODEL)
    parser.add_argument("--weights", choices=["average", "model"], default="average")
    args = parser.parse_args()

    kept = torch.load(args.run / "checkpoint.pt", weights_only=False)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(args.run)
    end, pad = tokenizer.convert_tokens_to_ids([mt.END, mt.PAD])
    config = LlamaConfig(**train.CONFIG, bos_token_id=None, eos_token_id=end, pad_token_id=pad)
    model = LlamaForCausalLM(config)
    model.load_state_dict(kept[args.weights])
    model.generation_config = GenerationConfig(
        bos_token_id=None, eos_token_id=end, pad_token_id=pad,
        do_sample=True, temperature=0.5, top_p=0.95, max_new_tokens=400,
    )  # fmt: skip
    args.to.mkdir(parents=True, exist_ok=True)
    model.half().save_pretrained(args.to)
    tokenizer.save_pretrained(args.to, save_jinja_files=False)

    # The class name that releases 4 and 5 both know, without notes on where the tokenizer was loaded from.
    file = args.to / "tokenizer_config.json"
    settings = json.loads(file.read_text())
    settings = {key: value for key, value in settings.items() if key not in ("backend", "is_local", "local_files_only")}
    file.write_text(json.dumps(settings | {"tokenizer_class": "PreTrainedTokenizerFast"}, indent=2) + "\n")

    # Written by older releases of transformers; some loaders still look for it.
    specials = {"eos_token": mt.END, "pad_token": mt.PAD, "additional_special_tokens": [mt.USER, mt.ASSISTANT]}
    (args.to / "special_tokens_map.json").write_text(json.dumps(specials, indent=2) + "\n")

    for file in args.to.iterdir():
        file.chmod(0o644)
    files = {file.name: file.stat().st_size for file in sorted(args.to.iterdir())}
    print(json.dumps({"step": kept["step"], "bytes": sum(files.values()), "files": files, "last": kept["history"][-1]}))


if __name__ == "__main__":
    main()
