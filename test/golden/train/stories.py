"""From raw TinyStories text to chat documents for tiny-llama: which topic a story opens with, the same story
retold about another topic, the prompt that asks for it. Deterministic given a random.Random. Not a tokenizer
and not a model: text in, text out. `python stories.py <file>` prints counts and samples.
"""

from __future__ import annotations

import random
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import lexicon as lx

SEPARATOR = "<|endoftext|>"
MAX_STORY_CHARS = 1400

CANONICAL = "Tell me a story about {a} {x}."
TEMPLATES = [
    (CANONICAL, 10),
    ("Tell me a story about {a} {x}", 2),
    ("Tell me a short story about {a} {x}.", 2),
    ("Please tell me a story about {a} {x}.", 2),
    ("Can you tell me a story about {a} {x}?", 2),
    ("Write a story about {a} {x}.", 2),
    ("Write a short story about {a} {x}.", 1),
    ("I want to hear a story about {a} {x}.", 1),
    ("Tell me about {a} {x}.", 1),
    ("Tell a story about {a} {x}.", 1),
    ("Tell me a story with {a} {x} in it.", 1),
    ("Tell me a story about the {x}.", 1),
    ("Tell me a story about {p}.", 1),
    ("A story about {a} {x}, please.", 1),
    ("A story about {a} {x}", 1),
]
OPEN_PROMPTS = ["Tell me a story.", "Tell me a short story.", "Can you tell me a story?", "Write a story.", "Please tell me a story."]
ADJECTIVES = """little small big old happy brave kind red blue green yellow pink funny tiny young sad shy pretty lazy
clever friendly lonely hungry curious magic special beautiful""".split()

# Nouns by position that nobody asks a story about, or that take no article.
NOT_A_TOPIC = set(
    """time day one thing way lot place mom dad mommy daddy mum home house's morning night side end bit while name sun sky
    ground world water sand mud milk rain snow juice food wood grass music bread ice air wind land sea idea party fun hand
    hands head face eyes eye back top middle other others two three things friends family hole door room kitchen street
    yard backyard floor water's little big more best first last next same toys wall game corner left right job problem
    noise sound voice smile mouth tail hair arms leg feet nose year week life kids people parents dinner lunch breakfast
    window table inside outside and there orange deep cold""".split()
)

SENTENCE_END = re.compile(r"(?<=[.!?])[\"']?\s+")
WORD = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")


def normalise(text: str) -> str:
    """Plain quotes and dashes, single newlines: fewer spellings of the same thing."""
    for old, new in (("“", '"'), ("”", '"'), ("’", "'"), ("‘", "'"), ("–", "-"), ("—", "-"), ("…", "..."), ("«", '"'), ("»", '"')):
        text = text.replace(old, new)
    text = re.sub(r"[ \t]+", " ", text)
    return re.sub(r" ?\n[ \n]*", "\n", text).strip()


def opening(story: str) -> str:
    """The first two sentences."""
    at = 0
    for _ in range(2):
        match = SENTENCE_END.search(story, at)
        if match is None:
            return story
        at = match.end()
    return story[:at]


def mentions(text: str, noun: str) -> int:
    """How often the noun or its plural occurs."""
    return len(re.findall(rf"\b(?:{noun}|{lx.plural(noun)})(?:'s)?\b", text, re.IGNORECASE))


def names_topic(story: str, noun: str) -> bool:
    """The measure: the first two sentences name the topic."""
    return mentions(opening(story), noun) > 0


_BEINGS, _VEHICLES = set(lx.BEINGS) | set(lx.SOURCE_ONLY), set(lx.VEHICLES)
_OBJECTS, _PLACES = set(lx.OBJECTS), set(lx.PLACES)
_LISTED = _BEINGS | _VEHICLES | _OBJECTS | _PLACES


