# /// script
# requires-python = ">=3.11"
# dependencies = ["gguf==0.19.0", "numpy==2.4.6", "sentencepiece==0.2.3", "tokenizers==0.23.3"]
# ///
"""Writes test/fixtures/golden/gguf: small GGUF files by llama.cpp's own `gguf` package, and what they mean.

    python3.11 -m venv /tmp/gguf && /tmp/gguf/bin/pip install gguf==0.19.0 numpy==2.4.6 sentencepiece==0.2.3 \
        tokenizers==0.23.3 && /tmp/gguf/bin/python gguf_goldens.py

- types.gguf, types.safetensors: random blocks of every type, and their numbers by gguf.quants.
- llama.gguf, qwen2.gguf, model.safetensors: one Hugging Face checkpoint with biases, converted as llama.cpp's
  convert_hf_to_gguf.py does (Q and K rows permuted for llama, not for qwen2), and its numbers after Q8_0.
- gqa.gguf: ../llama/gqa in f16, so that the logits of that fixture apply.
- rope.json: rope_freqs.weight for several llama3 scalings.
- bpe.gguf, spm.gguf, tokens.json: vocabularies alone, and ids by Python's tokenizers and sentencepiece.
"""

import io
import json
import math
import struct
from pathlib import Path

import numpy as np
import sentencepiece
import tokenizers
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as Type, GGUFWriter, TokenType
from gguf.quants import dequantize, quantize

GOLDEN = Path(__file__).resolve().parents[2] / "fixtures" / "golden"
OUT = GOLDEN / "gguf"
rng = np.random.default_rng(20240607)


def save_safetensors(path, arrays):
    header, data = {}, b""
    for name, array in arrays.items():
        raw = np.ascontiguousarray(array, dtype=np.float32).tobytes()
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def load_safetensors(path):
    raw = path.read_bytes()
    (length,) = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8 : 8 + length])
    header.pop("__metadata__", None)
    arrays = {}
    for name, entry in header.items():
        assert entry["dtype"] == "F32"
        begin, end = entry["data_offsets"]
        arrays[name] = np.frombuffer(raw[8 + length + begin : 8 + length + end], np.float32).reshape(entry["shape"])
    return arrays


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


# Offsets of the f16 scales in a block; the rest of a block may be any bytes.
SCALES = {
    Type.Q4_0: [0],
    Type.Q4_1: [0, 2],
    Type.Q5_0: [0],
    Type.Q5_1: [0, 2],
    Type.Q8_0: [0],
    Type.Q4_K: [0, 2],
    Type.Q5_K: [0, 2],
    Type.Q6_K: [208],
}


