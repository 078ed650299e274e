"""Exported systems: files are checked before they are used, latents come from the class's mixture or from its words, ways between
them keep to the sphere."""

import json

import numpy as np
import pytest

from mvae.engine.stored_system import COUNT_MAX, load_system
from mvae.engine.system_files import SYSTEMS, available_systems, read_system
from mvae.errors import ImageError, IntegrityError, OptionError, UnknownModelError
from tests.runtime.tiny_systems import damaged, npz, tiny_system


@pytest.fixture(scope="module")
def systems(tmp_path_factory):
    """A folder with three systems of 4 latent numbers."""
    folder = tmp_path_factory.mktemp("systems")
    tiny_system(folder)
    tiny_system(folder, system="mvae")
    tiny_system(folder, "cifar10", "s_vae", side=8, channels=3, sphere=True)
    return folder


@pytest.fixture(scope="module")
def vae(systems):
    return load_system("mnist", "vae", systems)


@pytest.fixture(scope="module")
def sphere(systems):
    return load_system("cifar10", "s_vae", systems)


def test_what_is_there_is_listed_in_the_order_of_the_comparison(systems, tmp_path):
    assert available_systems(systems) == {"mnist": ["vae", "mvae"], "cifar10": ["s_vae"]}
    assert available_systems(tmp_path / "nowhere") == {} and SYSTEMS[8:] == ("mvae", "mvae_small")
    for data, system in (("mnist", "vade"), ("mnist", "../mnist/vae"), ("cifar10", "vae")):
        with pytest.raises(UnknownModelError, match="mnist/vae, mnist/mvae, cifar10/s_vae"):
            load_system(data, system, systems)


def test_an_entry_holds_the_bytes_that_were_hashed(systems, vae):
    entry = read_system("mnist", "mvae", systems)
    assert set(entry.files) == {"encoder.onnx", "decoder.onnx", "latents.npz", "words.onnx", "words.json"}
    assert entry.bytes == sum(len(content) for name, content in entry.files.items() if name.endswith(".onnx"))
    assert vae.entry.title == "VAE" and vae.shape == (1, 28, 28) and vae.words is None


@pytest.mark.parametrize("name", ["encoder.onnx", "decoder.onnx", "latents.npz", "words.onnx", "words.json"])
def test_a_changed_file_is_refused(tmp_path, name):
    path = tiny_system(tmp_path, system="mvae", side=6)
    content = bytearray((path / name).read_bytes())
    content[len(content) // 2] ^= 1
    damaged(path, name, bytes(content), recorded=False)
    with pytest.raises(IntegrityError, match=f"{name}: sha256"):
        load_system("mnist", "mvae", tmp_path)
    (path / name).unlink()
    with pytest.raises(IntegrityError, match="cannot be read"):
        load_system("mnist", "mvae", tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("side", "28", "expected int"), ("side", 0, "expected a side"), ("channels", 2, "expected a side"),
        ("sphere", 1, "expected bool"), ("classes", [], "names of classes"), ("system", "vade", "expected mnist/vae"),
        ("files", [], "'files'"), ("files", {"encoder.onnx": {"bytes": "x"}}, "bytes and sha256"), ("files", {}, "encoder.onnx"),
        ("latent", 5, "has shape"), ("side", 12, "expected"),
    ],
)  # fmt: skip
def test_a_malformed_description_is_refused(tmp_path, key, value, said):
    path = tiny_system(tmp_path, side=6) / "system.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(IntegrityError, match=said):
        load_system("mnist", "vae", tmp_path).decode(np.zeros((1, 4)))


def test_files_that_are_no_json_graph_or_arrays_are_refused(tmp_path):
    path = tiny_system(tmp_path, side=6)
    kept = (path / "latents.npz").read_bytes()
    with np.load(path / "latents.npz") as stored:
        arrays = dict(stored)
    broken = [b"no zip", npz(**{name: array for name, array in arrays.items() if name != "points"})]
    for name, change in (("weights", arrays["weights"] / 2), ("labels", arrays["labels"] + 9), ("points", arrays["points"][:3]),
                         ("means", np.full_like(arrays["means"], np.nan)), ("factors", arrays["factors"][..., :2])):
        broken.append(npz(**{**arrays, name: change}))
    for content in broken:
        damaged(path, "latents.npz", content, recorded=True)
        with pytest.raises(IntegrityError, match=r"latents\.npz"):
            load_system("mnist", "vae", tmp_path)
    damaged(path, "latents.npz", kept, recorded=True)
    damaged(path, "decoder.onnx", b"no graph", recorded=True)
    with pytest.raises(IntegrityError, match="ONNX Runtime cannot load"):
        load_system("mnist", "vae", tmp_path)
    (path / "system.json").write_text("{")
    with pytest.raises(IntegrityError, match="not JSON"):
        load_system("mnist", "vae", tmp_path)