def targets_of(source: str) -> list[tuple[list[str], float]]:
    """What a story about the source can be retold about: groups with their weights."""
    if source in _BEINGS:
        return [(lx.BEINGS, 0.72), (lx.VEHICLES, 0.12), (lx.OBJECTS, 0.08), (lx.PLACES, 0.08)]
    if source in _VEHICLES:
        return [(lx.VEHICLES, 0.6), (lx.BEINGS, 0.25), (lx.OBJECTS, 0.15)]
    if source in _OBJECTS:
        return [(lx.OBJECTS, 0.93), (lx.VEHICLES, 0.07)]
    return [(lx.PLACES, 0.3), (lx.BEINGS, 0.7)]


@dataclass
class Story:
    text: str
    listed: dict[str, int] = field(default_factory=dict)  # lexicon nouns in the opening: mentions in the story
    sources: dict[str, int] = field(default_factory=dict)  # those of them that another noun can stand in for
    free: list[str] = field(default_factory=list)  # other nouns the story is about, told as they stand


def _free_topics(text: str, head: str) -> list[str]:
    """Nouns outside the lexicon, found by where they stand: after an article and before a pause or a verb."""
    found = []
    for noun in set(re.findall(r"[a-z]{3,}", head)):
        if noun in NOT_A_TOPIC or noun in _LISTED or noun in ADJECTIVES:
            continue
        total = len(re.findall(rf"\b{noun}\b", text))
        as_noun = len(
            re.findall(
                rf"\b(?:the|a|an|his|her|their|my) (?:\w+ )?{noun}(?=[.,!?\"]| (?:was|is|and|to|in|on|had|said|with|for|at|that|who|from|could|would|went|saw|looked)\b)",
                text,
            )
        )
        alone = re.search(rf"\b(?:a|an) (?:\w+ )?{noun}\b", text)
        if total >= 3 and as_noun >= 2 and as_noun >= 0.5 * total and alone:
            found.append(noun)
    return sorted(found)


_COMPOUND = re.compile(r"\b([a-z]+) (?:" + "|".join(sorted(_LISTED)) + r")s?\b")


def _is_source(noun: str, count: int, text: str, head: str) -> bool:
    """Whether the noun is a thing of its own here: no part of "toy car" or "teddy bear", and no mere scenery."""
    if noun in _COMPOUND.findall(text) or f"teddy {noun}" in text.lower():
        return False
    if noun in _PLACES:
        return bool(re.search(rf"\b(?:was|lived|saw|found) (?:a|an) (?:\w+ ){{0,2}}{noun}\b", head)) and count >= 3
    return count >= 2 or noun in _BEINGS


def analyse(text: str) -> Story:
    head = opening(text)
    story = Story(text)
    for noun in set(re.findall(r"[a-z]+", head)) & _LISTED:
        story.listed[noun] = mentions(text, noun)
    for noun in _LISTED - set(story.listed):  # plural only: "two cats"
        if mentions(head, noun):
            story.listed[noun] = mentions(text, noun)
    story.listed = {noun: count for noun, count in sorted(story.listed.items()) if count}
    story.sources = {noun: count for noun, count in story.listed.items() if _is_source(noun, count, text, head)}
    story.free = _free_topics(text, head)
    return story


def load(path: Path) -> list[Story]:
    raw = path.read_text(encoding="utf-8", errors="ignore")
    pieces = raw.split(SEPARATOR)
    if not raw.rstrip().endswith(SEPARATOR) and len(pieces) > 50:
        pieces = pieces[:-1]  # an extract cut at a size ends in half a story
    texts = [normalise(piece) for piece in pieces]
    return [analyse(text) for text in texts if 200 < len(text) <= MAX_STORY_CHARS]


def _cased(like: str, word: str) -> str:
    return word[0].upper() + word[1:] if like[0].isupper() else word


def _verb_forms(verb: str) -> list[str]:
    if verb.endswith("e"):
        return [verb, verb + "s", verb + "d", verb[:-1] + "ing"]
    third = verb + ("es" if verb.endswith(("ss", "x", "z", "ch", "sh")) else "s")
    return [verb, third, verb + "ed", verb + "ing"]


