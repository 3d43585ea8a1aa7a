"""The tokenizer of tiny-llama: byte-level BPE of 2,048 tokens with four specials and a chat template, trained on
stories as the model will see them (retold), so that every topic noun is one token. `train.py` calls `build`.
Not tied to any other model's vocabulary.
"""

from __future__ import annotations

import random

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

import lexicon as lx
import stories as st

VOCABULARY = 2048
END, USER, ASSISTANT, PAD = "<|end|>", "<|user|>", "<|assistant|>", "<|pad|>"

# A system message is accepted and left out: the model never saw one.
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'user' -%}{{ '<|user|>' + (message['content'] | trim) + '<|end|>' }}"
    "{%- elif message['role'] == 'assistant' -%}{{ '<|assistant|>' + (message['content'] | trim) + '<|end|>' }}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}"
)


def build(stories: list[st.Story], seed: int) -> PreTrainedTokenizerFast:
    rng, names = random.Random(seed), st.name_pools(stories)

    def corpus():
        for _ in range(3):
            for story in stories:
                yield from st.document(story, rng, names, st.Augment())
        for noun in lx.TOPICS:
            yield f"{st.CANONICAL.format(a=lx.article(noun), x=noun)} " * 300

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END, USER, ASSISTANT, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(corpus(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[USER, ASSISTANT],
        model_max_length=1024,
        clean_up_tokenization_spaces=False,
        padding_side="left",
        chat_template=CHAT_TEMPLATE,
    )


def encode_chat(tokenizer: PreTrainedTokenizerFast, turns: list[tuple[str, str]]) -> tuple[list[int], list[int]]:
    """Token ids of a chat and its labels: -100 everywhere but on the stories and their ends."""
    end, user, assistant = tokenizer.convert_tokens_to_ids([END, USER, ASSISTANT])
    ids: list[int] = []
    labels: list[int] = []
    for prompt, story in turns:
        asked = [user, *tokenizer.encode(prompt, add_special_tokens=False), end, assistant]
        told = [*tokenizer.encode(story, add_special_tokens=False), end]
        ids += asked + told
        labels += [-100] * len(asked) + told
    return ids, labels
