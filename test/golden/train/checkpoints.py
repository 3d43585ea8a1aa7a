"""What the training scripts share: optimiser groups, an average of the weights, and a checkpoint to resume from.

Not here: any model, its data or its loss.
"""

import torch


def adamw(model, lr, weight_decay, betas):
    """AdamW that decays matrices only."""
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=lr, betas=betas, fused=True)


def resume(checkpoint, model, average, optimizer):
    """Loads a checkpoint where there is one; step, seconds spent and history so far."""
    if not checkpoint.exists():
        return 0, 0.0, []
    kept = torch.load(checkpoint, weights_only=False)
    model.load_state_dict(kept["model"])
    average.load_state_dict(kept["average"])
    optimizer.load_state_dict(kept["optimizer"])
    return kept["step"], kept["spent"], kept["history"]


def save(checkpoint, model, average, optimizer, step, spent, history):
    """Replaces the checkpoint in one go, so that a kill leaves a whole one."""
    state = {"model": model.state_dict(), "average": average.state_dict(), "optimizer": optimizer.state_dict()}
    state |= {"step": step, "spent": spent, "history": history}
    fresh = checkpoint.with_suffix(".new")
    torch.save(state, fresh)
    fresh.replace(checkpoint)


def follow(averaged, current, step, most):
    """Moves the average a little towards the parameters after `step` steps: less and less, by 1 - `most` in the end."""
    keep = min(most, (step + 1) / (step + 10))
    with torch.no_grad():
        torch._foreach_lerp_(averaged, [p.detach() for p in current], 1 - keep)
