"""Rotary tables with a stated rounding: transformers' formulas, each f32 step correctly rounded.

torch's f32 pow, cos and sin depend on the machine's vector library in the last bit; these values do not.
README.md has the same steps as a table. It is not the rotation itself; transformers applies that.
"""

import math

import numpy as np

f32 = np.float32


def inverse_frequencies(rope, dim, length=0, max_positions=0):
    """`inv_freq`: one f32 per pair. Every operator below acts on f32 and so rounds its result to f32.

    `length` and `max_positions` (max_position_embeddings) matter to `dynamic` only.
    """
    kind = rope["rope_type"]
    theta = _dynamic_theta(rope, dim, length, max_positions) if kind == "dynamic" else f32(rope["rope_theta"])
    out = []
    for i in range(0, dim, 2):
        power = _pow(theta, f32(i) / f32(dim))
        inv = f32(1) / power
        if kind == "linear":
            inv = inv / f32(rope["factor"])
        elif kind == "llama3":
            inv = _llama3(rope, inv)
        elif kind == "yarn":
            inv = _yarn(rope, dim, power, inv, i // 2)
        out.append(inv)
    return np.array(out, dtype=f32)


def _pow(base, exponent):
    return f32(math.pow(float(base), float(exponent)))


def _dynamic_theta(rope, dim, length, max_positions):
    """transformers has the length in a tensor, so these operations are f32 ones."""
    theta = f32(rope["rope_theta"])
    if length <= max_positions:
        return theta
    factor = rope["factor"]
    stretch = f32(factor) * f32(length) / f32(max_positions) - f32(factor - 1)
    return theta * _pow(stretch, f32(dim / (dim - 2)))


def _llama3(rope, inv):
    factor = f32(rope["factor"])
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    length = rope["original_max_position_embeddings"]
    # torch evaluates `scalar / tensor` as reciprocal(tensor) * scalar, which rounds twice.
    wavelength = f32(1) / inv * f32(2 * math.pi)
    if wavelength > f32(length / low):
        return inv / factor
    if wavelength < f32(length / high):
        return inv
    smooth = (f32(1) / wavelength * f32(length) - f32(low)) / f32(high - low)
    return (f32(1) - smooth) * inv / factor + smooth * inv


def _yarn(rope, dim, power, inv, pair):
    """The ends of the ramp are f64 numbers, as in Python; the ramp and the blend are f32 ones."""
    def correction(rotations):
        length = rope["original_max_position_embeddings"]
        return dim * math.log(length / (rotations * 2 * math.pi)) / (2 * math.log(rope["rope_theta"]))

    low, high = correction(rope.get("beta_fast") or 32), correction(rope.get("beta_slow") or 1)
    if rope.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, dim - 1)
    if low == high:
        high += 0.001
    ramp = min(max((f32(pair) - f32(low)) / f32(high - low), f32(0)), f32(1))
    keep = f32(1) - ramp
    stretched = f32(1) / (f32(rope["factor"]) * power)
    return stretched * (f32(1) - keep) + inv * keep


def attention_scaling(rope):
    """The f64 number that, rounded to f32, multiplies cosines and sines."""
    if rope["rope_type"] != "yarn":
        return 1.0
    if rope.get("attention_factor") is not None:
        return rope["attention_factor"]

    def mscale(weight):
        return 1.0 if rope["factor"] <= 1 else 0.1 * weight * math.log(rope["factor"]) + 1.0

    if rope.get("mscale") and rope.get("mscale_all_dim"):
        return mscale(rope["mscale"]) / mscale(rope["mscale_all_dim"])
    return mscale(1)


def cos_sin(inv_freq, positions, scaling=1.0):
    """Two f32 arrays [positions, dim / 2]: f64 cosine and sine of the f32 angle, rounded to f32, then scaled."""
    angles = np.array(positions, dtype=f32)[:, None] * inv_freq[None, :]
    wide = angles.astype(np.float64)
    cos = np.array([[math.cos(a) for a in row] for row in wide], dtype=f32)
    sin = np.array([[math.sin(a) for a in row] for row in wide], dtype=f32)
    return cos * f32(scaling), sin * f32(scaling)
