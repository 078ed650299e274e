"""The judge: network, views, training and the committed weights."""

import json

import numpy as np
import pytest
import torch
from evaluate_data import sample_folder
from safetensors.torch import load_file

from mvae.errors import DataError, ImageError, IntegrityError
from mvae.evaluate import train_judge
from mvae.evaluate.augment import augment
from mvae.evaluate.drawings import Drawings, load_drawings
from mvae.evaluate.judge import VARIANT, Judge, judge_images
from mvae.models.efficientnet_lite import Backbone, ConvNorm, load_imagenet


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge()


def drawings_of(count: int, styles: tuple[str, ...]) -> Drawings:
    """Flat squares: concept = colour, style = size."""
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 255, (count, 3), np.uint8)
    rgba = np.zeros((count * len(styles), 128, 128, 4), np.uint8)
    rows = []
    for number in range(len(rgba)):
        concept, style = number % count, number // count
        inset = 20 + 12 * style
        rgba[number, inset:-inset, inset:-inset] = [*colours[concept], 255]
        rows.append((f"{concept:04x}", f"colour {concept}", "objects", styles[style], "train"))
    return Drawings(rgba, *(np.array(column) for column in zip(*rows, strict=True)))


def test_folding_keeps_the_output():
    torch.manual_seed(0)
    layer = ConvNorm(3, 8, 3, 2).eval()
    torch.nn.init.uniform_(layer.norm.running_mean), torch.nn.init.uniform_(layer.norm.running_var, 0.5, 2)
    torch.nn.init.uniform_(layer.norm.weight, 0.5, 2), torch.nn.init.uniform_(layer.norm.bias)
    image = torch.randn(2, 3, 15, 15)
    before = layer(image)
    layer.fold()
    assert torch.allclose(layer(image), before, atol=1e-6)
    assert before.shape == (2, 8, 8, 8)


def test_lower_and_upper_blocks_make_the_whole():
    backbone = Backbone(VARIANT).fold().eval()
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(backbone.upper(backbone.lower(image, 11), 11), backbone(image))


def test_imagenet_weights_fill_the_network():
    backbone = load_imagenet(VARIANT)
    assert not torch.allclose(backbone.head.conv.weight, Backbone(VARIANT).head.conv.weight)
    with torch.no_grad():
        features = backbone(torch.zeros(1, 3, 64, 64))
    assert features.shape == (1, 1280)
    assert torch.isfinite(features).all()


