# /// script
# requires-python = ">=3.11"
# dependencies = ["torch==2.13.0", "transformers==5.23.0", "gguf==0.19.0", "accelerate==1.15.0", "numpy==2.4.6"]
# ///
"""Writes test/fixtures/golden/gguf/smollm2.json: greedy answers of transformers on SmolLM2-135M-Instruct.Q4_1.gguf.

    node scripts/fetchSmollm2.mjs    # prints where the file is
    python smollm2.py <that file>

The weights are transformers' own reading of the file, in f32 and then in f64, so nothing is shared with Tabhopper but
the file. Each answer is recomputed from the whole sequence at every step, without a KV cache, in f64; the f32 run, with
its cache, must choose the same tokens. Kept of each step: the token, and the margin between the best two logits.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

OUT = Path(__file__).resolve().parents[2] / "fixtures" / "golden" / "gguf" / "smollm2.json"
NUM_TOKENS = 40
QUESTIONS = [
    "What is the capital of France?",
    "Tell me a story about a dog.",
    "Write a haiku about the sea.",
    "Why is the sky blue? Answer in one sentence.",
    "List three colours.",
]


@torch.no_grad()
def answer(model, prompt, end):
    ids, margins = list(prompt), []
    while len(margins) < NUM_TOKENS:
        logits = model(torch.tensor([ids]), use_cache=False).logits[0, -1]
        best = logits.topk(2)
        margins.append(float(best.values[0] - best.values[1]))
        ids.append(int(best.indices[0]))
        if ids[-1] == end:
            break
    return ids[len(prompt) :], margins


def main():
    path = Path(sys.argv[1])
    load = {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
    tokenizer = AutoTokenizer.from_pretrained(**load)
    model = AutoModelForCausalLM.from_pretrained(**load, dtype=torch.float32, attn_implementation="eager").eval()
    end = model.config.eos_token_id
    prompts = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], add_generation_prompt=True, return_dict=False
        )
        for question in QUESTIONS
    ]
    cached = [
        model.generate(torch.tensor([prompt]), max_new_tokens=NUM_TOKENS, do_sample=False)[0, len(prompt) :].tolist()
        for prompt in prompts
    ]
    model = model.double()
    answers = []
    for question, prompt, expected in zip(QUESTIONS, prompts, cached):
        tokens, margins = answer(model, prompt, end)
        same = next((i for i, pair in enumerate(zip(tokens, expected)) if pair[0] != pair[1]), len(tokens))
        assert same == len(tokens) == len(expected), f"f32 parts at {same}, margin {margins[same]}"
        margins = [round(margin, 4) for margin in margins]
        print(question, "|", tokenizer.decode(tokens), "| least margin", min(margins))
        answers.append({"question": question, "prompt": prompt, "tokens": tokens, "margins": margins})
    lines = ",\n".join("    " + json.dumps(each) for each in answers)
    OUT.write_text('{\n  "made": "transformers 5.23.0, torch 2.13.0, f64",\n  "answers": [\n' + lines + "\n  ]\n}\n")


main()
