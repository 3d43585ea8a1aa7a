"""Checks the committed Llama fixtures without PyTorch.

A second, numpy f64 Llama (also Mistral, Qwen2) written from the formulas reads only the fixture files; it shares rotary.py with the maker,
and mpmath confirms the rounding there. transformers 5 must read both config spellings alike. It writes nothing.
"""

import json
from pathlib import Path

import mpmath
import numpy as np
from safetensors import deserialize
from safetensors.numpy import load_file
from transformers import LlamaConfig, MistralConfig, Qwen2Config

import rotary

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "golden" / "llama"
MAX_SIZE = 2_000_000
HALF_ROTATION = [-1.6955925, 0.1375517, 2.7886816, 3.975982, -4.8088425, 6.3230593, 7.0868367, 8.011964]


def norm(x, weight, eps):
    return weight * x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps)


def linear(w, name, x):
    return x @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0.0)


def rotate(x, cos, sin):
    low, high = np.split(x, 2, axis=-1)
    return np.concatenate([low * cos - high * sin, high * cos + low * sin], axis=-1)


def dim_of(config):
    return config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]


def forward(config, w, tokens):
    """Logits, named activations, and the mean largest attention weight of the last row."""
    heads, kv, dim = config["num_attention_heads"], config["num_key_value_heads"], dim_of(config)
    eps, n, rope = config["rms_norm_eps"], len(tokens), config["rope_parameters"]
    inv_freq = rotary.inverse_frequencies(rope, dim, n, config["max_position_embeddings"])
    cos, sin = rotary.cos_sin(inv_freq, range(n), rotary.attention_scaling(rope))
    assert n <= (config.get("sliding_window") or n)
    hidden, kept, peaks = w["model.embed_tokens.weight"][tokens], {}, []
    for i in range(config["num_hidden_layers"]):
        at = f"model.layers.{i}"
        x = norm(hidden, w[f"{at}.input_layernorm.weight"], eps)
        q, k, v = (linear(w, f"{at}.self_attn.{p}_proj", x).reshape(n, -1, dim).swapaxes(0, 1) for p in "qkv")
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        out = np.empty_like(q)
        for head in range(heads):
            group = head // (heads // kv)
            scores = np.where(np.tri(n, dtype=bool), q[head] @ k[group].T / np.sqrt(dim), -np.inf)
            weights = np.exp(scores - scores.max(-1, keepdims=True))
            weights /= weights.sum(-1, keepdims=True)
            peaks.append(weights[-1].max())
            out[head] = weights @ v[group]
        attention = linear(w, f"{at}.self_attn.o_proj", out.swapaxes(0, 1).reshape(n, -1))
        hidden = hidden + attention
        x = norm(hidden, w[f"{at}.post_attention_layernorm.weight"], eps)
        gate = linear(w, f"{at}.mlp.gate_proj", x)
        product = gate / (1 + np.exp(-gate)) * linear(w, f"{at}.mlp.up_proj", x)
        hidden = hidden + linear(w, f"{at}.mlp.down_proj", product)
        kept |= {f"{at}.self_attn": attention, at: hidden}
    head = w["model.embed_tokens.weight" if config["tie_word_embeddings"] else "lm_head.weight"]
    return norm(hidden, w["model.norm.weight"], eps) @ head.T, kept, np.mean(peaks)


