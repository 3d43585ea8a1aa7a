"""Trains tiny-gptj (GPTJForCausalLM, 1.8 M parameters) on TinyStories and their summaries; CPU, resumable. Writes a
checkpoint and a log of losses to --out; gptj_export.py makes the model folder of it. Constant learning rates after a
warm-up, linear decay to zero over the last --decay steps, an average of the weights beside them. Every step seeds itself.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as fn
from transformers import GPTJForCausalLM, PreTrainedTokenizerFast

import batches
import checkpoints
import gptj_data as gd
import gptj_model as gm
import gptj_tokenizer as gt
import muon
import paths
import stories as st

SEED = 21


@torch.no_grad()
def plain_loss(model: GPTJForCausalLM, tokenizer: PreTrainedTokenizerFast, stories: list[st.Story]) -> dict[str, float]:
    """Loss on untouched stories and their ends: nats per token and per UTF-8 byte of the story."""
    total, tokens = 0.0, 0
    for at in range(0, len(stories), 8):
        ids, labels = batches.pad([gd.plain_row(tokenizer, story.text) for story in stories[at : at + 8]])
        nats, keep = _losses(model, ids, labels)
        total, tokens = total + float(nats.sum()), tokens + int(keep.sum())
    size = sum(len(story.text.encode()) for story in stories)
    return {"loss": round(total / tokens, 4), "nats_per_byte": round(total / size, 4)}


@torch.no_grad()
def response_loss(model: GPTJForCausalLM, tokenizer: PreTrainedTokenizerFast, stories: list[st.Story]) -> dict[str, float]:
    """Loss on the summaries of untouched stories, and how often the likeliest token is the right one."""
    tasks = [task for story in stories if (task := gd.task(tokenizer, story.text))]
    total, right, tokens = 0.0, 0, 0
    for at in range(0, len(tasks), 8):
        some = tasks[at : at + 8]
        ids, labels = batches.pad([(t.prompt + t.response, [-100] * len(t.prompt) + t.response) for t in some])
        logits = model.lm_head(gm.hidden(model, ids)[:, :-1])
        want = labels[:, 1:]
        total += float(fn.cross_entropy(logits.flatten(0, 1), want.flatten(), reduction="sum"))
        right += int((logits.argmax(-1) == want).sum())
        tokens += int((want != -100).sum())
    return {"loss": round(total / tokens, 4), "accuracy": round(right / tokens, 4)}


def _losses(
    model: GPTJForCausalLM, ids: torch.Tensor, labels: torch.Tensor, dropout: float = 0.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Next-token losses over labelled tokens, and where those are."""
    keep = labels[:, 1:] != -100
    states = gm.hidden(model, ids, dropout)[:, :-1][keep]
    return fn.cross_entropy(model.lm_head(states), labels[:, 1:][keep], reduction="none"), keep


def optimizer_for(model: GPTJForCausalLM, args: argparse.Namespace) -> muon.Together:
    inner = [p for p in model.transformer.h.parameters() if p.dim() == 2]
    outer = [model.transformer.wte.weight, model.lm_head.weight]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": outer, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    together = muon.Together(
        muon.Muon(inner, args.muon_lr, weight_decay=0.1), torch.optim.AdamW(groups, lr=args.lr, betas=(0.9, 0.95), fused=True)
    )
    for group in together.param_groups:
        group["peak"] = group["lr"]
    return together


def rate(step: int, args: argparse.Namespace) -> float:
    return min(1.0, (step + 1) / args.warmup, (args.steps - step) / args.decay)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint, the tokenizer and the log")
    parser.add_argument("--steps", type=int, default=1600)
    parser.add_argument("--decay", type=int, default=850)
    parser.add_argument("--warmup", type=int, default=60)
    parser.add_argument("--lr", type=float, default=3e-3, help="of embeddings, head and vectors")
    parser.add_argument("--muon-lr", type=float, default=0.02, help="of the blocks' matrices")
    parser.add_argument("--tokens", type=int, default=3072, help="tokens in a batch, about")
    parser.add_argument("--response", type=float, default=2.0, help="weight of a summary's tokens in the loss")
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--average", type=float, default=0.997)
    parser.add_argument("--every", type=int, default=200, help="steps between measurements and checkpoints")
    parser.add_argument("--stop", type=int, help="stop at this step, to resume with other arguments")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)

    stories, validation = gd.split(st.load(paths.STORIES))
    heldout = st.load(paths.HELDOUT)
    if (args.out / "tokenizer.json").exists():
        tokenizer = PreTrainedTokenizerFast.from_pretrained(args.out)
    else:
        tokenizer = gt.build(stories, SEED)
        tokenizer.save_pretrained(args.out)
    data = gd.Batches(stories, tokenizer, args.tokens, SEED, args.response)

    torch.manual_seed(SEED)
    model, average = gm.create(), gm.create()
    average.load_state_dict(model.state_dict())
    optimizer = optimizer_for(model, args)
    checkpoint = args.out / "checkpoint.pt"
    step, spent, history = checkpoints.resume(checkpoint, model, average, optimizer)
    print(f"{model.num_parameters()} parameters, {len(stories)} + {len(validation)} stories, from step {step}", flush=True)

    averaged, current = list(average.parameters()), list(model.parameters())
    started, nats, count = time.time(), 0.0, 0
    last = args.stop or args.steps
    while step < last:
        torch.manual_seed(SEED * 7_368_787 + step)
        ids, labels, weights = data[step]
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * rate(step, args)
        losses, keep = _losses(model, ids, labels, args.dropout)
        weight = weights[:, 1:][keep]
        ((losses * weight).sum() / weight.sum()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        checkpoints.follow(averaged, current, step, args.average)
        nats, count = nats + float(losses.detach().sum()), count + len(losses)
        if step % 25 == 0:
            print(f"{step} loss {losses.detach().mean():.3f} {spent + time.time() - started:.0f}s", flush=True)
        if step % args.every == 0 or step == last:
            row = {"step": step, "seconds": round(spent + time.time() - started), "train": round(nats / count, 4)}
            row["validation"] = plain_loss(average, tokenizer, validation[1::5])
            row["heldout"] = plain_loss(average, tokenizer, heldout)
            row["response"] = response_loss(average, tokenizer, validation[1::5])
            nats, count = 0.0, 0
            history.append(row)
            print(json.dumps(row), flush=True)
            checkpoints.save(checkpoint, model, average, optimizer, step, spent + time.time() - started, history)


if __name__ == "__main__":
    main()
