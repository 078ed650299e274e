"""The generator against its published vectors, the sampling rule against a slow reading of its documentation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvae.engine.philox import philox4x32, uniforms
from mvae.engine.sampler import guided, sample
from mvae.errors import IntegrityError

KNOWN_ANSWERS = [  # Random123's kat_vectors, philox4x32 with 10 rounds: counter, key, output
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_philox_known_answers(counter, key, expected):
    found = philox4x32(np.array([words(counter)] * 3, np.uint32), tuple(words(key)))
    assert found.dtype == np.uint32
    assert found.tolist() == [words(expected)] * 3


def test_uniforms_follow_the_documented_counter():
    seed, image = (5 << 32) | 7, 9
    for position, value in enumerate(uniforms(seed, image, 64)):
        word = int(philox4x32(np.array([position, image, 0, 0], np.uint32), (7, 5))[0])
        assert value == (word >> 8) / 2**24
    assert not np.array_equal(uniforms(seed, 0, 64), uniforms(seed, 1, 64))
    assert not np.array_equal(uniforms(seed, 0, 64), uniforms(seed + 2**40, 0, 64))


def test_uniforms_fill_the_unit_interval_evenly():
    values = np.concatenate([uniforms(2**63 - 1, image, 64) for image in range(200)])
    assert values.min() >= 0 and values.max() < 1
    counts = np.histogram(values, bins=16, range=(0, 1))[0]
    expected = len(values) / 16
    assert ((counts - expected) ** 2 / expected).sum() < 45  # chi-squared with 15 degrees of freedom: p < 1e-4


def slow_sample(logits, u, temperature, top_k):
    """The documentation of mvae.engine.sampler, one line for each of its steps."""
    ids = range(len(logits))
    if temperature == 0:
        return max(ids, key=lambda i: (logits[i], -i))
    kept = sorted(ids, key=lambda i: (-logits[i], i))[: top_k or len(logits)]
    highest = max(logits[i] for i in kept)
    sums, running = [], 0.0
    for i in sorted(kept):
        running += math.exp((logits[i] - highest) / temperature)
        sums.append((i, running))
    return next(i for i, total in sums if total > u * running)


@settings(max_examples=300, deadline=None)
@given(
    logits=st.lists(st.integers(-40, 40).map(lambda v: v / 4), min_size=1, max_size=24),
    u=st.integers(0, 2**24 - 1).map(lambda v: v / 2**24),
    temperature=st.sampled_from([0.0, 0.05, 0.5, 1.0, 5.0]),
    top_k=st.integers(0, 30),
)
def test_sample_is_what_its_documentation_says(logits, u, temperature, top_k):
    found = sample(np.array(logits, np.float32), u, temperature, min(top_k, len(logits)))
    assert found == slow_sample(logits, u, temperature, min(top_k, len(logits)))


def test_equal_logits_at_the_border_keep_the_smallest_ids():
    logits = np.array([1, 3, 1, 1, 3, 1], np.float32)
    drawn = {sample(logits, u, 1.0, 4) for u in np.linspace(0, 1 - 2**-24, 500)}
    assert drawn == {0, 1, 2, 4}


def test_frequencies_are_the_softmax():
    logits = np.log(np.array([0.1, 0.2, 0.3, 0.4]))
    draws = [sample(logits, (i + 0.5) / 1000, 1.0, 0) for i in range(1000)]
    assert np.bincount(draws).tolist() == [100, 200, 300, 400]


@pytest.mark.parametrize("u", [0.0, 1 - 2**-24])
def test_ends_of_the_unit_interval(u):
    logits = np.full(4096, -50, np.float32)
    logits[[17, 4000]] = 0
    assert sample(logits, u, 1.0, 0) in ({0, 17} if u == 0 else {4000, 4095})
    assert sample(logits, u, 1.0, 2) == (17 if u == 0 else 4000)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("top_k", [0, 3])
def test_logits_that_are_not_finite(value, top_k):
    with pytest.raises(IntegrityError, match="finite"):
        sample(np.array([0, 1, value, 2, 3], np.float32), 0.5, 1.0, top_k)


def test_guidance_is_linear_and_one_changes_nothing():
    prompt, empty = np.float32([1, 2, 3]), np.float32([3, 2, 0])
    assert guided(prompt, empty, 1.0).tolist() == [1, 2, 3]
    assert guided(prompt, empty, 0.0).tolist() == [3, 2, 0]
    assert guided(prompt, empty, 3.0).tolist() == [-3, 2, 9]
    assert guided(prompt, empty, 3.0).dtype == np.float64
