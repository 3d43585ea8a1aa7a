"""The ten random configurations, as plain data that both transformers 4 and 5 scripts read.

`rope` is neither version's spelling: each script translates it. `std` is how wide the weights are drawn; `qk`, for
the query and key projections, is large enough that attention is far from uniform. `prompts` are lengths; of a prompt
longer than `rows` only that many last rows of logits are kept. `dtype` is that of the checkpoint.
Not a model and not a loader; llama.py builds the models.
"""

from pathlib import Path

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "golden" / "llama"

COMMON = dict(num_hidden_layers=2, rms_norm_eps=1e-5, hidden_act="silu", bos_token_id=1, eos_token_id=2)
STD = dict(embed=1.0, linear=0.15, qk=0.19, head=0.4, bias=0.3, norm=0.2)
DEFAULTS = dict(family="llama", dtype="float32", prompts=(1, 7, 33), rows=33, activations=False, sharded=False)
SMALL = dict(DEFAULTS, dtype="float16", rows=8)
DYNAMIC_LENGTH = 130  # of the longest prompt of `dynamic`, which is also the length that its frequencies are for

CONFIGS = {
    "mha": dict(
        hf=dict(COMMON, hidden_size=48, num_attention_heads=4, num_key_value_heads=4, intermediate_size=80,
                vocab_size=101, max_position_embeddings=128),
        rope=dict(rope_type="default", rope_theta=10000.0),
        std=STD, activations=True,
    ),
    "gqa": dict(
        hf=dict(COMMON, hidden_size=64, num_attention_heads=8, num_key_value_heads=2, intermediate_size=72,
                vocab_size=96, max_position_embeddings=128, rms_norm_eps=1e-6),
        rope=dict(rope_type="default", rope_theta=10000.0),
        std=dict(STD, linear=0.14, qk=0.16), sharded=True,
    ),
    "mqa-tied": dict(
        hf=dict(COMMON, hidden_size=48, num_attention_heads=3, num_key_value_heads=1, intermediate_size=80,
                vocab_size=128, max_position_embeddings=128, tie_word_embeddings=True),
        rope=dict(rope_type="default", rope_theta=500000.0),
        std=dict(STD, embed=0.55, linear=0.14, qk=0.18),
    ),
    # Wavelengths in positions: 6.3 is kept, 13.7 and 29.7 are blended, 64.6 and above are stretched by `factor`.
    "llama3-biases": dict(
        hf=dict(COMMON, hidden_size=60, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
                intermediate_size=80, vocab_size=131, max_position_embeddings=240,
                attention_bias=True, mlp_bias=True),
        rope=dict(rope_type="llama3", rope_theta=500.0, factor=5.0, low_freq_factor=1.0, high_freq_factor=4.0,
                  original_max_position_embeddings=48),
        std=STD, activations=True,
    ),
    "head48": dict(
        hf=dict(COMMON, hidden_size=24, num_attention_heads=3, num_key_value_heads=1, head_dim=48,
                intermediate_size=48, vocab_size=80, max_position_embeddings=1024),
        rope=dict(rope_type="default", rope_theta=10000.0),
        std=dict(STD, qk=0.28, out=0.1), **dict(SMALL, prompts=(1, 7, 700)),
    ),
    "head256-linear": dict(
        hf=dict(COMMON, num_hidden_layers=1, hidden_size=24, num_attention_heads=2, num_key_value_heads=1,
                head_dim=256, intermediate_size=48, vocab_size=80, max_position_embeddings=768),
        rope=dict(rope_type="linear", rope_theta=10000.0, factor=4.0),
        std=dict(STD, linear=0.2, qk=0.32, out=0.06), **dict(SMALL, prompts=(1, 7, 130)),
    ),
    # Pairs 0 and 1 are kept, 2 and 3 are blended, 4 to 7 are stretched by `factor`.
    "yarn": dict(
        hf=dict(COMMON, hidden_size=32, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
                intermediate_size=48, vocab_size=80, max_position_embeddings=768),
        rope=dict(rope_type="yarn", rope_theta=500.0, factor=8.0, beta_fast=4.0, beta_slow=1.0,
                  original_max_position_embeddings=96),
        std=dict(STD, qk=0.22), **dict(SMALL, prompts=(1, 7, 130)),
    ),
    # One forward of 130 tokens stretches the frequencies of 64; the two short prompts stay at the original ones.
    "dynamic": dict(
        hf=dict(COMMON, hidden_size=48, num_attention_heads=3, num_key_value_heads=1, intermediate_size=64,
                vocab_size=80, max_position_embeddings=64, tie_word_embeddings=True),
        rope=dict(rope_type="dynamic", rope_theta=10000.0, factor=4.0),
        std=dict(STD, embed=0.55, linear=0.14, qk=0.18), **dict(SMALL, prompts=(1, 7, DYNAMIC_LENGTH)),
    ),
    "qwen2": dict(
        hf=dict(COMMON, hidden_size=48, num_attention_heads=4, num_key_value_heads=2, intermediate_size=64,
                vocab_size=80, max_position_embeddings=768, tie_word_embeddings=True),
        rope=dict(rope_type="default", rope_theta=1000000.0),
        std=dict(STD, embed=0.55, linear=0.14, qk=0.18),
        **dict(SMALL, family="qwen2", dtype="bfloat16", prompts=(1, 7, 130)),
    ),
    # The longest path, 33 + 16 tokens, stays inside the window.
    "mistral": dict(
        hf=dict(COMMON, hidden_size=48, num_attention_heads=4, num_key_value_heads=2, intermediate_size=48,
                vocab_size=80, max_position_embeddings=256, sliding_window=64),
        rope=dict(rope_type="default", rope_theta=10000.0),
        std=STD, **dict(SMALL, family="mistral", dtype="bfloat16"),
    ),
}
CONFIGS = {name: DEFAULTS | spec for name, spec in CONFIGS.items()}


def head_dim(spec):
    hf = spec["hf"]
    return hf.get("head_dim") or hf["hidden_size"] // hf["num_attention_heads"]


def greedy_steps(spec, length):
    """A length-130 table of `dynamic` serves 130 tokens, so one token can follow its longest prompt."""
    return 1 if spec["rope"]["rope_type"] == "dynamic" and length == DYNAMIC_LENGTH else 16
