"""Trains tiny-llama (LlamaForCausalLM, 1.8 M parameters) on chat documents made from TinyStories; CPU, resumable.
Writes a checkpoint and a log of losses to --out; export.py makes the model folder of it. Constant learning rate
after a warm-up, linear decay to zero over the last --decay steps, an average of the weights beside them.
Every step seeds itself, so a resumed run continues the run that was stopped.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

import batches
import checkpoints
import make_tokenizer as mt
import paths
import stories as st

SEED = 20
ROW_LIMIT = 1024
CONFIG = dict(
    vocab_size=mt.VOCABULARY,
    hidden_size=192,
    intermediate_size=448,
    num_hidden_layers=4,
    num_attention_heads=6,
    num_key_value_heads=2,
    head_dim=32,
    max_position_embeddings=ROW_LIMIT,
    rms_norm_eps=1e-5,
    tie_word_embeddings=True,
    attention_bias=False,
    mlp_bias=False,
)


def split(stories: list[st.Story]) -> tuple[list[st.Story], list[st.Story]]:
    """Training and validation stories: one in forty-four is kept back to watch for overfitting."""
    return [s for i, s in enumerate(stories) if i % 44 != 7], [s for i, s in enumerate(stories) if i % 44 == 7]


class Batches:
    """Batches of chats by step number."""

    def __init__(self, stories: list[st.Story], tokenizer: PreTrainedTokenizerFast, tokens: int, mix: st.Augment) -> None:
        self.stories, self.tokenizer = stories, tokenizer
        self.names = st.name_pools(stories)
        self.cfg = mix
        self.pool = batches.Pool(self._chat, tokens, SEED)

    def _chat(self, rng: random.Random) -> tuple[list[int], list[int]]:
        """Mostly one turn; some chats have two or four, so that the latest request is the one that counts."""
        turns = rng.choices([1, 2, 4], [0.9, 0.08, 0.02])[0]
        ids: list[int] = []
        labels: list[int] = []
        for _ in range(turns):
            told = st.document(rng.choice(self.stories), rng, self.names, self.cfg)
            more, more_labels = mt.encode_chat(self.tokenizer, [told])
            if ids and len(ids) + len(more) > ROW_LIMIT:
                break
            ids, labels = ids + more, labels + more_labels
        return ids[:ROW_LIMIT], labels[:ROW_LIMIT]

    def __getitem__(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        return batches.pad(self.pool[step])


def loss_sum(model: nn.Module, ids: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, int]:
    """Summed next-token loss over labelled tokens, and how many there are."""
    logits = model(input_ids=ids).logits[:, :-1]
    want = labels[:, 1:]
    keep = want != -100
    return nn.functional.cross_entropy(logits[keep].float(), want[keep], reduction="sum"), int(keep.sum())


@torch.no_grad()
def measure(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, stories: list[st.Story]) -> dict[str, float]:
    """Loss on untouched stories, each after its plain prompt: nats per token and per UTF-8 byte of the story."""
    model.eval()
    total, tokens, size = 0.0, 0, 0
    told = [st.plain_document(story) for story in stories]
    for at in range(0, len(told), 8):
        ids, labels = batches.pad([mt.encode_chat(tokenizer, [turn]) for turn in told[at : at + 8]])
        nats, count = loss_sum(model, ids[:, :ROW_LIMIT], labels[:, :ROW_LIMIT])
        total, tokens = total + float(nats), tokens + count
        size += sum(len(text.encode()) for _, text in told[at : at + 8])
    return {"loss": round(total / tokens, 4), "nats_per_byte": round(total / size, 4)}


def add_dropout(model: LlamaForCausalLM, p: float) -> None:
    """Dropout on what attention and MLP add to the residual stream; active in training mode only. One mask for all
    positions of a row: an elementwise mask costs a fifth of a step on a CPU, this one nothing.
    """

    def drop(module: nn.Module, out: torch.Tensor) -> torch.Tensor:
        if not module.training:
            return out
        keep = torch.rand(out.shape[0], 1, out.shape[2]) >= p
        return out * (keep / (1 - p)).to(out.dtype)

    for layer in model.model.layers:
        layer.self_attn.register_forward_hook(lambda module, _given, out: (drop(module, out[0]), *out[1:]))
        layer.mlp.register_forward_hook(lambda module, _given, out: drop(module, out))


def rate(step: int, args: argparse.Namespace) -> float:
    return args.lr * min(1.0, (step + 1) / args.warmup, (args.steps - step) / args.decay)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint, the tokenizer and the log")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--decay", type=int, default=1800)
    parser.add_argument("--warmup", type=int, default=100)
    parser.add_argument("--lr", type=float, default=2.5e-3)
    parser.add_argument("--tokens", type=int, default=4096, help="tokens in a batch, about")
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--average", type=float, default=0.998)
    parser.add_argument("--every", type=int, default=250, help="steps between measurements and checkpoints")
    parser.add_argument("--stop", type=int, help="stop at this step, to resume with other arguments")
    parser.add_argument("--late", action="store_true", help="more stories told as they stand, more mentions of the topic")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)

    train, validation = split(st.load(paths.STORIES))
    heldout = st.load(paths.HELDOUT)
    if (args.out / "tokenizer.json").exists():
        tokenizer = PreTrainedTokenizerFast.from_pretrained(args.out)
    else:
        tokenizer = mt.build(train, SEED)
        tokenizer.save_pretrained(args.out)
    mix = st.Augment(retell=0.5, remind=0.6, other=3.0) if args.late else st.Augment()
    data = Batches(train, tokenizer, args.tokens, mix)

    torch.manual_seed(SEED)
    end, pad_id = tokenizer.convert_tokens_to_ids([mt.END, mt.PAD])
    config = LlamaConfig(**CONFIG, bos_token_id=None, eos_token_id=end, pad_token_id=pad_id)
    model, average = LlamaForCausalLM(config), LlamaForCausalLM(config)
    average.load_state_dict(model.state_dict())
    add_dropout(model, args.dropout)
    optimizer = checkpoints.adamw(model, args.lr, weight_decay=0.1, betas=(0.9, 0.95))
    checkpoint = args.out / "checkpoint.pt"
    step, spent, history = checkpoints.resume(checkpoint, model, average, optimizer)
    count = sum(p.numel() for p in model.parameters())
    print(f"{count} parameters, {len(train)} + {len(validation)} stories, from step {step}", flush=True)

    model.train()
    averaged, current = list(average.parameters()), list(model.parameters())
    started, nats, count = time.time(), 0.0, 0
    last = args.stop or args.steps
    while step < last:
        torch.manual_seed(SEED * 7_368_787 + step)
        ids, labels = data[step]
        for group in optimizer.param_groups:
            group["lr"] = rate(step, args)
        with torch.autocast("cpu", torch.bfloat16):
            loss, tokens = loss_sum(model, ids, labels)
        (loss / tokens).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        checkpoints.follow(averaged, current, step, args.average)
        nats, count = nats + loss.item(), count + tokens
        if step % 25 == 0:
            print(f"{step} loss {loss.item() / tokens:.3f} {spent + time.time() - started:.0f}s", flush=True)
        if step % args.every == 0 or step == last:
            row = {"step": step, "seconds": round(spent + time.time() - started), "train": round(nats / count, 4)}
            row["validation"] = measure(average, tokenizer, validation)
            row["heldout"] = measure(average, tokenizer, heldout)
            nats, count = 0.0, 0
            history.append(row)
            print(json.dumps(row), flush=True)
            checkpoints.save(checkpoint, model, average, optimizer, step, spent + time.time() - started, history)


if __name__ == "__main__":
    main()
