"""The summary of a story by rule, for tiny-gptj: a title and up to three of its own sentences (who it is about, what
happens, how it ends), and the prompt that asks for it in MLPerf's words. Text in, text out; no tokenizer and no model.
`python gptj_summary.py` prints counts and samples.
"""

from __future__ import annotations

import random
import re
from collections import Counter

import lexicon as lx
import paths
import stories as st

# The form of MLPerf's GPT-J benchmark, which asks for the summary of a news article.
PROMPT = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\nSummarize the following story:\n\n### Input:\n{story}\n\n### Response:"
)

ONE_DAY = r"One (?:\w+ )?(?:day|morning|night|afternoon|evening)"
LEAD = re.compile(rf"(?:Once upon a time|Once|{ONE_DAY}),? (?:(?:in|on) [^,.]{{3,40}}, )?")
TURN = re.compile(rf"(?:{ONE_DAY}|Suddenly|But|Then|However)\b")
SHORTEST, LONGEST = 4, 32  # words of a sentence worth quoting
NAMES = set(lx.GIRL_NAMES) | set(lx.BOY_NAMES)
# Words after "the" that a title is not made of.
VAGUE = st.NOT_A_TOPIC | {noun + "s" for noun in st.NOT_A_TOPIC} | set(st.ADJECTIVES) | set(
    """old new same other next first last whole only most best right wrong biggest nice good bad moral end
    rest man woman boy girl people children kids friends others""".split()
)  # fmt: skip


def flat(story: str) -> str:
    """The story as one paragraph, the form in which it is given."""
    return re.sub(r"\s+", " ", story).strip()


def sentences(text: str) -> list[str]:
    """Sentences with their closing quotes."""
    return [part.strip() for part in re.findall(r".+?[.!?][\"']?(?=\s|$)|.+$", text)]


def _quotable(sentence: str) -> bool:
    return '"' not in sentence and SHORTEST <= len(sentence.split()) <= LONGEST and sentence[-1] in ".!?"


def _without_lead(sentence: str) -> str:
    rest = LEAD.sub("", sentence, count=1) if LEAD.match(sentence) else sentence
    return rest[0].upper() + rest[1:]


def title(text: str) -> str:
    """Whom the story names most, and the thing that it most often calls "the": "Lily and the needle"."""
    named = Counter(w for w in re.findall(r"\b(?:named|called) ([A-Z][a-z]+)\b|\b([A-Z][a-z]+)\b", text) for w in w if w)
    introduced = set(re.findall(r"\b(?:named|called) ([A-Z][a-z]+)\b", text))
    heroes = [name for name, _ in named.most_common() if name in NAMES or name in introduced]
    things = Counter(w for w in re.findall(r"\b[Tt]he (?:(?:big|little|old|small) )?([a-z]{3,})\b", text) if w not in VAGUE)
    thing = things.most_common(1)[0][0] if things else ""
    if heroes and thing:
        is_hero = re.search(rf"\b{thing} (?:named|called) {heroes[0]}\b", text)
        return f"{heroes[0]} the {thing}" if is_hero else f"{heroes[0]} and the {thing}"
    return " and ".join(heroes[:2]) if heroes else f"The {thing}" if thing else ""


def summary(story: str) -> str | None:
    """Title and sentences on one line, or nothing where the rule finds no title, opening or ending."""
    text = flat(story)
    told = sentences(text)
    name = title(text)
    if len(told) < 5 or not name or not _quotable(told[0]):
        return None
    end = next((i for i in range(len(told) - 1, 2, -1) if _quotable(told[i]) and not told[i].startswith("The moral")), None)
    if end is None:
        return None
    turns = [sentence for sentence in told[1:end] if TURN.match(sentence) and _quotable(sentence)]
    quoted = [told[0], turns[0] if turns else told[1], told[end]]
    return " ".join([name + ".", *map(_without_lead, quoted)])


def prompt(story: str) -> str:
    return PROMPT.format(story=flat(story))


def response(text: str) -> str:
    """What follows the prompt: a space first, so that words are the tokens that they are within the story."""
    return " " + text


def main() -> None:
    stories = st.load(paths.STORIES)
    made = [(story.text, summary(story.text)) for story in stories]
    good = [(text, short) for text, short in made if short]
    words = sorted(len(short.split()) for _, short in good)
    print(f"{len(good)} of {len(made)} stories have a summary")
    print(f"words: least {words[0]}, median {words[len(words) // 2]}, most {words[-1]}")
    for text, short in random.Random(3).sample(good, 12):
        print("\n" + flat(text) + "\n>>> " + short)


if __name__ == "__main__":
    main()
