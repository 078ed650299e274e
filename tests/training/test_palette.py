"""What a palette is learned from, and what it is then."""

import numpy as np
import torch

from mvae.data.captions import HUES, SHADES, dominant_hue, nearest_colour, shade_of
from mvae.data.compose import held_out
from mvae.data.dataset import Pictures
from mvae.models.quantile import token_cells
from mvae.training.palette import WORDS, compute_palette, learn_palette, recolourings
from tests.training.test_scenes import VAE, squares, vae  # noqa: F401 (a fixture)


def test_it_is_the_mean_of_what_tokens_became():
    before, colours = np.array([[5, 5, 6], [7, 7, 7]]), np.array([WORDS.index("blue"), WORDS.index("grey")])
    after = np.array([[0b00000001, 0b01010001, 9], [3, 3, 3]])
    palette = learn_palette(before, colours, after, VAE.levels, VAE.coordinates)
    assert palette.words == (*HUES, *SHADES) and palette.tokens.shape == (11, 256)
    of = {word: palette.tokens[WORDS.index(word)] for word in WORDS}
    # The digits 0001 and 1101 (base 4) have the mean ½½01, rounded to even.
    assert of["blue"][5] == 0b00000001 and of["blue"][6] == 9 and of["grey"][7] == 3
    assert of["blue"][7] == 7 and np.array_equal(of["red"], np.arange(256))  # what has not been seen stays


def coloured(**more) -> Pictures:
    pictures = squares(tuple(f"thing {number}" for number in range(12)), **more)
    pictures.pixels[6:, ..., 2] = pictures.pixels[6:, ..., 0]
    pictures.pixels[6:, ..., 0] = 30  # blue ones
    return pictures


def test_pairs_show_a_colour_that_is_not_their_own_and_none_is_held_out():
    pictures = coloured()
    pairs = list(recolourings(pictures, 0))
    numbers = [number for number, *_ in pairs]
    assert numbers == sorted(numbers) and {word for _, word, _ in pairs} == set(WORDS)
    for number, word, drawn in pairs:
        shown = shade_of(drawn) if word in SHADES else nearest_colour(dominant_hue(drawn))
        assert shown == word and not held_out(word, pictures.meta[number]["concept"])
        assert word != ("red" if number < 6 else "blue")
    assert not list(recolourings(coloured(group="people-body"), 0))


def test_it_is_computed_once(vae, tmp_path):  # noqa: F811
    pictures = coloured()
    tokens = vae.encode_tokens(pictures.batch(range(12))).numpy()
    made = compute_palette(vae, pictures, tokens, 0, tmp_path / "p", "a", progress=False)
    cells, gained = token_cells(VAE.levels, VAE.coordinates).numpy(), 0.0
    for number, word, drawn in recolourings(pictures, 0):
        target = vae.encode_tokens(torch.from_numpy(drawn.copy()).permute(2, 0, 1)[None].float() / 255)[0].numpy()
        (shown,) = made.recoloured(tokens[number][None], [word])
        gained += np.square(cells[tokens[number]] - cells[target]).sum() - np.square(cells[shown] - cells[target]).sum()
    assert gained > 0  # nearer to the recoloured drawings than what it began with
    again = compute_palette(vae, squares(("other",)), tokens[:1], 0, tmp_path / "p", "a", progress=False)
    assert np.array_equal(again.tokens, made.tokens)
    other = compute_palette(vae, squares(("other",)), tokens[:1], 0, tmp_path / "p", "b", progress=False)
    assert not np.array_equal(other.tokens, made.tokens)
