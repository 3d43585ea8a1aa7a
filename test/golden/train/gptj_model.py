"""The shape of tiny-gptj and its forward pass for training: the same parameters and the same sums as transformers'
GPTJForCausalLM (`python gptj_model.py` compares the two), with fused projections and attention without a score matrix.
Not used where the model is measured or served; there transformers' own class runs.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as fn
from transformers import GPTJConfig, GPTJForCausalLM

VOCABULARY = 2048
POSITIONS = 512
CONFIG = dict(
    vocab_size=VOCABULARY,
    n_positions=POSITIONS,
    n_embd=160,
    n_layer=4,
    n_head=5,
    n_inner=576,
    rotary_dim=16,
    tie_word_embeddings=False,
    bos_token_id=VOCABULARY - 1,
    eos_token_id=VOCABULARY - 1,
    pad_token_id=VOCABULARY - 1,
)


# Channels of the residual stream at the start: a token's own code, what the copying head says, the code of the token before.
CODE, SAID, BEFORE = slice(0, 32), slice(96, 128), slice(128, 160)


def create() -> GPTJForCausalLM:
    """A model with fresh weights, two heads of which copy from the start (see `_teach_copying`)."""
    model = GPTJForCausalLM(GPTJConfig(**CONFIG))
    for block in model.transformer.h:
        for part in (block.attn.out_proj, block.mlp.fc_out):
            part.weight.data *= (2 * CONFIG["n_layer"]) ** -0.5
    with torch.no_grad():
        _teach_copying(model)
    return model


def _teach_copying(model: GPTJForCausalLM) -> None:
    """Head 0 of the first layer looks one token back; head 0 of the second looks for the token before which the present one
    stood, and says it. Gradient descent finds such a pair by itself, but only after more tokens than this run has.
    """
    first, second = model.transformer.h[0], model.transformer.h[1]
    size, half = CONFIG["n_embd"] // CONFIG["n_head"], CONFIG["rotary_dim"] // 2
    table = model.transformer.wte.weight
    table.normal_()
    table[:, SAID.start :] = 0

    # Queries and keys that are the same everywhere, by the norm's bias on channels that are empty before the first layer,
    # of either sign so that the norm's mean does not count; the keys are turned on by one position.
    signs = torch.tensor([1.0, -1.0]).repeat((SAID.stop - SAID.start) // 2)
    first.ln_1.bias[SAID] = signs
    constant = torch.zeros(CONFIG["n_embd"])
    constant[SAID] = signs / len(signs)
    angle = 10000.0 ** (-torch.arange(half) / half)
    for weight, turned in ((first.attn.q_proj.weight, 0 * angle), (first.attn.k_proj.weight, angle)):
        weight[:size] = 0
        weight[0 : 2 * half : 2] = 8 * torch.cos(turned)[:, None] * constant
        weight[1 : 2 * half : 2] = 8 * torch.sin(turned)[:, None] * constant
    _wire(first.attn.v_proj.weight, slice(0, size), CODE, 1)
    _wire(first.attn.out_proj.weight, BEFORE, slice(0, size), 1)

    # The slowly turning pairs and the dimensions that do not turn compare 24 values of the code.
    compare = slice(half, size)
    for weight, channels in ((second.attn.q_proj.weight, CODE), (second.attn.k_proj.weight, BEFORE)):
        weight[:size] = 0
        _wire(weight, compare, slice(channels.start, channels.start + size - half), 2)
    _wire(second.attn.v_proj.weight, slice(0, size), CODE, 1)
    _wire(second.attn.out_proj.weight, SAID, slice(0, size), 1)
    model.lm_head.weight[:, SAID] = table[:, CODE] / 4


def _wire(weight: torch.Tensor, to: slice, source: slice, gain: float) -> None:
    """Makes the outputs `to` of a linear layer copies of its inputs `source`, and of nothing else."""
    weight[to] = 0
    weight[to, source] = gain * torch.eye(to.stop - to.start)


def _drop(x: torch.Tensor, p: float) -> torch.Tensor:
    """Dropout with one mask for all positions of a row: an elementwise mask costs much of a step on a CPU."""
    if p == 0:
        return x
    return x * ((torch.rand(x.shape[0], 1, x.shape[2]) >= p) / (1 - p))


def hidden(model: GPTJForCausalLM, ids: torch.Tensor, dropout: float = 0.0) -> torch.Tensor:
    """[rows, width] token ids, padded on the right → [rows, width, n_embd] after the last norm."""
    c, body = model.config, model.transformer
    rows, width = ids.shape
    size = c.n_embd // c.n_head
    sin, cos = body.h[0].attn.embed_positions[:width, None, :].split(c.rotary_dim // 2, dim=-1)
    x = _drop(body.wte(ids), dropout)
    for block in body.h:
        attn, mlp = block.attn, block.mlp
        u = block.ln_1(x)
        weight = torch.cat([attn.q_proj.weight, attn.k_proj.weight, attn.v_proj.weight, mlp.fc_in.weight])
        wide = fn.linear(u, weight)
        q, k, v, inner = wide.split([c.n_embd, c.n_embd, c.n_embd, weight.shape[0] - 3 * c.n_embd], dim=-1)
        q, k = (_rotate(part.view(rows, width, c.n_head, size), sin, cos, c.rotary_dim).transpose(1, 2) for part in (q, k))
        v = v.view(rows, width, c.n_head, size).transpose(1, 2)
        mixed = fn.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(rows, width, c.n_embd)
        inner = fn.gelu(inner + mlp.fc_in.bias, approximate="tanh")
        x = x + _drop(attn.out_proj(mixed) + mlp.fc_out(inner), dropout)
    return body.ln_f(x)


def _rotate(x: torch.Tensor, sin: torch.Tensor, cos: torch.Tensor, size: int) -> torch.Tensor:
    """Turns neighbouring pairs of the first `size` values of each head."""
    a, b = x[..., 0:size:2], x[..., 1:size:2]
    turned = torch.stack((a * cos - b * sin, b * cos + a * sin), dim=-1).flatten(-2)
    return torch.cat((turned, x[..., size:]), dim=-1)


def main() -> None:
    torch.manual_seed(1)
    model = create().eval()
    nn.init.normal_(model.lm_head.bias)
    ids = torch.randint(0, VOCABULARY, (3, 70))
    ours, theirs = model.lm_head(hidden(model, ids)), model(input_ids=ids).logits
    apart, largest = (ours - theirs).abs().max().item(), theirs.abs().max().item()
    print(f"{model.num_parameters()} parameters; logits up to {largest:.2f} differ by at most {apart:.1e}")


if __name__ == "__main__":
    main()
