"""Writes the sampling fixture: which tokens transformers' logits processors keep, and with what probability.

Needs requirements.txt. Everything runs in f64. Logits are multiples of 1/64 and differ from each other, except in the
cases named `ties`: transformers' top-p cuts through equal logits in the order of its sort, ours keeps or drops them
together. Presence and frequency penalties, which transformers has not, follow the formula of OpenAI's API reference.
"""

import json
from importlib.metadata import version

import torch
from transformers import (
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    SequenceBiasLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from configs import FIXTURES

SETTINGS = [
    {},
    {"temperature": 0.25},
    {"temperature": 3.0},
    {"topK": 1},
    {"topK": 5},
    {"topK": 1000},
    {"topP": 0.0},
    {"topP": 0.05},
    {"topP": 0.5},
    {"topP": 0.95},
    {"topP": 0.999},
    {"minP": 0.01},
    {"minP": 0.3},
    {"minP": 1.0},
    {"repetitionPenalty": 1.3},
    {"repetitionPenalty": 0.6},
    {"presencePenalty": 1.5},
    {"frequencyPenalty": -0.75},
    {"presencePenalty": -2.0, "frequencyPenalty": 2.0},
    {"bias": True},
    {"topK": 20, "topP": 0.8},
    {"topP": 0.9, "temperature": 1.7},
    {"topK": 8, "minP": 0.1, "temperature": 0.5},
    {"bias": True, "repetitionPenalty": 1.2, "temperature": 0.7, "topK": 40, "topP": 0.9, "minP": 0.02},
    {"bias": True, "repetitionPenalty": 1.1, "presencePenalty": 0.5, "frequencyPenalty": 0.25, "temperature": 1.3,
     "topK": 30, "topP": 0.97, "minP": 0.05},
]
VOCAB_SIZES = (1, 7, 64)


def process(logits, prompt, generated, settings, biases):
    scores = torch.tensor([logits], dtype=torch.float64)
    ids = torch.tensor([prompt + generated])
    if biases:
        scores = SequenceBiasLogitsProcessor([[[token], value] for token, value in biases])(ids, scores)
    if "repetitionPenalty" in settings:
        scores = RepetitionPenaltyLogitsProcessor(settings["repetitionPenalty"])(ids, scores)
    for token in set(generated):
        scores[0, token] -= settings.get("presencePenalty", 0) + settings.get("frequencyPenalty", 0) * generated.count(token)
    for name, warper in (("temperature", TemperatureLogitsWarper), ("topK", TopKLogitsWarper),
                         ("topP", TopPLogitsWarper), ("minP", MinPLogitsWarper)):
        if name in settings:
            scores = warper(settings[name])(ids, scores)
    return scores[0]


def case(vocab_size, settings, generator, ties=False):
    # A permutation of distinct values, about normal.
    steps = torch.randperm(1024, generator=generator)[:vocab_size] - 512
    logits = [round(float(step), 6) / 64 for step in steps]
    if ties:
        logits = [float(round(logit)) for logit in logits]

    def draw(count):
        return torch.randint(0, vocab_size, (count,), generator=generator).tolist()

    prompt, generated = draw(6), draw(5)
    settings = dict(settings)
    biases = []
    if settings.pop("bias", False):
        tokens = sorted(set(draw(4)))
        biases = [[token, (-100.0, 2.5, -1.25, 100.0)[i % 4]] for i, token in enumerate(tokens)]
    scores = process(logits, prompt, generated, settings, biases)
    kept = torch.nonzero(scores > -float("inf")).flatten().tolist()
    probabilities = scores.softmax(-1)[kept].tolist()
    return {"logits": logits, "prompt": prompt, "generated": generated, "settings": settings, "biases": biases,
            "kept": kept, "probabilities": probabilities}


def main():
    generator = torch.Generator().manual_seed(20)
    cases = [case(size, settings, generator) for size in VOCAB_SIZES for settings in SETTINGS]
    for settings in ({"topK": 1}, {"topK": 5}, {"topK": 20}, {"minP": 0.2}, {"topK": 12, "minP": 0.001}):
        cases.append(case(64, settings, generator, ties=True))
    fixture = {"transformers": version("transformers"), "torch": version("torch"), "cases": cases}
    folder = FIXTURES.parent / "sampling"
    folder.mkdir(exist_ok=True)
    lines = ",\n".join(json.dumps(each) for each in cases)
    text = json.dumps({**fixture, "cases": []})[:-2] + "\n" + lines + "\n]}\n"
    assert json.loads(text) == fixture
    (folder / "sampling.json").write_text(text)
    print(len(cases), "cases,", len(text), "bytes")


if __name__ == "__main__":
    main()
