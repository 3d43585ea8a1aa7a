"""Writes the Llama fixtures: random LlamaForCausalLM checkpoints, logits, greedy tokens, activations, rotary.json.

Needs requirements.txt. config.v4.json comes from llama_v4.py; check.py then verifies everything independently.
The models are random: they test arithmetic, not language.
"""

import json
import platform
import shutil
import types
from importlib.metadata import version

import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama import modeling_llama

import rotary
from configs import CONFIGS, FIXTURES, head_dim

PROMPT_LENGTHS = (1, 7, 33)
GREEDY_STEPS = 16
EOS = 2
MIN_DISTINCT = 6  # different tokens in a greedy path: one that repeats itself tests little
MIN_MARGIN = 1e-2  # (top 1 - top 2) / std of the logits, at every greedy step
MAX_UNPATCHED = 1e-6
MAX_F16_WEIGHTS = 1e-3


def build(spec, seed):
    generator = torch.Generator().manual_seed(seed)
    config = LlamaConfig(**spec["hf"], rope_parameters=dict(spec["rope"]))
    model = LlamaForCausalLM._from_config(config, attn_implementation="sdpa", dtype=torch.float32).eval()
    std = spec["std"]
    for name, parameter in sorted(model.named_parameters()):
        noise = torch.randn(parameter.shape, generator=generator)
        if name.endswith("norm.weight"):
            parameter.data = 1 + std["norm"] * noise
        elif name.endswith(".bias"):
            parameter.data = std["bias"] * noise
        elif "embed_tokens" in name:
            parameter.data = std["embed"] * noise
        else:
            kind = "head" if "lm_head" in name else "qk" if "q_proj" in name or "k_proj" in name else "linear"
            parameter.data = std[kind] * noise
    if config.tie_word_embeddings:
        model.model.norm.weight.data[1::2] *= -1  # else every token predicts itself
    model.tie_weights()
    prompts = {f"p{n}": torch.randint(3, config.vocab_size, (n,), generator=generator).tolist()
               for n in PROMPT_LENGTHS}
    return model, prompts


def patch_rotary(model, spec):
    """Replaces the tables by rotary.py's; transformers still applies them."""
    embedding = model.model.rotary_emb
    inv_freq = rotary.inverse_frequencies(spec["rope"], head_dim(spec))
    own = embedding.inv_freq.float().numpy()
    assert np.all(np.abs(own - inv_freq) <= 4 * np.spacing(inv_freq)), "inv_freq formula differs from transformers"
    assert embedding.attention_scaling == 1.0

    def forward(self, x, position_ids):
        tables = rotary.cos_sin(inv_freq, position_ids[0].tolist())
        return tuple(torch.from_numpy(np.concatenate([t, t], axis=-1))[None].to(x.dtype) for t in tables)

    embedding.forward = types.MethodType(forward, embedding)
    return int(np.sum(own != inv_freq))


def f64_norm(self, x):
    """LlamaRMSNorm.forward without its cast to f32, which would make a double model single there."""
    return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))


def as_f64(model):
    model = model.double()
    for module in model.modules():
        if isinstance(module, modeling_llama.LlamaRMSNorm):
            module.forward = types.MethodType(f64_norm, module)
    return model


def logits(model, tokens):
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        return model(torch.tensor([tokens]), use_cache=False).logits[0]


def greedy(model, prompt):
    """Tokens by full recomputation, and the smallest margin met."""
    tokens, smallest = list(prompt), float("inf")
    for _ in range(GREEDY_STEPS):
        last = logits(model, tokens)[-1]
        top = torch.topk(last, 2)
        smallest = min(smallest, ((top.values[0] - top.values[1]) / last.std()).item())
        tokens.append(top.indices[0].item())
    return tokens[len(prompt):], smallest


def generate(model, prompt):
    """The same tokens through transformers' own generate with its KV cache."""
    with sdpa_kernel(SDPBackend.MATH):
        out = model.generate(torch.tensor([prompt]), max_new_tokens=GREEDY_STEPS, do_sample=False,
                             pad_token_id=0, attention_mask=torch.ones(1, len(prompt), dtype=torch.long))
    return out[0, len(prompt):].tolist()


def activations(model, tokens):
    out, hooks = {}, []
    for i, layer in enumerate(model.model.layers):
        for name, module in ((f"model.layers.{i}.self_attn", layer.self_attn), (f"model.layers.{i}", layer)):
            def keep(_module, _inputs, result, name=name):
                out[name] = (result[0] if isinstance(result, tuple) else result)[0].clone()
            hooks.append(module.register_forward_hook(keep))
    logits(model, tokens)
    for hook in hooks:
        hook.remove()
    return out


def relative(a, b):
    return ((a.double() - b.double()).norm() / b.double().norm()).item()


def worst(model, prompts, golden):
    return max(relative(logits(model, tokens), golden[name]) for name, tokens in prompts.items())


def candidate(spec):
    """The first seed whose greedy paths are varied and decided clearly, and that bears weights in f16."""
    for seed in range(1000):
        model, prompts = build(spec, seed)
        patch_rotary(model, spec)
        paths = {name: greedy(model, tokens) for name, tokens in prompts.items()}
        f16_error = f16_weights_error(model, prompts)
        good = all(margin > MIN_MARGIN and EOS not in tokens and len(set(tokens)) >= MIN_DISTINCT
                   for tokens, margin in paths.values())
        if good and f16_error < MAX_F16_WEIGHTS:
            return seed, paths, f16_error
    raise SystemExit("no seed will do")


