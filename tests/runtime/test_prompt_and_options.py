"""What a prompt and the options may be, and that refusals say what was got and what is expected."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvae.config import PROMPT_MAX_CHARACTERS, STYLES, TEXT_MAX_TOKENS
from mvae.engine.options import SEED_MAX, Options, check_options, check_style, whole
from mvae.engine.prompt import TextEncoder, normalise_prompt
from mvae.errors import IntegrityError, OptionError, PromptError


@pytest.mark.parametrize(
    ("given_prompt", "expected"),
    [
        ("a red apple", "a red apple"),
        ("  a\t red\r\n apple \u2003", "a red apple"),
        ("ｆｕｌｌ ｗｉｄｔｈ", "full width"),
        ("ﬁre", "fire"),
        ("👩‍🚀 astronaut", "👩‍🚀 astronaut"),
        ("شمس", "شمس"),
        ("x" * PROMPT_MAX_CHARACTERS, "x" * PROMPT_MAX_CHARACTERS),
        (" " * 300 + "sun" + " " * 300, "sun"),
    ],
)
def test_prompts_are_normalised(given_prompt, expected):
    assert normalise_prompt(given_prompt) == expected


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ("", "empty"),
        ("  \n\t ", "empty"),
        ("\u200b\u200d", "empty"),
        ("\ufe0f", "empty"),
        ("x" * (PROMPT_MAX_CHARACTERS + 1), f"{PROMPT_MAX_CHARACTERS + 1} characters; expected at most {PROMPT_MAX_CHARACTERS}"),
        ("\ufdfa" * 20, "at most"),  # one character that NFKC makes 18
        ("x" * 10_000_000, "at most"),
        ("red\x00apple", r"U\+0000 at 3"),
        ("red\x1bapple", r"U\+001B"),
        ("\x7f red", r"U\+007F"),
        ("a \ud800", r"U\+D800"),
        (None, "NoneType"),
        (b"apple", "bytes"),
        (3, "int"),
        (["apple"], "list"),
    ],
)
def test_prompts_that_are_refused(prompt, reason):
    with pytest.raises(PromptError, match=reason):
        normalise_prompt(prompt)


@pytest.fixture(scope="module")
def encoder(tiny_zoo):
    return TextEncoder((tiny_zoo / "tiny" / "tokenizer.json").read_bytes(), "tokenizer.json")


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=PROMPT_MAX_CHARACTERS + 5), st.sampled_from([None, *STYLES]))
def test_every_accepted_prompt_gets_ids(encoder, prompt, style):
    try:
        text = encoder(prompt, style)
    except PromptError:
        return
    assert 2 <= len(text.ids) <= TEXT_MAX_TOKENS
    assert text.ids[-1] == encoder.end
    assert encoder.end not in text.ids[:-1]


def test_marks_in_a_prompt_are_ordinary_characters(encoder):
    text = encoder("<eos> <pad>", None)
    assert len(text.ids) > 3 and not {0, 1, 2} & set(text.ids[:-1])


def test_long_prompts_are_cut_and_say_so(encoder):
    long = encoder("z9" * 100, "noto")
    assert long.was_cut and len(long.ids) == TEXT_MAX_TOKENS and long.ids[-1] == encoder.end
    assert not encoder("apple", "noto").was_cut


def test_letter_case_and_style(encoder):
    assert encoder("Red APPLE", None).ids == encoder("red apple", None).ids
    assert encoder("red apple", "noto").ids == encoder("noto red apple", None).ids != encoder("red apple", None).ids


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"[1]"])
def test_what_is_no_tokenizer(content):
    with pytest.raises(IntegrityError, match=r"tokenizer\.json"):
        TextEncoder(content, "tokenizer.json")


def test_none_means_the_models_own_values():
    defaults = Options(3.0, 0.7, 40)
    assert check_options(defaults, None, None, None, 4096) == defaults
    assert check_options(defaults, 1, 0, 0, 4096) == Options(1.0, 0.0, 0)
    assert check_options(defaults, np.float32(2), 0.5, np.int64(4096), 4096) == Options(2.0, 0.5, 4096)
    assert check_options(Options(top_k=256), None, None, None, 16).top_k == 16


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("guidance", value) for value in (float("nan"), float("inf"), -1, 20.1, "2", True, [1], 1j, 10**400)],
        *[("temperature", value) for value in (float("nan"), -0.1, 5.01, b"1", False)],
        *[("top_k", value) for value in (-1, 4097, 1.0, "3", True)],
    ],
)
def test_options_out_of_range(name, value):
    values = {"guidance": None, "temperature": None, "top_k": None} | {name: value}
    with pytest.raises(OptionError, match="expected"):
        check_options(Options(), **values, codebook=4096)


@pytest.mark.parametrize("value", [-1, SEED_MAX + 1, 1.0, "0", None, True, float("nan")])
def test_seeds_out_of_range(value):
    with pytest.raises(OptionError, match=f"expected a whole number from 0 to {SEED_MAX}"):
        whole("seed", value, 0, SEED_MAX)


def test_styles():
    assert [check_style(style) for style in (*STYLES, None)] == [*STYLES, None]
    for style in ("manga", "", "NOTO", 3):
        with pytest.raises(OptionError, match="noto, twemoji"):
            check_style(style)
