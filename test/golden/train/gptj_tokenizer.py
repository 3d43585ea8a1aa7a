"""The tokenizer of tiny-gptj: byte-level BPE as GPT-2's, 2,048 tokens, of which the last is `<|endoftext|>` (beginning,
end and padding in one). `gptj_train.py` calls `build`; `save` writes GPT-2's files. Not tied to GPT-2's vocabulary.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

import gptj_summary as gs
import stories as st
from gptj_model import POSITIONS, VOCABULARY

END = "<|endoftext|>"


def build(stories: list[st.Story], seed: int) -> PreTrainedTokenizerFast:
    rng, names = random.Random(seed), st.name_pools(stories)

    def corpus():
        for _ in range(3):
            for story in stories:
                yield st.rename(story.text, rng, names)[0]
        # Every word of the prompt one token, without crowding out words of stories.
        for _ in range(300):
            yield gs.prompt("")

    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    learner.train_from_iterator(
        corpus(), trainers.BpeTrainer(vocab_size=VOCABULARY - 1, initial_alphabet=alphabet, show_progress=False)
    )
    learned = json.loads(learner.to_str())["model"]
    return wrap(learned["vocab"] | {END: VOCABULARY - 1}, [tuple(pair) for pair in learned["merges"]])


def wrap(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> PreTrainedTokenizerFast:
    core = Tokenizer(models.BPE(vocabulary, merges))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    core.decoder = decoders.ByteLevel()
    core.post_processor = processors.ByteLevel(trim_offsets=False)
    core.add_special_tokens([AddedToken(END, normalized=True, special=True)])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=END,
        eos_token=END,
        unk_token=END,
        pad_token=END,
        model_max_length=POSITIONS,
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )


def save(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """GPT-2's five files: those that releases 4 and 5 of transformers read, by the class that both know."""
    tokenizer.save_pretrained(folder)
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    by_id = dict(sorted(model["vocab"].items(), key=lambda entry: entry[1]))
    (folder / "vocab.json").write_text(json.dumps(by_id, ensure_ascii=False, separators=(",", ":")))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in model["merges"]))
    settings = {
        "add_prefix_space": False,
        "bos_token": END,
        "clean_up_tokenization_spaces": False,
        "eos_token": END,
        "model_max_length": POSITIONS,
        "pad_token": END,
        "padding_side": "left",
        "tokenizer_class": "GPT2Tokenizer",
        "unk_token": END,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    specials = {name: END for name in ("bos_token", "eos_token", "pad_token", "unk_token")}
    (folder / "special_tokens_map.json").write_text(json.dumps(specials, indent=2) + "\n")