def relative(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def weights_of(folder):
    index = folder / "model.safetensors.index.json"
    files = set(json.loads(index.read_text())["weight_map"].values()) if index.exists() else ["model.safetensors"]
    return {key: value for file in files for key, value in arrays_of(folder / file)}


def arrays_of(path):
    """Names and arrays as stored; bf16, which numpy lacks, as the f32 numbers that it stands for."""
    kinds = {"F32": np.float32, "F16": np.float16, "BF16": np.uint16}
    for name, entry in deserialize(path.read_bytes()):
        array = np.frombuffer(bytes(entry["data"]), dtype=kinds[entry["dtype"]]).reshape(entry["shape"])
        if entry["dtype"] == "BF16":
            array = (array.astype(np.uint32) << 16).view(np.float32)
        yield name, array


def check_model(folder):
    config = json.loads((folder / "config.json").read_text())
    golden = json.loads((folder / "golden.json").read_text())
    arrays, raw = load_file(folder / "golden.safetensors"), weights_of(folder)
    stored = np.float16 if config["dtype"] == "float16" else np.float32
    assert all(value.dtype == stored for value in raw.values())
    assert ("lm_head.weight" in raw) != config["tie_word_embeddings"]
    w = {key: value.astype(np.float64) for key, value in raw.items()}
    worst, peak = 0.0, 0.0
    for prompt in golden["prompts"]:
        tokens, name = prompt["tokens"], prompt["name"]
        logits, kept, peak = forward(config, w, tokens)
        expected = arrays[f"{name}.logits.f64"]
        assert expected.dtype == np.float64 and len(expected) >= min(8, len(tokens))
        logits = logits[-len(expected):]
        worst = max(worst, np.abs(logits - expected).max())
        assert relative(arrays[f"{name}.logits.f32"], logits) < 2e-6
        for key in (key for key in arrays if key.startswith(f"{name}.model.")):
            worst = max(worst, np.abs(kept[key.removeprefix(f"{name}.").removesuffix(".f64")] - arrays[key]).max())
        path = list(tokens)
        for token in prompt["greedy"]:
            assert forward(config, w, path)[0][-1].argmax() == token
            path.append(token)
    assert worst < 1e-12, (folder.name, worst)
    assert peak > 5 / len(tokens), (folder.name, "attention is too flat", peak)
    print(f"{folder.name}: largest f64 difference {worst:.1e}, "
          f"mean largest attention weight at {len(tokens)} tokens {peak:.2f}")
    check_spellings(folder)
    positions = {0, 1, 2, 3, 31, 49, len(tokens) - 1}
    longest = dict(length=len(tokens), max_positions=config["max_position_embeddings"])
    check_rounding(config["rope_parameters"], dim_of(config), positions, longest)


def check_spellings(folder):
    model_type = json.loads((folder / "config.json").read_text())["model_type"]
    config_class = {"llama": LlamaConfig, "mistral": MistralConfig, "qwen2": Qwen2Config}[model_type]
    v4, v5 = (config_class.from_json_file(folder / f"config.{v}.json").to_dict() for v in ("v4", "v5"))
    ignored = {"transformers_version", "rope_theta", "rope_scaling", "torch_dtype"}
    different = {key for key in v4.keys() | v5.keys() if v4.get(key) != v5.get(key)} - ignored
    assert not different, (folder.name, different)


def check_sharded(folder, whole):
    assert len(list(folder.glob("model-*.safetensors"))) >= 3
    parts = weights_of(folder)
    assert parts.keys() == whole.keys() and all(np.array_equal(parts[key], whole[key]) for key in whole)


def nearest(value):
    """The f32 nearest to an mpmath number."""
    near = np.float32(float(value))
    around = [np.nextafter(near, np.float32(-np.inf)), near, np.nextafter(near, np.float32(np.inf))]
    return min(around, key=lambda x: abs(mpmath.mpf(float(x)) - value))


def check_rounding(rope, dim, positions, dynamic):
    """Powers, cosines and sines against 60 digits: the f64 evaluation must not round to another f32."""
    mpmath.mp.dps = 60
    theta = dynamic_theta(rope, dim, **dynamic) if rope["rope_type"] == "dynamic" else np.float32(rope["rope_theta"])
    unscaled = rotary.inverse_frequencies(dict(rope_type="default", rope_theta=theta), dim)
    for i in range(0, dim, 2):
        power = mpmath.mpf(float(theta)) ** mpmath.mpf(float(np.float32(i) / np.float32(dim)))
        assert unscaled[i // 2] == np.float32(1) / nearest(power)
    inv_freq = rotary.inverse_frequencies(rope, dim, **dynamic)
    assert rope["rope_type"] not in ("default", "dynamic") or np.array_equal(inv_freq, unscaled)
    scaling = np.float32(rotary.attention_scaling(rope))
    positions = sorted(positions)
    cos, sin = rotary.cos_sin(inv_freq, positions, scaling)
    for row, position in enumerate(positions):
        for column, frequency in enumerate(inv_freq):
            angle = mpmath.mpf(float(np.float32(position) * frequency))
            assert cos[row, column] == nearest(mpmath.cos(angle)) * scaling
            assert sin[row, column] == nearest(mpmath.sin(angle)) * scaling


def dynamic_theta(rope, dim, length, max_positions):
    theta = np.float32(rope["rope_theta"])
    if length <= max_positions:
        return theta
    stretch = np.float32(rope["factor"]) * np.float32(length) / np.float32(max_positions) - np.float32(
        rope["factor"] - 1)
    return theta * nearest(mpmath.mpf(float(stretch)) ** mpmath.mpf(float(np.float32(dim / (dim - 2)))))


def check_rotary(cases):
    for case in (case for name, case in cases.items() if name != "halfRotation"):
        dynamic = {key: case[key] for key in ("length", "max_positions") if key in case}
        inv_freq = rotary.inverse_frequencies(case["rope"], case["dim"], **dynamic)
        cos, sin = rotary.cos_sin(inv_freq, case["positions"], rotary.attention_scaling(case["rope"]))
        for stored, made in ((case["invFreq"], inv_freq), (case["cos"], cos), (case["sin"], sin)):
            assert np.array_equal(np.array(stored), made.astype(np.float64))
        check_rounding(case["rope"], case["dim"], case["positions"], dynamic)
    bands = np.array(cases["llama3"]["invFreq"]) / rotary.inverse_frequencies(
        dict(cases["llama3"]["rope"], rope_type="default"), cases["llama3"]["dim"])
    kept, stretched = np.sum(bands == 1), np.sum(np.isclose(bands, 1 / cases["llama3"]["rope"]["factor"]))
    assert kept and stretched and kept + stretched < len(bands), bands
    rotated = np.array(cases["halfRotation"]["rotated"])
    assert np.abs(rotated - HALF_ROTATION).max() < 1e-6
    print(f"rotary.json: llama3 bands {kept} kept, {len(bands) - kept - stretched} blended, {stretched} stretched; "
          f"half rotation within {np.abs(rotated - HALF_ROTATION).max():.1e}")


if __name__ == "__main__":
    folders = sorted(path.parent for path in FIXTURES.glob("*/golden.json"))
    assert len(folders) == 10
    for folder in folders:
        check_model(folder)
    check_sharded(FIXTURES / "gqa-sharded", weights_of(FIXTURES / "gqa"))
    check_rotary(json.loads((FIXTURES / "rotary.json").read_text()))
    size = sum(path.stat().st_size for path in FIXTURES.rglob("*") if path.is_file())
    assert size < MAX_SIZE
    print(f"all fixtures: {size} bytes")
