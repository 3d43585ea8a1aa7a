"""Rows of tokens for tiny-gptj: stories as they are, and stories with the request for a summary and the summary. Names are
redrawn and some stories retold about another noun, so that a summary must be read off the story. Not the rule itself,
which is in gptj_summary.py, nor the model.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerFast

import batches
import gptj_summary as gs
import stories as st
from gptj_model import POSITIONS

MAX_NEW_TOKENS = 128
MAX_PROMPT = POSITIONS - MAX_NEW_TOKENS - 1  # as MLPerf's 2048 - 128 - 1
KEPT_BACK = (7, 18, 29, 40, 1)  # of each 44 stories; those at 7 are tiny-llama's validation stories too


def split(stories: list[st.Story]) -> tuple[list[st.Story], list[st.Story]]:
    """Training and validation stories."""
    kept_back = [s for i, s in enumerate(stories) if i % 44 in KEPT_BACK]
    return [s for i, s in enumerate(stories) if i % 44 not in KEPT_BACK], kept_back


def plain_row(tokenizer: PreTrainedTokenizerFast, text: str) -> batches.Row:
    """A story between two ends; the loss is on all but the first."""
    end = tokenizer.eos_token_id
    told = [*tokenizer.encode(text, add_special_tokens=False), end]
    return [end, *told][:POSITIONS], [-100, *told][:POSITIONS]


@dataclass
class Task:
    prompt: list[int]
    story: range  # where in the prompt the story stands
    response: list[int]  # with the end
    summary: str


def task(tokenizer: PreTrainedTokenizerFast, text: str) -> Task | None:
    """The story with its summary, or nothing where there is none or the prompt is too long."""
    summary = gs.summary(text)
    if summary is None:
        return None
    before, after = gs.PROMPT.split("{story}")
    ids = [tokenizer.encode(part, add_special_tokens=False) for part in (before, gs.flat(text), after, gs.response(summary))]
    prompt = ids[0] + ids[1] + ids[2]
    if len(prompt) > MAX_PROMPT or len(ids[3]) >= MAX_NEW_TOKENS:
        return None
    return Task(prompt, range(len(ids[0]), len(ids[0]) + len(ids[1])), [*ids[3], tokenizer.eos_token_id], summary)


@dataclass
class Mix:
    """Shares of the kinds of rows and of what is done to stories; the rest of the rows are plain stories."""

    summary: float = 0.6
    rename: float = 0.7
    retell: float = 0.3


class Batches:
    """Batches by step number: token ids, labels, and the weight of each label."""

    def __init__(self, stories: list[st.Story], tokenizer: PreTrainedTokenizerFast, tokens: int, seed: int, weight: float) -> None:
        self.stories, self.tokenizer, self.weight = stories, tokenizer, weight
        self.names, self.mix = st.name_pools(stories), Mix()
        self.pool = batches.Pool(self._row, tokens, seed)

    def _row(self, rng: random.Random) -> batches.Row:
        story = rng.choice(self.stories)
        text = st.rename(story.text, rng, self.names)[0] if rng.random() < self.mix.rename else story.text
        if story.sources and rng.random() < self.mix.retell:
            source = rng.choice(list(story.sources))
            groups = st.targets_of(source)
            target = rng.choice(rng.choices([g for g, _ in groups], [w for _, w in groups])[0])
            if st.mentions(text, target) == 0:
                text = st.retell(text, source, target)
        asked = task(self.tokenizer, text) if rng.random() < self.mix.summary else None
        if asked is None:
            return plain_row(self.tokenizer, text)
        start, stop = asked.story.start, asked.story.stop
        unlabelled = [-100] * (len(asked.prompt) - stop)
        return asked.prompt + asked.response, [-100] * start + asked.prompt[start:stop] + unlabelled + asked.response

    def __getitem__(self, step: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        ids, labels = batches.pad(self.pool[step])
        # A response is what comes after the second gap: the words before the story are the first.
        gaps = (labels[:, :-1] == -100) & (labels[:, 1:] != -100)
        responding = (torch.cumsum(gaps, dim=1) == 2) & (labels[:, 1:] != -100)
        weights = torch.ones_like(labels, dtype=torch.float32)
        weights[:, 1:][responding] = self.weight
        return ids, labels, weights
