"""Measures a saved tiny-llama folder and prints JSON: loss on held-out stories, the share of 200 requests whose
story names its topic in the first two sentences (greedy and at temperature 0.5), and how the stories end.
Loads the folder as a user would (AutoModelForCausalLM, AutoTokenizer, f32). Trains nothing.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import lexicon as lx
import paths
import stories as st
import train

SEED = 7
TEMPLATES = [
    "Can you tell me a story about {a} {x}?",
    "Write a short story about {a} {x}.",
    "Please tell me a story about {a} {x}.",
    "Tell me a story about {a} {x}",
]
# Nouns the training never put into a story on purpose: how far the binding carries.
UNLISTED = """garden river mountain bridge teacher nurse mole raven wagon ladder needle candle hammer brush window pond
rainbow fence tower piano glove jeep scooter radio eagle tent bucket chair desk plate""".split()


def requests() -> list[tuple[str, str]]:
    """100 topics, each asked for in the canonical words and in one of four others."""
    listed = [noun for i, noun in enumerate(lx.TOPICS) if i * 100 // len(lx.TOPICS) != (i - 1) * 100 // len(lx.TOPICS)]
    asked = []
    for i, noun in enumerate(listed[:100]):
        for template in (st.CANONICAL, TEMPLATES[i % 4]):
            asked.append((noun, template.format(a=lx.article(noun), x=noun)))
    return asked


@torch.no_grad()
def tell(model, tokenizer, prompts: list[str], temperature: float, limit: int = 400) -> list[tuple[str, bool]]:
    """A story for each prompt, and whether it came to its end."""
    out: list[tuple[str, bool]] = []
    torch.manual_seed(SEED)
    sampling = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0} if temperature else {"do_sample": False}
    for at in range(0, len(prompts), 100):
        chats = [[{"role": "user", "content": prompt}] for prompt in prompts[at : at + 100]]
        given = tokenizer.apply_chat_template(
            chats, add_generation_prompt=True, return_tensors="pt", padding=True, return_dict=True
        )
        ids = model.generate(**given, max_new_tokens=limit, repetition_penalty=1.0, **sampling)
        for row in ids[:, given["input_ids"].shape[1] :]:
            out.append((tokenizer.decode(row, skip_special_tokens=True), bool((row == model.config.eos_token_id).any())))
    return out


def score(asked: list[tuple[str, str]], told: list[tuple[str, bool]]) -> dict[str, float]:
    hits = [st.names_topic(story, noun) for (noun, _), (story, _) in zip(asked, told, strict=True)]
    often = [st.mentions(story, noun) for (noun, _), (story, _) in zip(asked, told, strict=True)]
    words = [re.findall(r"[a-z']+", story.lower()) for story, _ in told]
    fours = [[tuple(w[i : i + 4]) for i in range(len(w) - 3)] for w in words]
    return {
        "topic_rate": round(sum(hits) / len(hits), 4),
        "mentions": round(sum(often) / len(often), 2),
        "ended": round(sum(ended for _, ended in told) / len(told), 4),
        "words": round(sum(map(len, words)) / len(words), 1),
        "repeated_4grams": round(sum(1 - len(set(f)) / max(1, len(f)) for f in fours) / len(fours), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, default=paths.MODEL)
    parser.add_argument("--samples", type=int, default=0, help="also print so many stories, to standard error")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(args.model)

    asked = requests()
    unlisted = [(noun, st.CANONICAL.format(a=lx.article(noun), x=noun)) for noun in UNLISTED]
    result: dict[str, object] = {"parameters": model.num_parameters(), "requests": len(asked)}
    for name, temperature in (("greedy", 0.0), ("temperature_0.5", 0.5)):
        told = tell(model, tokenizer, [prompt for _, prompt in asked], temperature)
        result[name] = score(asked, told)
        result[name]["missed"] = sorted({n for (n, _), (s, _) in zip(asked, told, strict=True) if not st.names_topic(s, n)})
        for (_, prompt), (story, _) in list(zip(asked, told, strict=True))[:: max(1, len(asked) // max(1, args.samples))][: args.samples]:
            print(f"--- {name}: {prompt}\n{story}\n", file=sys.stderr)
        other = tell(model, tokenizer, [prompt for _, prompt in unlisted], temperature, 80)
        result[name]["unlisted_topic_rate"] = score(unlisted, other)["topic_rate"]
    result["heldout"] = train.measure(model, tokenizer, st.load(paths.HELDOUT))
    result["validation"] = train.measure(model, tokenizer, train.split(st.load(paths.STORIES))[1])
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
