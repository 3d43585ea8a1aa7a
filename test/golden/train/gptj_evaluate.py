"""Measures a saved tiny-gptj folder and prints JSON: loss on held-out stories beside tiny-llama's on the same, and ROUGE of
greedy and beam-4 summaries of 200 held-out stories with the settings of MLPerf's GPT-J benchmark. Loads the folder as a
user would (AutoModelForCausalLM, AutoTokenizer, f32). Trains nothing.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path

import numpy as np
import torch
from rouge_score import rouge_scorer
from transformers import AutoModelForCausalLM, AutoTokenizer

import gptj_data as gd
import gptj_summary as gs
import gptj_train as gt
import paths
import stories as st
import train

SEED = 7
KINDS = ["rouge1", "rouge2", "rougeL"]
SETTINGS = {"min_new_tokens": 30, "max_new_tokens": gd.MAX_NEW_TOKENS, "early_stopping": True, "do_sample": False}


@torch.no_grad()
def summarise(model, tokenizer, prompts: list[str], beams: int, batch: int = 25) -> list[str]:
    out = []
    settings = {**SETTINGS, "num_beams": beams, "early_stopping": beams > 1}
    for at in range(0, len(prompts), batch):
        given = tokenizer(prompts[at : at + batch], return_tensors="pt", padding=True)
        ids = model.generate(**given, **settings)
        out += [text.strip() for text in tokenizer.batch_decode(ids[:, given["input_ids"].shape[1] :], skip_special_tokens=True)]
    return out


def rouge(wanted: list[str], got: list[str]) -> np.ndarray:
    """[stories, 3] F-measures in percent, words stemmed, as MLPerf computes them."""
    scorer = rouge_scorer.RougeScorer(KINDS, use_stemmer=True)
    scores = [scorer.score(right, text) for right, text in zip(wanted, got, strict=True)]
    return np.array([[100 * score[kind].fmeasure for kind in KINDS] for score in scores])


def with_interval(values: np.ndarray) -> list[float]:
    """Mean and half the width of its 95 % confidence interval."""
    return [round(float(values.mean()), 2), round(float(1.96 * values.std(ddof=1) / len(values) ** 0.5), 2)]


def score(wanted: list[str], got: list[str]) -> dict[str, object]:
    scores = rouge(wanted, got)
    titles = [right.split(".")[0] == text.split(".")[0] for right, text in zip(wanted, got, strict=True)]
    return {
        **{kind: with_interval(scores[:, i]) for i, kind in enumerate(KINDS)},
        "gen_len": sum(map(len, got)),
        "titles_right": round(sum(titles) / len(titles), 3),
        "all_right": round(sum(right == text for right, text in zip(wanted, got, strict=True)) / len(got), 3),
    }


def lead(story: str) -> str:
    """The baseline of news summaries: the first three sentences."""
    return " ".join(gs.sentences(gs.flat(story))[:3])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, default=paths.GPTJ)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--samples", type=int, default=0, help="also print so many summaries, to standard error")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    llama = AutoModelForCausalLM.from_pretrained(paths.MODEL, dtype=torch.float32).eval()
    llama_tokenizer = AutoTokenizer.from_pretrained(paths.MODEL)

    every = st.load(paths.STORIES)
    validation = gd.split(every)[1]
    result: dict[str, object] = {"parameters": model.num_parameters(), "tiny_llama_parameters": llama.num_parameters()}
    unseen = train.split(every)[1]  # neither model was trained on these
    for name, stories in (("heldout", st.load(paths.HELDOUT)), ("unseen_by_both", unseen)):
        texts = [story.text for story in stories]
        result[name] = {
            "stories": len(stories),
            "tiny_gptj": gt.plain_loss(model, tokenizer, stories),
            "tiny_llama": train.measure(llama, llama_tokenizer, stories),
            "bytes_per_token": [
                round(sum(len(text.encode()) for text in texts) / sum(len(some.encode(text)) + 1 for text in texts), 3)
                for some in (tokenizer, llama_tokenizer)
            ],
        }
    result["validation"] = {"stories": len(validation), **gt.plain_loss(model, tokenizer, validation)}
    result["response"] = gt.response_loss(model, tokenizer, validation)

    asked = [(story.text, task) for story in validation if (task := gd.task(tokenizer, story.text))][: args.count]
    prompts = [gs.prompt(story) for story, _ in asked]
    if [tokenizer.encode(prompt) for prompt in prompts] != [task.prompt for _, task in asked]:
        raise ValueError("prompts are split into other tokens than in training")
    wanted = [task.summary for _, task in asked]
    got = {name: summarise(model, tokenizer, prompts, beams) for name, beams in (("greedy", 1), ("beam4", 4))}
    result["summaries"] = len(wanted)
    result |= {name: score(wanted, texts) for name, texts in got.items()}
    gain = rouge(wanted, got["beam4"]) - rouge(wanted, got["greedy"])
    result["beam4_minus_greedy"] = {kind: with_interval(gain[:, i]) for i, kind in enumerate(KINDS)}
    result["lead3"] = score(wanted, [lead(story) for story, _ in asked])
    result["another_storys"] = score(wanted, wanted[1:] + wanted[:1])
    print(json.dumps(result, indent=2))
    for at in random.Random(SEED).sample(range(len(asked)), args.samples):
        print(f"--- {gs.flat(asked[at][0])}\nrule:   {wanted[at]}", file=sys.stderr)
        print(f"greedy: {got['greedy'][at]}\nbeam 4: {got['beam4'][at]}\n", file=sys.stderr)


if __name__ == "__main__":
    main()
