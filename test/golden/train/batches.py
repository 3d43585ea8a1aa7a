"""What the language models' training scripts share: rows of tokens drawn by step number and put together so that little
is padding. Not here: what a row is.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import torch

Row = tuple[list[int], list[int]]  # token ids and their labels, -100 where no loss is taken


class Pool:
    """Batches of rows by step number: rows of like length, so that little is padding."""

    SIZE = 16  # batches drawn together and sorted by length

    def __init__(self, draw: Callable[[random.Random], Row], tokens: int, seed: int) -> None:
        self.draw, self.tokens, self.seed = draw, tokens, seed
        self.pool, self.held = -1, []

    def __getitem__(self, step: int) -> list[Row]:
        pool = step // self.SIZE
        if pool != self.pool:
            rng = random.Random(self.seed * 1_000_003 + pool)
            rows, total = [], 0
            while total < self.SIZE * self.tokens * 0.97:
                rows.append(self.draw(rng))
                total += len(rows[-1][0])
            rows.sort(key=lambda row: len(row[0]))
            # Cuts of equal weight rather than of equal count.
            cuts: list[list[Row]] = [[] for _ in range(self.SIZE)]
            seen = 0
            for row in rows:
                cuts[min(self.SIZE - 1, seen * self.SIZE // total)].append(row)
                seen += len(row[0])
            rng.shuffle(cuts)
            self.pool, self.held = pool, cuts
        return self.held[step % self.SIZE]


def pad(rows: list[Row]) -> tuple[torch.Tensor, torch.Tensor]:
    """On the right: causal attention never looks there, so no mask is needed."""
    width = max(len(ids) for ids, _ in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    labels = torch.full((len(rows), width), -100)
    for row, (some, wanted) in enumerate(rows):
        ids[row, : len(some)] = torch.tensor(some)
        labels[row, : len(wanted)] = torch.tensor(wanted)
    return ids, labels
