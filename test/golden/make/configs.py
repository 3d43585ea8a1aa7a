"""The four random Llama configurations, as plain data that both transformers 4 and 5 scripts read.

`rope` is neither version's spelling: each script translates it. `std` is how wide the weights are drawn; `qk`, for
the query and key projections, is large enough that attention is far from uniform.
Not a model and not a loader; llama.py builds the models.
"""

from pathlib import Path

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "golden" / "llama"

COMMON = dict(num_hidden_layers=2, rms_norm_eps=1e-5, hidden_act="silu", bos_token_id=1, eos_token_id=2)
STD = dict(embed=1.0, linear=0.15, qk=0.19, head=0.4, bias=0.3, norm=0.2)

CONFIGS = {
    "mha": dict(
        hf=dict(COMMON, hidden_size=48, num_attention_heads=4, num_key_value_heads=4, intermediate_size=80,
                vocab_size=101, max_position_embeddings=128),
        rope=dict(rope_type="default", rope_theta=10000.0),
        std=STD, activations=True, sharded=False,
    ),
    "gqa": dict(
        hf=dict(COMMON, hidden_size=64, num_attention_heads=8, num_key_value_heads=2, intermediate_size=72,
                vocab_size=96, max_position_embeddings=128, rms_norm_eps=1e-6),
        rope=dict(rope_type="default", rope_theta=10000.0),
        std=dict(STD, linear=0.14, qk=0.16), activations=False, sharded=True,
    ),
    "mqa-tied": dict(
        hf=dict(COMMON, hidden_size=48, num_attention_heads=3, num_key_value_heads=1, intermediate_size=80,
                vocab_size=128, max_position_embeddings=128, tie_word_embeddings=True),
        rope=dict(rope_type="default", rope_theta=500000.0),
        std=dict(STD, embed=0.55, linear=0.14, qk=0.18), activations=False, sharded=False,
    ),
    # Wavelengths in positions: 6.3 is kept, 13.7 and 29.7 are blended, 64.6 and above are stretched by `factor`.
    "llama3-biases": dict(
        hf=dict(COMMON, hidden_size=60, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
                intermediate_size=80, vocab_size=131, max_position_embeddings=240,
                attention_bias=True, mlp_bias=True),
        rope=dict(rope_type="llama3", rope_theta=500.0, factor=5.0, low_freq_factor=1.0, high_freq_factor=4.0,
                  original_max_position_embeddings=48),
        std=STD, activations=True, sharded=False,
    ),
}


def head_dim(spec):
    hf = spec["hf"]
    return hf.get("head_dim") or hf["hidden_size"] // hf["num_attention_heads"]