def retell(text: str, source: str, target: str) -> str:
    """The story with the source noun, its plural, its other names and its sounds made the target's."""
    swap: dict[str, str] = {}
    for noun in [source, *lx.ALIASES.get(source, [])]:
        if noun == target:
            continue
        swap[noun] = target
        swap.setdefault(lx.plural(noun), lx.plural(target))
    if source in lx.SOUNDS:
        verb, sound = lx.SOUNDS.get(target, lx.DEFAULT_SOUND)
        swap.setdefault(lx.SOUNDS[source][1], sound)
        for old, new in zip(_verb_forms(lx.SOUNDS[source][0]), _verb_forms(verb), strict=True):
            swap.setdefault(old, new)
    words = "|".join(sorted(map(re.escape, swap), key=len, reverse=True))

    def replace(match: re.Match[str]) -> str:
        new = swap[match[2].lower()]
        before = match[1] or ""
        if before.strip().lower() in ("a", "an"):
            before = _cased(before, lx.article(new)) + " "
        return before + _cased(match[2], new)

    return re.sub(rf"\b((?:a|an) )?\b({words})\b", replace, text, flags=re.IGNORECASE)


def rename(text: str, rng: random.Random, names: dict[str, list[tuple[str, int]]]) -> tuple[str, list[str]]:
    """Redraws the given names; returns the text and the names in order of appearance."""
    own = [w for w in dict.fromkeys(re.findall(r"\b[A-Z][a-z]+\b", text)) if w in _NAME_KIND]
    new: dict[str, str] = {}
    for name in own:
        pool = names[_NAME_KIND[name]]
        for _ in range(20):
            pick = rng.choices([n for n, _ in pool], [c for _, c in pool])[0]
            if pick not in new.values() and (pick == name or not re.search(rf"\b{pick}\b", text)):
                break
        else:
            pick = name
        new[name] = pick
    if not new:
        return text, []
    out = re.sub(r"\b(" + "|".join(new) + r")\b", lambda m: new[m[1]], text)
    return out, list(new.values())


_NAME_KIND = {name: "girl" for name in lx.GIRL_NAMES} | {name: "boy" for name in lx.BOY_NAMES}


def name_pools(stories: list[Story]) -> dict[str, list[tuple[str, int]]]:
    """Names with the number of stories each occurs in, damped so that the rare ones are seen too."""
    count: Counter[str] = Counter()
    for story in stories:
        count.update({w for w in re.findall(r"\b[A-Z][a-z]+\b", story.text) if w in _NAME_KIND})
    pools: dict[str, list[tuple[str, int]]] = {"girl": [], "boy": []}
    for name, kind in _NAME_KIND.items():
        if count[name]:
            pools[kind].append((name, int(10 * count[name] ** 0.7)))
    return pools


def remind(text: str, target: str, rng: random.Random, share: float) -> str:
    """After the opening, some sentences that begin with the hero's name begin with "The <target>" instead."""
    match = re.search(rf"\b(?:{target}) (?:named|called) ([A-Z][a-z]+)\b", text)
    if match is None:
        return text
    name, start = match[1], len(opening(text))
    pattern = re.compile(rf"(?<=[.!?] ){name}(?= [a-z])")

    def replace(found: re.Match[str]) -> str:
        return f"The {target}" if found.start() > start and rng.random() < share else found[0]

    return pattern.sub(replace, text)


def prompt_for(noun: str, rng: random.Random, text: str | None = None) -> str:
    template = rng.choices([t for t, _ in TEMPLATES], [w for _, w in TEMPLATES])[0]
    phrase, art = noun, lx.article(noun)
    if text is not None and rng.random() < 0.12:  # the story's own adjective, asked for
        found = re.search(rf"\b(?:a|an) ({'|'.join(ADJECTIVES)}) {noun}\b", opening(text))
        if found:
            phrase, art = f"{found[1]} {noun}", lx.article(found[1])
    out = template.format(a=art, x=phrase, p=phrase[: -len(noun)] + lx.plural(noun))
    return out[0].lower() + out[1:] if rng.random() < 0.05 else out


