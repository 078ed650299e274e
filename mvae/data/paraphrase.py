"""People's words for what a label says: sentences, another order, several of a thing, typing errors. What is meant stays."""

from random import Random

SENTENCES = (
    "draw {}", "draw me {}", "please draw {}", "{} please", "i want {}", "i want to see {}", "show me {}", "make {}",
    "make me {}", "{}!", "a picture of {}", "a drawing of {}", "an image of {}", "a sticker of {}",
    "an emoji of {}", "{} sticker", "{} emoji", "{} icon", "can you draw {}?", "give me {}",
)
"""Trained on; ``{}`` is what is asked for."""
TEST_SENTENCES = (
    "i would like to see {}", "could you please make {}?", "i need a sticker with {}", "{}, as an emoji",
    "my favourite thing: {}",
)
"""Never trained on."""
_NEIGHBOURS = {
    sign: row[max(0, place - 1) : place] + row[place + 1 : place + 2]
    for row in ("qwertyuiop", "asdfghjkl", "zxcvbnm") for place, sign in enumerate(row)
}


def in_a_sentence(words: str, random: Random, sentences: tuple[str, ...] = SENTENCES) -> str:
    """``"a cat"`` → ``"please draw a cat"``."""
    return random.choice(sentences).format(words)


def mistyped(text: str, random: Random) -> str:
    """One typing error in a word of at least four letters: two letters swapped, one left out, doubled, or its neighbour's key.

    A text without such a word stays.
    """
    words = text.split(" ")
    long = [place for place, word in enumerate(words) if len(word) > 3 and word.isalpha()]
    if not long:
        return text
    chosen = random.choice(long)
    word, kind = words[chosen], random.randrange(4)
    place = random.randrange(1, len(word) - (2 if kind == 0 else 1))
    if kind == 0:
        typed = word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    elif kind == 1:
        typed = word[:place] + word[place + 1 :]
    elif kind == 2:
        typed = word[:place] + word[place] + word[place:]
    else:
        near = _NEIGHBOURS.get(word[place].lower())
        typed = word[:place] + random.choice(near) + word[place + 1 :] if near else word[:place] + word[place + 1 :]
    words[chosen] = typed
    return " ".join(words)


def in_other_order(label: str, random: Random | None = None) -> str:
    """``"red apple"`` → ``"apple red"``, ``"cat with tears of joy"`` → ``"tears of joy cat"``; one word stays.

    Nothing of it is random; the argument makes it one of the ways to say a thing.
    """
    head, joint, rest = label.partition(" with ")
    if joint:
        return f"{rest} {head}"
    *before, last = label.split(" ")
    return " ".join([last, *before])
