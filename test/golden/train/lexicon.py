"""The topic nouns of tiny-llama's stories, in groups whose members can stand in for one another.

Words only: plurals, aliases, sounds, names. What is done with them is in stories.py. Not a general
dictionary: it covers what the TinyStories extract talks about, and what one would ask a story about.
"""

# Living things and things that act like them: they can be "a little X named Tim".
BEINGS = """dog cat rabbit bunny mouse bear fox frog duck bird fish lion tiger elephant monkey horse pony cow pig
sheep goat turtle snake owl bee butterfly ant spider squirrel whale dolphin penguin crab dragon dinosaur chicken wolf
deer snail caterpillar ladybug giraffe zebra hippo kangaroo panda octopus parrot unicorn puppy kitten hamster worm
boy girl king queen prince princess farmer pirate wizard witch knight sailor doctor clown baby
robot monster giant ghost fairy mermaid snowman""".split()

# Things that move: they act as beings in some stories and as toys in others.
VEHICLES = "car truck bus train boat ship plane rocket bike tractor helicopter".split()

# Things one can find, hold, want, lose.
OBJECTS = """ball doll kite balloon drum toy puzzle book box hat cup spoon key lamp clock umbrella blanket pillow bell
coin ring crown necklace flute pencil bag basket jar bottle mirror vase camera
apple banana cake cookie carrot pie sandwich pizza peach lemon pear pumpkin egg
rock shell stick feather seed flower leaf""".split()

# Fixed things: told about as they stand in the data, and as "a little X named Tim", but never swapped for objects.
PLACES = "tree star cloud castle house".split()

TOPICS = BEINGS + VEHICLES + OBJECTS + PLACES

# Source-only spellings: a story about one of these can be retold about a topic.
ALIASES = {
    "dog": ["doggy", "doggie", "puppy"],
    "puppy": ["dog", "doggy", "pup"],
    "cat": ["kitty", "kitten"],
    "kitten": ["cat", "kitty"],
    "rabbit": ["bunny"],
    "bunny": ["rabbit"],
    "bird": ["birdie"],
    "mouse": ["mousy"],
    "hippo": ["hippopotamus"],
    "ship": ["boat"],
    "boat": ["ship", "sailboat"],
    "plane": ["airplane"],
    "bike": ["bicycle"],
    "pig": ["piggy", "piglet"],
    "duck": ["duckling"],
    "horse": ["pony"],
    "sheep": ["lamb"],
    "knight": ["soldier"],
}

# Beings that appear in the data as main characters but are not asked about.
SOURCE_ONLY = """man woman child kid lady sister brother lizard seal raccoon hedgehog crocodile elf creature animal otter
rat eagle camel rhinoceros donkey bug swan hen beetle crow peacock bat singer dancer artist chef baker pilot barber
policeman fireman""".split()

IRREGULAR_PLURALS = {
    "mouse": "mice", "fish": "fish", "sheep": "sheep", "deer": "deer", "wolf": "wolves", "snowman": "snowmen",
    "leaf": "leaves", "man": "men", "woman": "women", "child": "children", "octopus": "octopuses", "elf": "elves",
    "policeman": "policemen", "fireman": "firemen",
}  # fmt: skip

# (verb, sound): what a being does with its voice.
SOUNDS = {
    "dog": ("bark", "woof"), "puppy": ("bark", "woof"), "cat": ("meow", "meow"), "kitten": ("meow", "meow"),
    "duck": ("quack", "quack"), "bird": ("chirp", "tweet"), "parrot": ("squawk", "squawk"), "cow": ("moo", "moo"),
    "pig": ("oink", "oink"), "lion": ("roar", "roar"), "tiger": ("roar", "roar"), "bear": ("growl", "grr"),
    "dragon": ("roar", "roar"), "dinosaur": ("roar", "roar"), "mouse": ("squeak", "squeak"), "frog": ("croak", "ribbit"),
    "horse": ("neigh", "neigh"), "pony": ("neigh", "neigh"), "sheep": ("bleat", "baa"), "goat": ("bleat", "baa"),
    "owl": ("hoot", "hoot"), "bee": ("buzz", "buzz"), "chicken": ("cluck", "cluck"), "wolf": ("howl", "aroo"),
    "snake": ("hiss", "hiss"), "car": ("honk", "beep"), "truck": ("honk", "honk"), "bus": ("honk", "honk"),
    "train": ("toot", "choo"), "robot": ("beep", "beep"), "ghost": ("boo", "boo"),
}  # fmt: skip
DEFAULT_SOUND = ("call", "hello")

# Given names by the pronoun they take; a story's names are redrawn from the names of the same list.
GIRL_NAMES = """Lily Mia Sue Lucy Anna Sara Emma Amy Jane Mary Sally Molly Daisy Ella Zoe Lisa Bella Mandy Jenny
Kate Rose Rosie Sarah Annie Emily Sophie Lola Jill Polly Nina Betty Ava Grace""".split()
BOY_NAMES = """Tim Tom Ben Max Sam Jack Bob Timmy Billy Joe Leo John Mike Jim Fred Tommy Bobby Johnny Jimmy Sammy
Charlie Peter Harry Danny Dan Jake Benny Joey James Oliver Ollie Henry Roger Finn""".split()


def plural(noun: str) -> str:
    if noun in IRREGULAR_PLURALS:
        return IRREGULAR_PLURALS[noun]
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    if noun.endswith(("s", "x", "z", "ch", "sh")):
        return noun + "es"
    return noun + "s"


def article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" and not noun.startswith(("uni", "use", "one")) else "a"