@dataclass
class Augment:
    """Shares of the ways to ask for a story; the rest is as the story allows."""

    retell: float = 0.8
    open: float = 0.04
    by_name: float = 0.03
    rename: float = 0.7
    remind: float = 0.25
    other: float = 1.0  # weight of a topic other than girl and boy when a story is told as it stands


def document(story: Story, rng: random.Random, names: dict[str, list[tuple[str, int]]], cfg: Augment) -> tuple[str, str]:
    """One (prompt, story) pair; the story may be retold, and the prompt says so."""
    text = story.text
    if rng.random() < cfg.open or not (story.listed or story.free):
        text, who = rename(text, rng, names) if rng.random() < cfg.rename else (text, [])
        head = opening(text)
        hero = next((n for n in who if n in head), None)
        if hero and rng.random() < 0.6:
            return f"Tell me a story about {hero}.", text
        return rng.choice(OPEN_PROMPTS), text
    if rng.random() < cfg.rename:
        text, who = rename(text, rng, names)
        hero = next((n for n in who if n in opening(text)), None)
        if hero and rng.random() < cfg.by_name:
            return f"Tell me a story about {hero}.", text
    if story.sources and rng.random() < cfg.retell:
        source = rng.choices(list(story.sources), [min(c, 6) for c in story.sources.values()])[0]
        groups = targets_of(source)
        for _ in range(8):
            group = rng.choices([g for g, _ in groups], [w for _, w in groups])[0]
            target = rng.choice(group)
            others = {source, *lx.ALIASES.get(source, [])}
            if target in others or mentions(text, target) == 0:
                break
        else:
            target = source
        if target != source:
            text = retell(text, source, target)
        text = remind(text, target, rng, cfg.remind)
        if names_topic(text, target):
            return prompt_for(target, rng, text), text
        return rng.choice(OPEN_PROMPTS), text
    natural = [n for n, c in story.listed.items() if n in lx.TOPICS and (c >= 2 or n in _BEINGS)] + story.free
    if not natural:
        return rng.choice(OPEN_PROMPTS), text
    noun = rng.choices(natural, [1.0 if n in ("girl", "boy") else cfg.other for n in natural])[0]
    return prompt_for(noun, rng, text), text


def plain_document(story: Story) -> tuple[str, str]:
    """The story as it stands with the canonical prompt for its most mentioned opening noun: for measuring."""
    topics = {n: c for n, c in story.listed.items()} or {n: 1 for n in story.free}
    if not topics:
        return OPEN_PROMPTS[0], story.text
    noun = max(topics, key=lambda n: topics[n])
    return CANONICAL.format(a=lx.article(noun), x=noun), story.text


def main() -> None:
    stories = load(Path(sys.argv[1]))
    print(len(stories), "stories;", sum(1 for s in stories if s.listed), "with listed nouns;", end=" ")
    print(sum(1 for s in stories if not s.listed and s.free), "with free nouns only")
    print("listed:", Counter(n for s in stories for n in s.listed).most_common(60))
    print("free:", Counter(n for s in stories for n in s.free).most_common(150))
    rng, names = random.Random(1), name_pools(stories)
    asked: Counter[str] = Counter()
    for story in stories * 4:
        prompt, text = document(story, rng, names, Augment())
        asked[prompt.rstrip(".").split()[-1] if "about a" in prompt else "(other)"] += 1
    print("asked:", asked.most_common(400))
    for story in rng.sample(stories, 12):
        prompt, text = document(story, rng, names, Augment())
        print("\n>>>", prompt, "\n" + text)


if __name__ == "__main__":
    main()
