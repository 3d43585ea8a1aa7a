"""Rotary tables with a stated rounding: transformers' formulas, each f32 step correctly rounded.

torch's f32 pow, cos and sin depend on the machine's vector library in the last bit; these values do not.
README.md has the same steps as a table. It is not the rotation itself; transformers applies that.
"""

import math

import numpy as np

f32 = np.float32


def inverse_frequencies(rope, dim):
    """`inv_freq`: one f32 per pair. Every operator below acts on f32 and so rounds its result to f32."""
    out = []
    for i in range(0, dim, 2):
        exponent = f32(i) / f32(dim)
        power = f32(math.pow(float(f32(rope["rope_theta"])), float(exponent)))
        inv = f32(1) / power
        out.append(_llama3(rope, inv) if rope["rope_type"] == "llama3" else inv)
    return np.array(out, dtype=f32)


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


def cos_sin(inv_freq, positions):
    """Two f32 arrays [positions, dim / 2]: f64 cosine and sine of the f32 angle, rounded to f32."""
    angles = np.array(positions, dtype=f32)[:, None] * inv_freq[None, :]
    wide = angles.astype(np.float64)
    cos = np.array([[math.cos(a) for a in row] for row in wide], dtype=f32)
    sin = np.array([[math.sin(a) for a in row] for row in wide], dtype=f32)
    return cos, sin
