"""Writes test/fixtures/golden/tiny-gptj.json: the ids that transformers' own tokenizer gives for some texts, from the
files of public/models/tiny-gptj. `.venv/bin/python tiny_gptj.py`; loads no weights.

The ids are asked for twice, with tokenizer.json and with vocab.json and merges.txt alone; the two must agree.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from transformers import AutoTokenizer, GPT2Tokenizer

ROOT = Path(__file__).resolve().parents[3]
MODEL = ROOT / "public" / "models" / "tiny-gptj"
OUT = ROOT / "test" / "fixtures" / "golden" / "tiny-gptj.json"
STORY = (
    "Once upon a time, there was a little fox named Finn. Finn's mom said, \"Don't go to the big river!\" "
    "One day, Finn saw a red kite. He ran after it, and he was very happy."
)
TEXTS = [
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request.\n\n"
    f"### Instruction:\nSummarize the following story:\n\n### Input:\n{STORY}\n\n### Response:",
    "Once upon a time",
    " leading and trailing  ",
    "don't can't WE'LL they've",
    "a\r\n\n\tb   c\n\n\nd",
    "12345 + 67,890.5 = ???",
    "naïve café e\u0301 日本語 Ωμέγα",
    "👩\u200d👧 🏳\ufe0f\u200d🌈",
    "x\u00a0y\u3000z\ufeff\u0000\U0010ffff",
    "<|endoftext|>Lily<|endoftext|> and <|endoftext",
    "",
]


def main():
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    with TemporaryDirectory() as folder:
        for name in ("vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"):
            (Path(folder) / name).write_bytes((MODEL / name).read_bytes())
        from_pieces = GPT2Tokenizer.from_pretrained(folder)
    cases = [[text, tokenizer.encode(text)] for text in TEXTS]
    assert cases == [[text, from_pieces.encode(text)] for text in TEXTS]
    assert [text for text, _ in cases] == [tokenizer.decode(ids) for _, ids in cases]
    lines = ",\n".join("    " + json.dumps(case) for case in cases)
    OUT.write_text('{\n  "made": "transformers 5.23.0, tokenizers 0.23.3",\n  "cases": [\n' + lines + "\n  ]\n}\n")


main()
