"""Prompt → text ids: the checks, the caption and the tokenizer."""

import unicodedata
from dataclasses import dataclass

from tokenizers import Tokenizer

from mvae.config import PROMPT_MAX_CHARACTERS, TEXT_MAX_TOKENS, caption
from mvae.errors import IntegrityError, PromptError

_INVISIBLE = {"Cf", "Mn", "Me", "Zs", "Zl", "Zp", "Cc"}
"""Unicode categories that alone make no prompt."""


@dataclass(frozen=True)
class Text:
    """What the encoder reads."""

    prompt: str
    """Normalised."""
    ids: tuple[int, ...]
    """End mark included."""
    was_cut: bool
    """Whether the prompt had more tokens than the encoder reads."""


def normalise_prompt(prompt: str) -> str:
    """NFKC, runs of white space made one space, ends trimmed.

    Raises PromptError if nothing visible is left, if more than 200 characters are left, or for control characters and lone
    surrogates; tabs and line breaks count as white space.
    """
    if not isinstance(prompt, str):
        raise PromptError(f"the prompt is a {type(prompt).__name__}; expected text")
    if len(prompt) <= 4 * PROMPT_MAX_CHARACTERS:  # beyond that, normalising would only cost time
        prompt = " ".join(unicodedata.normalize("NFKC", prompt).split())
    if len(prompt) > PROMPT_MAX_CHARACTERS:
        raise PromptError(f"the prompt has {len(prompt)} characters; expected at most {PROMPT_MAX_CHARACTERS}")
    categories = [unicodedata.category(character) for character in prompt]
    for place, category in enumerate(categories):
        if category in ("Cc", "Cs"):
            raise PromptError(f"the prompt has the control character U+{ord(prompt[place]):04X} at {place}; expected text")
    if all(category in _INVISIBLE for category in categories):
        raise PromptError("the prompt is empty; expected what to draw, for example 'a red apple'")
    return prompt


class TextEncoder:
    """The entry's byte-level BPE; immutable, so that threads may share it."""

    def __init__(self, content: bytes, name: str):
        """``content``: a ``tokenizer.json``. Raises IntegrityError if it is not one or has no ``<eos>``."""
        try:
            self._tokenizer = Tokenizer.from_str(content.decode("utf-8"))
        except Exception as error:  # the binding raises bare Exception
            raise IntegrityError(f"{name}: not a tokenizer ({error})") from None
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True  # "<eos>" in a prompt is five characters like any others
        self.end = self._tokenizer.token_to_id("<eos>")
        if self.end is None:
            raise IntegrityError(f"{name}: has no <eos>; expected an mVAE tokenizer")
        self.vocabulary = self._tokenizer.get_vocab_size(with_added_tokens=True)
        """Ids are below this."""

    def __call__(self, prompt: str, style: str | None) -> Text:
        """Checks and encodes; ids beyond the limit of 48 tokens are cut off before the end mark. Raises PromptError."""
        prompt = normalise_prompt(prompt)
        ids = self._tokenizer.encode(caption(prompt, style), add_special_tokens=False).ids
        return Text(prompt, (*ids[: TEXT_MAX_TOKENS - 1], self.end), len(ids) >= TEXT_MAX_TOKENS)