def test_samples_follow_the_mixture_of_their_class(tmp_path):
    path = tiny_system(tmp_path, side=6)
    with np.load(path / "latents.npz") as stored:
        arrays = dict(stored)
    factor = np.tril(np.array([[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0, 0.2, 1, 0], [0.3, 0, 0, 2]], np.float16))
    arrays["weights"][2] = (0.25, 0.75)
    arrays["means"][2] = np.array([[-50] * 4, [50, 0, 0, 0]])
    arrays["factors"][2] = factor
    damaged(path, "latents.npz", npz(**arrays), recorded=True)
    drawn = load_system("mnist", "vae", tmp_path).sample(2, COUNT_MAX, 5)
    second = drawn[drawn[:, 0] > 0]
    assert abs(len(second) / COUNT_MAX - 0.75) < 0.05
    assert np.abs(second.mean(0) - (50, 0, 0, 0)).max() < 0.25
    wanted = factor.astype(float) @ factor.astype(float).T
    assert np.abs(np.cov(second.T) - wanted).max() < 0.15 * wanted.max()


def test_the_same_seed_gives_the_same_latents_whatever_the_count(vae):
    found = vae.sample(3, 5, 7)
    assert np.array_equal(found, vae.sample(3, 20, 7)[:5]) and not np.array_equal(found, vae.sample(3, 5, 8))
    assert np.abs(found - 3).max() < 1
    for arguments in ((10, 1, 0), (-1, 1, 0), (True, 1, 0), (0, 0, 0), (0, COUNT_MAX + 1, 0), (0, 1, -1), (0, 1, 0.5)):
        with pytest.raises(OptionError):
            vae.sample(*arguments)


def test_a_sphere_is_never_left(sphere):
    assert np.allclose(np.linalg.norm(sphere.sample(1, 50, 0), axis=1), 1, atol=1e-6)
    first, second = np.eye(4, dtype=np.float32)[:2]
    for ends in ((first, second), (first, -first), (first, first), (3 * first, second)):
        way = sphere.interpolate(*ends, 5)
        assert np.allclose(np.linalg.norm(way, axis=1), 1, atol=1e-5)
        assert np.allclose(way[0], first, atol=1e-5) and np.allclose(way[-1], ends[1], atol=1e-5)
        steps = np.linalg.norm(np.diff(way, axis=0), axis=1)
        assert np.allclose(steps, steps[0], atol=1e-4)  # even steps along the great circle
    assert np.allclose(sphere.interpolate(first, second, 3)[1], (first + second) / np.sqrt(2), atol=1e-6)


def test_elsewhere_the_way_is_straight(vae):
    way = vae.interpolate([0, 0, 0, 0], [1, 2, 3, 4], 5)
    assert np.allclose(way, np.linspace(0, 1, 5)[:, None] * [1, 2, 3, 4])
    for ends, steps in ((([0] * 4, [0] * 4), 1), (([0] * 3, [0] * 3), 4)):
        with pytest.raises(OptionError):
            vae.interpolate(*ends, steps)


def test_the_nearest_point_is_found(vae):
    for index in (0, 7, 29):
        assert np.array_equal(vae.points[vae.nearest(*vae.points[index])], vae.points[index])
    far = vae.nearest(1e6, 1e6)
    assert vae.points[far].sum() > np.median(vae.points.sum(1))
    with pytest.raises(OptionError):
        vae.nearest(float("nan"), 0)


def test_images_become_latents_and_latents_images(vae, sphere):
    for system in (vae, sphere):
        images = system.decode(system.latents[:3])
        assert images.shape == (3, *system.shape) and images.dtype == np.float32 and images.min() >= 0 and images.max() <= 1
        assert images.std() > 0 and system.encode(images).shape == (3, 4)
    for wrong in (np.zeros((1, 3, 28, 28)), np.zeros((28, 28)), np.zeros((0, 1, 28, 28)), np.full((1, 1, 28, 28), 2.0),
                  np.full((1, 1, 28, 28), np.nan)):
        with pytest.raises(ImageError):
            vae.encode(wrong)
    with pytest.raises(OptionError):
        vae.decode(np.zeros((1, 5)))


def test_words_become_the_medians_of_their_tokens(systems, vae):
    system = load_system("mnist", "mvae", systems)
    assert system.words.prompts[4] == "a picture of 4"
    for label, wanted in ((4, [0, 0, 0, 0]), (6, [1, -1, 1, -1])):  # token 4 of 3 × 3 is (1, 1), token 6 is (2, 0)
        assert (system.words.tokens(label, 3, 0) == label).all()
        assert np.array_equal(system.draw_words(label, 3, 0), [wanted] * 3)
    with pytest.raises(OptionError, match="reads no words"):
        vae.draw_words(0, 1, 0)
    with pytest.raises(OptionError):
        system.draw_words(10, 1, 0)