def f16_weights_error(model, prompts):
    """Relative error of the logits when every weight is rounded to f16. Leaves the model rounded."""
    golden = {p: logits(model, tokens) for p, tokens in prompts.items()}
    for parameter in model.parameters():
        parameter.data = parameter.data.half().float()
    return worst(model, prompts, golden)


def save(model, folder, **options):
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder, **options)
    (folder / "generation_config.json").unlink(missing_ok=True)


def write(name, spec):
    folder = FIXTURES / name
    seed, paths, f16_error = candidate(spec)
    model, prompts = build(spec, seed)
    save(model, folder)
    shutil.copy(folder / "config.json", folder / "config.v5.json")
    if spec["sharded"]:
        save(model, FIXTURES / f"{name}-sharded", max_shard_size="90KB")

    changed = patch_rotary(model, spec)
    single = {p: logits(model, tokens) for p, tokens in prompts.items()}
    for p, tokens in prompts.items():
        assert generate(model, tokens) == paths[p][0], f"{name} {p}: generate with a cache disagrees"
    double_model = as_f64(model)
    double = {p: logits(double_model, tokens) for p, tokens in prompts.items()}
    for p, tokens in prompts.items():
        assert greedy(double_model, tokens)[0] == paths[p][0], f"{name} {p}: f64 greedy disagrees"

    tensors = {f"{p}.logits.f32": value for p, value in single.items()}
    tensors |= {f"{p}.logits.f64": value for p, value in double.items()}
    if spec["activations"]:
        tensors |= {f"p7.{key}.f64": value for key, value in activations(double_model, prompts["p7"]).items()}
    save_file({key: value.contiguous() for key, value in tensors.items()}, folder / "golden.safetensors")

    plain, _ = build(spec, seed)
    differences = {
        "f32FromF64": max(relative(single[p], double[p]) for p in prompts),
        "unpatchedRotaryF32": worst(plain, prompts, single),
        "f16Weights": f16_error,
        "unpatchedNormsF64": worst(patched_rotary_only(spec, seed), prompts, double),
        "unpatchedRotaryF64": worst(as_f64(plain), prompts, double),
    }
    assert differences["unpatchedRotaryF32"] < MAX_UNPATCHED and differences["unpatchedRotaryF64"] < MAX_UNPATCHED
    logits_std = double["p33"].std().item()
    golden = {
        "class": "LlamaForCausalLM",
        "seed": seed,
        "versions": versions(),
        "logitsStd": round(logits_std, 4),
        "relativeL2": {key: float(f"{value:.2e}") for key, value in differences.items()},
        "prompts": [
            {"name": p, "tokens": tokens, "greedy": paths[p][0], "minMargin": round(paths[p][1], 5)}
            for p, tokens in prompts.items()
        ],
    }
    (folder / "golden.json").write_text(compact(golden))
    print(f"{name}: seed {seed}, logits std {logits_std:.2f}, inv_freq values changed by patch {changed}")
    print("  relative L2: " + ", ".join(f"{key} {value:.2e}" for key, value in differences.items()))


def patched_rotary_only(spec, seed):
    model, _ = build(spec, seed)
    patch_rotary(model, spec)
    return model.double()


def versions():
    packages = ("torch", "transformers", "safetensors", "numpy")
    return {"python": platform.python_version()} | {p: version(p).split("+")[0] for p in packages}


def compact(value):
    """JSON with two-space indents, but lists of numbers on one line."""
    stash = []
    text = json.dumps(inline(value, stash), indent=2)
    for i, item in enumerate(stash):
        text = text.replace(f'"@{i}@"', item)
    return text + "\n"


def inline(value, stash):
    if isinstance(value, dict):
        return {key: inline(item, stash) for key, item in value.items()}
    if isinstance(value, list) and all(isinstance(item, (int, float)) for item in value):
        stash.append(json.dumps(value))
        return f"@{len(stash) - 1}@"
    return [inline(item, stash) for item in value] if isinstance(value, list) else value


def rotary_case(rope, dim, positions):
    inv_freq = rotary.inverse_frequencies(rope, dim)
    cos, sin = rotary.cos_sin(inv_freq, positions)
    return {"rope": rope, "dim": dim, "invFreq": inv_freq.astype(float).tolist(), "positions": positions,
            "cos": cos.astype(float).tolist(), "sin": sin.astype(float).tolist()}


def half_rotation():
    """transformers' own apply_rotary_pos_emb in f64 on the vector 1..8 at position 3."""
    inv_freq = rotary.inverse_frequencies(dict(rope_type="default", rope_theta=10000.0), 8)
    cos, sin = (torch.from_numpy(np.concatenate([t, t], -1)).double()[None] for t in rotary.cos_sin(inv_freq, [3]))
    vector = torch.arange(1, 9, dtype=torch.float64)
    rotated, _ = modeling_llama.apply_rotary_pos_emb(*[vector.view(1, 1, 1, 8)] * 2, cos, sin)
    return {"theta": 10000.0, "position": 3, "vector": vector.tolist(), "rotated": rotated.flatten().tolist()}


def write_rotary():
    llama3 = CONFIGS["llama3-biases"]
    cases = {
        "default": rotary_case(CONFIGS["mha"]["rope"], 16, [0, 1, 7, 49, 2047, 4095]),
        "llama3": rotary_case(llama3["rope"], head_dim(llama3), [0, 1, 7, 49, 239]),
        "halfRotation": half_rotation(),
    }
    (FIXTURES / "rotary.json").write_text(compact(cases))


if __name__ == "__main__":
    torch.set_num_threads(1)
    FIXTURES.mkdir(parents=True, exist_ok=True)
    for name, spec in CONFIGS.items():
        write(name, spec)
    write_rotary()