def test_views_are_random_but_repeatable():
    drawing = torch.from_numpy(drawings_of(4, ("a",)).rgba)
    flip = torch.ones(4, dtype=torch.bool)
    first, again, other = (augment(drawing, flip, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.shape == (4, 3, 128, 128)
    assert first.min() >= 0
    assert first.max() <= 255


def test_hidden_colours_never_show_in_a_view():
    drawing = torch.zeros(8, 128, 128, 4, dtype=torch.uint8)
    tinted = drawing.clone()
    tinted[..., 0] = 255
    flip = torch.ones(8, dtype=torch.bool)
    plain, other = (augment(pixels, flip, torch.Generator().manual_seed(3)) for pixels in (drawing, tinted))
    assert torch.equal(plain, other)


def test_what_names_a_side_is_not_flipped():
    drawings = drawings_of(5, ("a",))
    labels = np.array(["left arrow", "cat", "one o'clock", "flag: wales", "backhand index pointing right"])
    groups = np.array(["symbols", "animals-nature", "travel-places", "flags", "people-body"])
    marked = Drawings(drawings.rgba, drawings.concept, labels, groups, drawings.style, drawings.split)
    assert train_judge.may_flip(marked).tolist() == [False, True, False, False, False]


def test_training_resumes_to_the_same_weights_and_learns(tmp_path, monkeypatch):
    torch.set_num_threads(1)
    drawings = drawings_of(6, ("a", "b", "c"))
    kept = drawings.style != "c"

    def train(folder, epochs=2):
        return train_judge.train_judge(
            drawings, kept, tmp_path / folder, tmp_path / folder / "judge.safetensors", 1, epochs, 1e-3, 5
        )

    whole = train("whole")
    stored = train_judge._store

    def stop_after_first(path, tuned, optimizer, epochs_done):
        stored(path, tuned, optimizer, epochs_done)
        raise KeyboardInterrupt

    monkeypatch.setattr(train_judge, "_store", stop_after_first)
    with pytest.raises(KeyboardInterrupt):
        train("stopped")
    monkeypatch.setattr(train_judge, "_store", stored)
    train("stopped")
    first, second = (load_file(tmp_path / folder / "judge.safetensors") for folder in ("whole", "stopped"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    untuned = train("whole", epochs=0)
    assert any((a != b).any() for a, b in zip(whole.head.directions, untuned.head.directions, strict=True))
    report = train_judge.ceilings(untuned, drawings.take(~kept))
    assert report["top_5"] > 0.9  # of six colours, in an unseen size
    assert report["top_1_by_style"].keys() == {"c"}


def test_an_unknown_style_to_leave_out_is_refused(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(train_judge, "load_drawings", lambda folder, role: drawings_of(2, ("a",)))
    assert train_judge.main(["--leave-out", "zzz", "--work", str(tmp_path)]) == 2
    assert "no such judge style" in capsys.readouterr().err


def test_the_committed_judge_was_trained_on_judge_styles_only(judge):
    about = json.loads(judge.metadata["training"])
    assert set(about["styles"]) == {"emojione", "emojione-v1", "fxemoji", "noto-v1", "openmoji", "streamline"}
    assert len(set(judge.concepts)) == len(judge.concepts) > 1900


def test_the_committed_judge_recognises_drawings_of_styles_it_never_saw(judge, tmp_path):
    report = train_judge.ceilings(judge, load_drawings(sample_folder(tmp_path), "train"))
    assert report["samples"] > 50
    assert report["top_1"] > 0.25
    assert report["top_5"] > report["top_1"]


def test_the_judge_sees_only_what_is_visible(judge):
    drawings = drawings_of(3, ("a",)).rgba
    tinted = drawings.copy()
    tinted[drawings[..., 3] == 0, :3] = 77
    assert np.array_equal(judge_images(drawings, judge), judge_images(tinted, judge))


def test_embeddings_have_unit_length_at_any_image_size(judge):
    small = drawings_of(2, ("a",)).rgba[:, ::2, ::2]
    assert np.linalg.norm(judge.embed(small), axis=1) == pytest.approx([1, 1], abs=1e-5)


def test_ranks_count_better_and_equal_concepts(judge):
    logits = np.zeros((2, len(judge.concepts)), np.float32)
    logits[0, 3], logits[1, 5], logits[1, 6] = 1, 1, 2
    assert judge.ranks(logits, np.array(judge.concepts)[[3, 5]]).tolist() == [0, 1]
    assert judge.ranks(logits, np.array(judge.concepts)[[4, 6]]).tolist() == [len(judge.concepts) - 1, 0]
    with pytest.raises(DataError, match="unknown to the judge"):
        judge.ranks(logits, np.array(["no such concept"] * 2))


@pytest.mark.parametrize("images", [np.zeros((1, 8, 8, 3), np.uint8), np.zeros((1, 8, 8, 4)), np.zeros((8, 8, 4), np.uint8)])
def test_images_of_another_kind_are_refused(judge, images):
    with pytest.raises(ImageError, match="expected uint8"):
        judge.embed(images)


def test_missing_and_foreign_weights(tmp_path):
    with pytest.raises(DataError, match="train_judge"):
        Judge(tmp_path / "judge.safetensors")
    (tmp_path / "judge.safetensors").write_bytes(b"not safetensors at all")
    with pytest.raises(IntegrityError, match="not the weights of a judge"):
        Judge(tmp_path / "judge.safetensors")
