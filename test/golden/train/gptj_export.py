"""Saves a training run of tiny-gptj as a model folder that `transformers` writes itself: config, generation config (that
of MLPerf's benchmark), f16 safetensors, GPT-2 style tokenizer. Does not write the model card.
`python gptj_export.py --run <folder of gptj_train.py>`
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from transformers import GenerationConfig, PreTrainedTokenizerFast

import gptj_data as gd
import gptj_model as gm
import gptj_tokenizer as gt
import paths


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--to", type=Path, default=paths.GPTJ)
    parser.add_argument("--weights", choices=["average", "model"], default="average")
    args = parser.parse_args()

    kept = torch.load(args.run / "checkpoint.pt", weights_only=False)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(args.run)
    model = gm.create()
    model.load_state_dict(kept[args.weights])
    end = tokenizer.eos_token_id
    model.generation_config = GenerationConfig(
        bos_token_id=end, eos_token_id=end, pad_token_id=end,
        do_sample=False, num_beams=4, early_stopping=True, min_new_tokens=30, max_new_tokens=gd.MAX_NEW_TOKENS,
    )  # fmt: skip
    args.to.mkdir(parents=True, exist_ok=True)
    model.half().save_pretrained(args.to)
    gt.save(tokenizer, args.to)

    for file in args.to.iterdir():
        file.chmod(0o644)
    files = {file.name: file.stat().st_size for file in sorted(args.to.iterdir())}
    print(json.dumps({"step": kept["step"], "bytes": sum(files.values()), "files": files, "last": kept["history"][-1]}))


if __name__ == "__main__":
    main()
