"""The tiny zoo: an entry of random weights, exported by ``python -m export`` and committed, so that these tests need no torch."""

from pathlib import Path

import pytest

import mvae

TINY_ZOO = Path(__file__).parents[1] / "data" / "tiny-zoo"


@pytest.fixture(scope="session")
def tiny_zoo() -> Path:
    return TINY_ZOO


@pytest.fixture(scope="session")
def memory_zoo() -> Path:
    """One entry, ``tiny-memory``, whose seq2seq reads stickers beside the text; int8 alone."""
    return TINY_ZOO.with_name("memory-zoo")


@pytest.fixture(scope="session")
def tiny():
    """``tiny-fp32``; models hold no state of a call, so tests share it."""
    return mvae.load("tiny-fp32", folder=TINY_ZOO)
