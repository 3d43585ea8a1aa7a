"""Writes the Llama fixtures: random checkpoints of the Llama family, logits, greedy tokens, activations, rotary.json.

Needs requirements.txt. Arguments, if any, are the names of the models to write. config.v4.json comes from llama_v4.py; check.py then verifies everything independently.
The models are random: they test arithmetic, not language.
"""

import json
import platform
import shutil
import sys
import types
from importlib.metadata import version

import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import (LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, Qwen2Config,
                          Qwen2ForCausalLM)
from transformers.models.llama import modeling_llama

import rotary
from configs import CONFIGS, DYNAMIC_LENGTH, FIXTURES, greedy_steps, head_dim

FAMILIES = {
    "llama": (LlamaConfig, LlamaForCausalLM),
    "mistral": (MistralConfig, MistralForCausalLM),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM),
}
EOS = 2
MIN_DISTINCT = 6  # different tokens in a greedy path: one that repeats itself tests little
MIN_MARGIN = 1e-2  # (top 1 - top 2) / std of the logits, at every greedy step
MAX_UNPATCHED = 1e-6
MAX_F16_WEIGHTS = 1e-3


def build(spec, seed, exact=False):
    """A model in f32 whose weights the checkpoint's dtype holds, or as they were drawn if `exact`."""
    generator = torch.Generator().manual_seed(seed)
    config_class, model_class = FAMILIES[spec["family"]]
    config = config_class(**spec["hf"], rope_parameters=dict(spec["rope"]))
    model = model_class._from_config(config, attn_implementation="sdpa", dtype=torch.float32).eval()
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
            parameter.data = std[kind_of(name, std)] * noise
    if config.tie_word_embeddings:
        model.model.norm.weight.data[1::2] *= -1  # else every token predicts itself
    if not exact:
        for parameter in model.parameters():
            parameter.data = parameter.data.to(getattr(torch, spec["dtype"])).float()
    model.tie_weights()
    prompts = {f"p{n}": torch.randint(3, config.vocab_size, (n,), generator=generator).tolist()
               for n in spec["prompts"]}
    return model, prompts


def kind_of(name, std):
    if "lm_head" in name:
        return "head"
    if "q_proj" in name or "k_proj" in name:
        return "qk"
    return "out" if "o_proj" in name and "out" in std else "linear"


def patch_rotary(model, spec):
    """Replaces the tables by rotary.py's; transformers still applies them."""
    embedding = model.model.rotary_emb
    own_forward, scaling = embedding.forward, rotary.attention_scaling(spec["rope"])

    def inverse(length):
        return rotary.inverse_frequencies(spec["rope"], head_dim(spec), length, spec["hf"]["max_position_embeddings"])

    changed = 0
    for n in spec["prompts"]:
        own_forward(torch.zeros(1), torch.arange(n)[None])
        own, inv_freq = embedding.inv_freq.float().numpy(), inverse(n)
        assert np.all(np.abs(own - inv_freq) <= 4 * np.spacing(inv_freq)), "inv_freq differs from transformers"
        changed = max(changed, int(np.sum(own != inv_freq)))
    assert embedding.attention_scaling == scaling

    def forward(self, x, position_ids):
        positions = position_ids[0].tolist()
        tables = rotary.cos_sin(inverse(positions[-1] + 1), positions, scaling)
        return tuple(torch.from_numpy(np.concatenate([t, t], axis=-1))[None].to(x.dtype) for t in tables)

    embedding.forward = types.MethodType(forward, embedding)
    return changed


def f64_norm(self, x):
    """LlamaRMSNorm.forward without its cast to f32, which would make a double model single there."""
    return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))


def as_f64(model):
    model = model.double()
    for module in model.modules():
        if type(module).__name__.endswith("RMSNorm"):
            module.forward = types.MethodType(f64_norm, module)
    return model


def logits(model, tokens):
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        return model(torch.tensor([tokens]), use_cache=False).logits[0]


def greedy(model, prompt, steps):
    """Tokens by full recomputation, and the smallest margin met."""
    tokens, smallest = list(prompt), float("inf")
    for _ in range(steps):
        last = logits(model, tokens)[-1]
        top = torch.topk(last, 2)
        smallest = min(smallest, ((top.values[0] - top.values[1]) / last.std()).item())
        tokens.append(top.indices[0].item())
    return tokens[len(prompt):], smallest