def types():
    rows, columns = 2, 512
    writer, expected = GGUFWriter(OUT / "types.gguf", "none"), {}
    for kind, offsets in SCALES.items():
        elements, size = GGML_QUANT_SIZES[kind]
        blocks = rng.integers(0, 256, (rows * columns // elements, size), dtype=np.uint8)
        for offset in offsets:
            scales = rng.normal(0, 0.05, len(blocks)).astype(np.float16)
            # A subnormal and the largest f16 too.
            scales[:2] = [np.float16(3e-7), np.float16(65504)]
            blocks[:, offset : offset + 2] = scales.view(np.uint8).reshape(-1, 2)
        raw = blocks.reshape(rows, -1)
        writer.add_tensor(kind.name, raw, raw_dtype=kind)
        expected[kind.name] = dequantize(raw, kind)
    plain = rng.normal(0, 1, (rows, 48)).astype(np.float32)
    writer.add_tensor("F32", plain)
    writer.add_tensor("F16", plain.astype(np.float16))
    bf16 = quantize(plain, Type.BF16)
    writer.add_tensor("BF16", bf16, raw_dtype=Type.BF16)
    expected |= {"F32": plain, "F16": plain.astype(np.float16), "BF16": dequantize(bf16, Type.BF16)}
    finish(writer)
    save_safetensors(OUT / "types.safetensors", expected)


NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def llama_cpp_name(name):
    stem, kind = name.rsplit(".", 1)
    if stem.startswith("model.layers."):
        layer, rest = stem.removeprefix("model.layers.").split(".", 1)
        return f"blk.{layer}.{NAMES[rest]}.{kind}"
    return f"{NAMES[stem]}.{kind}"


def permute(weights, n_head):
    """LlamaModel.permute of convert_hf_to_gguf.py."""
    return (
        weights.reshape(n_head, 2, weights.shape[0] // n_head // 2, *weights.shape[1:])
        .swapaxes(1, 2)
        .reshape(weights.shape)
    )


def convert(path, arch, config, arrays, kind, extra=None):
    """Writes a file; returns what it holds, in Hugging Face's order."""
    writer, kept = GGUFWriter(path, arch), {}
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    for name, array in (extra or {}).items():
        writer.add_tensor(name, array)
    for name, array in arrays.items():
        to = Type.F32 if array.ndim == 1 else kind
        stored = array
        if arch == "llama" and ".q_proj." in name:
            stored = permute(array, heads)
        if arch == "llama" and ".k_proj." in name:
            stored = permute(array, kv_heads)
        if to == Type.F32:
            writer.add_tensor(llama_cpp_name(name), np.ascontiguousarray(stored))
            kept[name] = array
        elif to == Type.F16:
            writer.add_tensor(llama_cpp_name(name), stored.astype(np.float16))
            kept[name] = array.astype(np.float16)
        else:
            writer.add_tensor(llama_cpp_name(name), quantize(stored, to), raw_dtype=to)
            # Blocks do not cross rows, so the order of rows makes no difference.
            kept[name] = dequantize(quantize(array, to), to)
    finish(writer)
    return kept


def rope_factors(dim, base, factor, low, high, original):
    """LlamaModel.generate_extra_tensors of convert_hf_to_gguf.py, in f32 as torch has it."""
    factors = []
    for i in range(0, dim, 2):
        freq = np.float32(1.0 / np.float32(base ** np.float32(i / dim)))
        wavelength = 2 * math.pi / freq
        if wavelength < original / high:
            factors.append(1.0)
        elif wavelength > original / low:
            factors.append(factor)
        else:
            smooth = (original / wavelength - low) / (high - low)
            factors.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(factors, dtype=np.float32)


def models():
    config = {
        "num_hidden_layers": 1,
        "max_position_embeddings": 256,
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "rope_theta": 500.0,
        "rms_norm_eps": 1e-5,
        "vocab_size": 12,
    }
    shapes = {"model.embed_tokens.weight": (12, 32), "model.norm.weight": (32,)}
    for name in NAMES:
        if name.endswith("layernorm"):
            shapes[f"model.layers.0.{name}.weight"] = (32,)
        elif name.startswith(("self_attn", "mlp")):
            rows = 16 if name.endswith(("k_proj", "v_proj")) else 32
            shapes[f"model.layers.0.{name}.weight"] = (rows, 32)
            if name.startswith("self_attn") and not name.endswith("o_proj"):
                shapes[f"model.layers.0.{name}.bias"] = (rows,)
    arrays = {name: rng.normal(0, 1, shape).astype(np.float32) for name, shape in shapes.items()}
    extra = {"rope_freqs.weight": rope_factors(8, 500.0, 5.0, 1.0, 8.0, 48)}
    kept = convert(OUT / "llama.gguf", "llama", config, arrays, Type.Q8_0, extra)
    convert(OUT / "qwen2.gguf", "qwen2", config, arrays, Type.Q8_0)
    save_safetensors(OUT / "model.safetensors", kept)

    folder = GOLDEN / "llama" / "gqa"
    config = json.loads((folder / "config.v4.json").read_text())
    convert(OUT / "gqa.gguf", "llama", config, load_safetensors(folder / "model.safetensors"), Type.F16)

    scalings = {
        "llama-3.1-8b": (128, 500000.0, 8.0, 1.0, 4.0, 8192),
        "llama-3.2-1b": (64, 500000.0, 32.0, 1.0, 4.0, 8192),
        "other": (64, 10000.0, 6.5, 1.0, 8.0, 2048),
        "other-low": (64, 10000.0, 4.0, 2.0, 8.0, 4096),
    }
    rope = {name: {"scaling": s, "factors": rope_factors(*s).tolist()} for name, s in scalings.items()}
    (OUT / "rope.json").write_text(json.dumps(rope) + "\n")


CORPUS = [
    "The quick brown fox jumps over the lazy dog, and the dog doesn't mind at all.",
    "Once upon a time there was a little girl who lived in a small house near the forest.",
    "She said: \"I'll go there, they're my friends; we've been waiting, haven't we?\"",
    "In 2024 there were 1234 people, 56 dogs and 7890 birds; 3.14159 is not 22/7.",
    "def fibonacci(n):\n    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)\n",
    "Straße, naïve café, señor, ÆØÅ, Привет мир, Καλημέρα κόσμε, 日本語 テスト, 한국어.",
    "    indented   text with    spaces\n\n\nand newlines\r\n\tand tabs\n",
    "for (let i = 0; i < 10; i++) { console.log(`${i} => ${i * 2}`); } // loop",
]
TEXTS = [
    "Hello, world!",
    " leading and trailing  ",
    "don't can't WE'LL they'RE I'm",
    "naïve café e\u0301",
    "日本語のテキスト 한국어 Привет",
    "👩\u200d👩\u200d👧 🏳\ufe0f\u200d🌈",
    "a\r\n\n\tb   c\n  d \n",
    "x\u00a0y\u3000z\u0085w",
    "½ ٣٤٥ 12345 1,234,567.89",
    "<|end|>hi there<|end|> and <|end|>",
    "for (i = 0; i < 10; i++) {\n    x += 1;\n}\n",
    "a\ufeffb \ufeff",
    "",
    " ",
    "    ",
    "the  the   the\n the",
    "ünïcödé ǅ ʰ ⅷ ²",
    "$100 + 5% = ~$105 <=> ^_^ |x|",
]

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace("{1,3}", "")


def pre_tokenizer(pre):
    pt = tokenizers.pre_tokenizers
    level = pt.ByteLevel(add_prefix_space=False, use_regex=False)
    match pre:
        case "gpt-2":
            return pt.ByteLevel(add_prefix_space=False)
        case "smollm":
            return pt.Sequence([pt.Digits(individual_digits=True), pt.ByteLevel(add_prefix_space=False)])
        case "llama-bpe":
            return pt.Sequence([pt.Split(tokenizers.Regex(LLAMA3), "isolated"), level])
        case "qwen2":
            return pt.Sequence([pt.Split(tokenizers.Regex(QWEN2), "isolated"), level])
    raise ValueError(pre)


def bpe():
    """A vocabulary by the loosest pre-tokenizer, so that the others make a difference."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer("gpt-2")
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()), show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS * 3 + TEXTS, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    vocab, merges = model["vocab"], model["merges"]
    # A token that no merge makes: only ignore_merges finds it.
    for token in ["Ġwaitings", "fibonaccis"]:
        vocab[token] = len(vocab)
    control, defined = len(vocab), len(vocab) + 1
    tokens = sorted(vocab, key=vocab.get) + ["<|end|>", "<tag>"]
    types = [TokenType.NORMAL] * (len(tokens) - 2) + [TokenType.CONTROL, TokenType.USER_DEFINED]
    writer = GGUFWriter(OUT / "bpe.gguf", "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_bos_token_id(control)
    writer.add_eos_token_id(control)
    writer.add_chat_template("{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}")
    finish(writer)
    texts = [*TEXTS, " waitings fibonaccis", "a<tag>b <tag>"]
    ids = {}
    for pre in ["gpt-2", "smollm", "llama-bpe", "qwen2"]:
        pairs = [tuple(pair) for pair in merges]
        oracle = tokenizers.Tokenizer(tokenizers.models.BPE(vocab, pairs, ignore_merges=pre == "llama-bpe"))
        oracle.pre_tokenizer = pre_tokenizer(pre)
        if pre == "qwen2":
            oracle.normalizer = tokenizers.normalizers.NFC()
        oracle.add_special_tokens([tokenizers.AddedToken("<|end|>", special=True, normalized=False)])
        oracle.add_tokens([tokenizers.AddedToken("<tag>", normalized=False)])
        assert oracle.token_to_id("<tag>") == defined
        ids[pre] = [oracle.encode(text).ids for text in texts]
    return {"texts": texts, "ids": ids}


def spm():
    """SentencePiece's own BPE, with byte fallback, as Llama 2 has it."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([line for text in CORPUS * 3 for line in text.splitlines()]),
        model_writer=model,
        model_type="bpe",
        vocab_size=480,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        split_digits=True,
        allow_whitespace_only_pieces=True,
        character_coverage=0.99,
        minloglevel=2,
    )
    oracle = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    tokens, scores, types = [], [], []
    for i in range(oracle.vocab_size()):
        tokens.append(oracle.id_to_piece(i))
        scores.append(oracle.get_score(i))
        types.append(
            TokenType.UNKNOWN
            if oracle.is_unknown(i)
            else TokenType.CONTROL
            if oracle.is_control(i)
            else TokenType.BYTE
            if oracle.is_byte(i)
            else TokenType.NORMAL
        )
    writer = GGUFWriter(OUT / "spm.gguf", "llama")
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_bos_token_id(oracle.bos_id())
    writer.add_eos_token_id(oracle.eos_id())
    writer.add_add_bos_token(True)
    finish(writer)
    texts = [text.replace("<|end|>", "|") for text in TEXTS] + CORPUS
    return {"texts": texts, "ids": [[oracle.bos_id(), *oracle.encode(text)] for text in texts]}


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    types()
    models()
    (OUT / "tokens.json").write_text(json.dumps({"bpe": bpe(), "spm": spm()}) + "\n")
    total = sum(path.stat().st_size for path in OUT.iterdir())
    for path in sorted(OUT.iterdir()):
        print(f"{path.stat().st_size:8} {path.name}")
    assert total < 250_000, total
