"""Muon (Jordan et al., 2024): momentum whose matrices are made nearly orthogonal before each step, for the weights between
the residual stream and a block's inner values. In f32 and for all matrices of a shape at once, which is what a small model
on a CPU needs; torch.optim.Muon works in bfloat16, one matrix at a time. Not for embeddings, heads or vectors.
"""

from __future__ import annotations

from collections import defaultdict

import torch


def orthogonal(grads: torch.Tensor, rounds: int = 5) -> torch.Tensor:
    """[n, rows, columns] → the same with singular values near one (a quintic Newton-Schulz iteration)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = grads.shape[1] > grads.shape[2]
    x = grads.transpose(1, 2) if tall else grads
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(rounds):
        square = x @ x.transpose(1, 2)
        x = a * x + (b * square + c * square @ square) @ x
    return x.transpose(1, 2) if tall else x


class Muon(torch.optim.Optimizer):
    def __init__(self, matrices: list[torch.nn.Parameter], lr: float, weight_decay: float, momentum: float = 0.95) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            shapes: dict[torch.Size, list[torch.nn.Parameter]] = defaultdict(list)
            for p in group["params"]:
                shapes[p.shape].append(p)
            for shape, alike in shapes.items():
                moving = []
                for p in alike:
                    kept = self.state[p].setdefault("momentum", torch.zeros_like(p))
                    kept.lerp_(p.grad, 1 - group["momentum"])
                    moving.append(p.grad.lerp(kept, group["momentum"]))
                size = group["lr"] * max(1.0, shape[0] / shape[1]) ** 0.5
                for p, turned in zip(alike, orthogonal(torch.stack(moving)), strict=True):
                    p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(turned, alpha=size)


class Together:
    """Optimisers that step as one and are saved as one."""

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        self.parts = parts
        self.param_groups = [group for part in parts for group in part.param_groups]

    def step(self) -> None:
        for part in self.parts:
            part.step()

    def zero_grad(self) -> None:
        for part in self.parts:
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict]:
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, states: list[dict]) -> None:
        for part, state in zip(self.parts, states, strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]