def generate(model, prompt, steps):
    """The same tokens through transformers' own generate with its KV cache."""
    with sdpa_kernel(SDPBackend.MATH):
        out = model.generate(torch.tensor([prompt]), max_new_tokens=steps, do_sample=False,
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
        drawn, prompts = build(spec, seed, exact=True)
        patch_rotary(drawn, spec)
        f16_error = f16_weights_error(drawn, prompts)
        if f16_error >= MAX_F16_WEIGHTS:
            continue
        model, prompts = build(spec, seed)
        patch_rotary(model, spec)
        paths = good_paths(spec, model, prompts)
        if paths is not None:
            return seed, paths, f16_error
    raise SystemExit("no seed will do")


def good_paths(spec, model, prompts):
    paths = {}
    for name, prompt in prompts.items():
        steps = greedy_steps(spec, len(prompt))
        tokens, margin = paths[name] = greedy(model, prompt, steps)
        if margin <= MIN_MARGIN or EOS in tokens or len(set(tokens)) < min(MIN_DISTINCT, steps):
            return None
    return paths


def f16_weights_error(model, prompts):
    """Relative error of the logits when every weight is rounded to f16. Leaves the model rounded."""
    golden = {p: logits(model, tokens) for p, tokens in prompts.items()}
    for parameter in model.parameters():
        parameter.data = parameter.data.half().float()
    return worst(model, prompts, golden)


def save(spec, seed, folder, **options):
    shutil.rmtree(folder, ignore_errors=True)
    model, _ = build(spec, seed)
    model.to(getattr(torch, spec["dtype"])).save_pretrained(folder, **options)
    (folder / "generation_config.json").unlink(missing_ok=True)


def write(name, spec):
    folder = FIXTURES / name
    seed, paths, f16_error = candidate(spec)
    model, prompts = build(spec, seed)
    save(spec, seed, folder)
    shutil.copy(folder / "config.json", folder / "config.v5.json")
    if spec["sharded"]:
        save(spec, seed, FIXTURES / f"{name}-sharded", max_shard_size="90KB")

    changed = patch_rotary(model, spec)
    single = {p: logits(model, tokens) for p, tokens in prompts.items()}
    for p, tokens in prompts.items():
        assert generate(model, tokens, len(paths[p][0])) == paths[p][0], f"{name} {p}: generate with a cache disagrees"
    double_model = as_f64(model)
    double = {p: logits(double_model, tokens) for p, tokens in prompts.items()}
    for p, tokens in prompts.items():
        assert greedy(double_model, tokens, len(paths[p][0]))[0] == paths[p][0], f"{name} {p}: f64 greedy disagrees"

    tensors = {f"{p}.logits.f32": value[-spec["rows"]:] for p, value in single.items()}
    tensors |= {f"{p}.logits.f64": value[-spec["rows"]:] for p, value in double.items()}
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
    logits_std = list(double.values())[-1].std().item()
    golden = {
        "class": FAMILIES[spec["family"]][1].__name__,
        "seed": seed,
        "versions": versions(),
        "logitsStd": round(logits_std, 4),
        "relativeL2": {key: float(f"{value:.2e}") for key, value in differences.items()},
        "prompts": [
            {"name": p, "tokens": tokens} | table_length(spec, tokens)
            | {"greedy": paths[p][0], "minMargin": round(paths[p][1], 5)}
            for p, tokens in prompts.items()
        ],
    }
    (folder / "golden.json").write_text(compact(golden))
    print(f"{name}: seed {seed}, logits std {logits_std:.2f}, inv_freq values changed by patch {changed}")
    print("  relative L2: " + ", ".join(f"{key} {value:.2e}" for key, value in differences.items()))


def table_length(spec, tokens):
    """What `maxSeqLen` must be where the frequencies depend on it."""
    if spec["rope"]["rope_type"] != "dynamic":
        return {}
    return {"maxSeqLen": max(len(tokens), spec["hf"]["max_position_embeddings"])}


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


def rotary_case(rope, dim, positions, **dynamic):
    """`dynamic`: the length and max_positions that frequencies may depend on."""
    inv_freq, scaling = rotary.inverse_frequencies(rope, dim, **dynamic), rotary.attention_scaling(rope)
    cos, sin = rotary.cos_sin(inv_freq, positions, scaling)
    return {"rope": rope, "dim": dim} | dynamic | {
        "scaling": scaling, "invFreq": inv_freq.astype(float).tolist(), "positions": positions,
        "cos": cos.astype(float).tolist(), "sin": sin.astype(float).tolist()}


def half_rotation():
    """transformers' own apply_rotary_pos_emb in f64 on the vector 1..8 at position 3."""
    inv_freq = rotary.inverse_frequencies(dict(rope_type="default", rope_theta=10000.0), 8)
    cos, sin = (torch.from_numpy(np.concatenate([t, t], -1)).double()[None] for t in rotary.cos_sin(inv_freq, [3]))
    vector = torch.arange(1, 9, dtype=torch.float64)
    rotated, _ = modeling_llama.apply_rotary_pos_emb(*[vector.view(1, 1, 1, 8)] * 2, cos, sin)
    return {"theta": 10000.0, "position": 3, "vector": vector.tolist(), "rotated": rotated.flatten().tolist()}


def write_rotary():
    llama3, yarn, dynamic = (CONFIGS[name] for name in ("llama3-biases", "yarn", "dynamic"))
    plain_yarn = dict(rope_type="yarn", rope_theta=1000000.0, factor=4.0, original_max_position_embeddings=32768)
    short, long = [0, 1, 7, 63], [0, 1, 7, 63, DYNAMIC_LENGTH - 1]
    cases = {
        "default": rotary_case(CONFIGS["mha"]["rope"], 16, [0, 1, 7, 49, 2047, 4095]),
        "llama3": rotary_case(llama3["rope"], head_dim(llama3), [0, 1, 7, 49, 239]),
        "linear": rotary_case(CONFIGS["head256-linear"]["rope"], 16, [0, 1, 7, 49, 2047]),
        "yarn": rotary_case(yarn["rope"], head_dim(yarn), [0, 1, 7, 129, 767]),
        "yarnDefaults": rotary_case(plain_yarn, 64, [1, 49, 131071]),
        "yarnUntruncated": rotary_case(dict(yarn["rope"], truncate=False, mscale=0.8, mscale_all_dim=1.2), 16,
                                       [0, 1, 7, 129, 767]),
        "yarnAttention": rotary_case(dict(yarn["rope"], attention_factor=1.3, original_max_position_embeddings=3), 16,
                                     [0, 1, 767]),
        "dynamicShort": rotary_case(dynamic["rope"], 16, short, length=64, max_positions=64),
        "dynamic": rotary_case(dynamic["rope"], 16, long, length=DYNAMIC_LENGTH, max_positions=64),
        "dynamicUneven": rotary_case(dict(dynamic["rope"], factor=2.7), 48, [1, 129], length=777, max_positions=48),
        "halfRotation": half_rotation(),
    }
    for name, case in cases.items():
        if name != "halfRotation":
            check_own(name, case)
    (FIXTURES / "rotary.json").write_text(compact(cases))


def check_own(name, case):
    """transformers computes the same frequencies and scaling."""
    length, max_positions = case.get("length"), case.get("max_positions", 1024)
    config = LlamaConfig(head_dim=case["dim"], max_position_embeddings=max_positions,
                         rope_parameters=dict(case["rope"]))
    embedding = modeling_llama.LlamaRotaryEmbedding(config)
    if length is not None:
        embedding(torch.zeros(1), torch.arange(length)[None])
    made = np.array(case["invFreq"], dtype=np.float32)
    off = np.abs(embedding.inv_freq.numpy() - made) / np.spacing(made)
    assert off.max() <= 4 and embedding.attention_scaling == case["scaling"], (name, off)
    print(f"rotary.json {name}: {np.sum(off > 0)} of {len(made)} frequencies differ, by up to {off.max():.0f} ulp")


if __name__ == "__main__":
    torch.set_num_threads(1)
    FIXTURES.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or CONFIGS:
        write(name, CONFIGS[name])
    write_rotary()