def test_words_are_drawn_by_their_seed(tmp_path):
    path = tiny_system(tmp_path, system="mvae", side=6, latent=16)
    about = json.loads((path / "words.json").read_text())
    damaged(path, "words.json", json.dumps({**about, "temperature": 100.0}).encode(), recorded=True)
    system = load_system("mnist", "mvae", tmp_path)
    tokens = system.words.tokens(0, 20, 3)
    assert np.array_equal(tokens[:4], system.words.tokens(0, 4, 3)) and len(np.unique(tokens)) == 9
    assert not np.array_equal(tokens, system.words.tokens(0, 20, 4))


def test_guidance_leads_away_from_what_no_words_say(tmp_path):
    path = tiny_system(tmp_path, system="mvae", side=6)
    about = json.loads((path / "words.json").read_text())
    about["temperature"] = 0.0

    def drawn(guidance: float) -> list:
        damaged(path, "words.json", json.dumps({**about, "guidance": guidance}).encode(), recorded=True)
        words = load_system("mnist", "mvae", tmp_path).words
        return [words.tokens(label, 1, 0).tolist() for label in range(3)]

    assert [tokens[0][0] for tokens in drawn(1.0)] == [tokens[0][0] for tokens in drawn(3.0)] == [0, 1, 2]
    first, second, third = drawn(0.0)
    assert first == second == third, "a prompt that counts for nothing changes nothing"


def test_words_may_be_shared_with_another_system(tmp_path):
    whole = tiny_system(tmp_path, system="mvae", side=6)
    small = tiny_system(tmp_path, system="mvae_small", side=6)
    about = json.loads((small / "system.json").read_text())
    words = {name: record for name, record in json.loads((whole / "system.json").read_text())["files"].items() if "words" in name}
    about |= {"words": "mvae", "files": about["files"] | words}
    (small / "system.json").write_text(json.dumps(about))
    drawn = load_system("mnist", "mvae_small", tmp_path).words.tokens(4, 3, 1)
    assert np.array_equal(drawn, load_system("mnist", "mvae", tmp_path).words.tokens(4, 3, 1))
    for wrong in ("../mvae", "vae", ["mvae"]):  # not a system, one without words, no name
        (small / "system.json").write_text(json.dumps(about | {"words": wrong}))
        with pytest.raises(IntegrityError):
            load_system("mnist", "mvae_small", tmp_path)
    (small / "system.json").write_text(json.dumps(about))
    (whole / "words.json").write_text("{}")
    with pytest.raises(IntegrityError, match=r"words\.json"):
        load_system("mnist", "mvae_small", tmp_path)


def test_of_the_candidates_the_one_that_says_its_class_is_kept(tmp_path):
    path = tiny_system(tmp_path, system="mvae", side=6)
    about = json.loads((path / "words.json").read_text())
    damaged(path, "words.json", json.dumps({**about, "temperature": 30.0, "candidates": 5}).encode(), recorded=True)
    words = load_system("mnist", "mvae", tmp_path).words
    candidates, kept = words.drawn(2, 40, 6), words.tokens(2, 8, 6)
    said = words.posterior(candidates)
    assert np.allclose(np.exp(said).sum(1), 1)
    best = said[:, 2].reshape(8, 5).argmax(1)
    assert len(np.unique(best)) > 1 and np.array_equal(kept, candidates.reshape(8, 5, -1)[np.arange(8), best])
    assert (kept == 2).mean() > 1.5 * (candidates == 2).mean()
    assert np.array_equal(kept[:3], words.tokens(2, 3, 6))
    # Classes 0 and 9 both call for token 0: it speaks for each alike, and for no other.
    (about_zero,) = np.exp(words.posterior(np.zeros((1, 2), np.int64)))
    assert np.allclose(about_zero[[0, 9]], 0.5) and about_zero[1:9].max() < 1e-9


def test_latents_snap_to_the_medians_of_their_cells(systems):
    words = load_system("mnist", "mvae", systems).words
    latents = np.float32([[-3, -0.6, -0.4, 0.1, 0.4, 9]])
    assert words.snapped(latents).tolist() == [[-1, -1, 0, 0, 0, 1]]


@pytest.mark.parametrize(
    "change",
    [
        {"prompts": ["one"]}, {"positions": 3}, {"medians": [0.0]}, {"temperature": -1}, {"guidance": -1}, {"codebook": 8},
        {"candidates": 0}, {"ids": [[0]]}, {"table": {}}, {"start_token": None},
    ],
)  # fmt: skip
def test_words_that_do_not_fit_the_system_are_refused(tmp_path, change):
    path = tiny_system(tmp_path, system="mvae", side=6)
    about = json.loads((path / "words.json").read_text())
    damaged(path, "words.json", json.dumps({**about, **change}).encode(), recorded=True)
    with pytest.raises(IntegrityError, match=r"words\.json"):
        load_system("mnist", "mvae", tmp_path)
