"""Channels, units and layers that are really removed."""

import copy
import json
from dataclasses import replace

import pytest
import torch

from mvae.config import VaeConfig
from mvae.errors import DataError, OptionError
from mvae.miniaturize.prune import (
    _resampling_as_convolutions,
    _resampling_as_shuffles,
    main,
    prune_feed_forward,
    prune_vae,
    remove_layers,
)
from mvae.models.mvae import MVAE
from mvae.models.seq2seq import TEXT_END, build_seq2seq, marian_config
from mvae.training.checkpoint import save_tensors, unique_state
from mvae.training.frozen_latent import stored_vae
from tests.training.tiny_source import SEQ2SEQ

VAE = VaeConfig(
    image_size=64, patch=4, grid=8, levels=4, latent_id="test", encoder_widths=(32, 48), encoder_blocks=(1, 2),
    decoder_widths=(48, 32), decoder_blocks=(2, 1), shortcuts=True,
)


def weak(vae: MVAE, share: float, factor: float) -> MVAE:
    """``vae`` whose every first convolution of a block has a share of channels that hardly count."""
    with torch.no_grad():
        for name, module in vae.named_modules():
            if name.endswith("first.0"):
                module.weight[: int(share * len(module.weight))] *= factor
            if name.endswith("first.1"):
                module.bias[: int(share * len(module.bias))] *= factor
                module.weight[: int(share * len(module.weight))] *= factor
    return vae


@pytest.fixture(scope="module")
def vae() -> MVAE:
    """With statistics and weights under which every layer matters."""
    torch.manual_seed(0)
    made = MVAE(VAE)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn_like(parameter) + 0.5)
        for _ in range(10):
            made.decoder(made.latents_from_tokens(torch.randint(0, VAE.latent.codebook, (4, 64))))
            made.encoder(torch.rand(4, 4, 64, 64))
    return made.eval()


def test_pruning_nothing_changes_nothing(vae):
    same = prune_vae(vae)
    image = torch.rand(2, 4, 64, 64)
    assert torch.equal(same.encode_tokens(image), vae.encode_tokens(image))
    assert torch.equal(same.decode_tokens(vae.encode_tokens(image)), vae.decode_tokens(vae.encode_tokens(image)))


def test_channels_go_and_the_configuration_builds_what_is_left(vae):
    small = prune_vae(vae, encoder=0.25, decoder=0.5)
    config = small.config
    assert config.decoder_widths == (24, 16) and config.decoder_hidden == (24, 24, 16) and config.decoder_tail == 16
    assert all(width % 8 == 0 for width in (*config.encoder_widths, *config.encoder_hidden))
    assert config.encoder_widths[1] < 48 and config.latent == VAE.latent
    before, after = (sum(p.numel() for p in m.decoder.parameters()) for m in (vae, small))
    assert after < 0.4 * before
    again = MVAE(VaeConfig.from_dict(json.loads(json.dumps(config.to_dict())))).eval()
    again.load_state_dict(small.state_dict())
    tokens = small.encode_tokens(torch.rand(2, 4, 64, 64))
    assert tokens.shape == (2, 64) and small.decode_tokens(tokens).shape == (2, 4, 64, 64)
    assert torch.equal(again.decode_tokens(tokens), small.decode_tokens(tokens))


def test_weights_that_stand_still_are_pruned_alike(vae):
    still = copy.deepcopy(vae).requires_grad_(False)
    assert prune_vae(still, encoder=0.25, decoder=0.5).config == prune_vae(vae, encoder=0.25, decoder=0.5).config


def test_what_hardly_counts_goes_first(vae):
    """Half of the hidden channels are nearly dead; without exactly them the picture stays."""
    faint = weak(copy.deepcopy(vae), 0.5, 1e-4)
    small = prune_vae(faint, decoder=0.5)
    for name, module in small.decoder.named_modules():
        if name.endswith("first.0"):
            kept = module.weight.flatten(1).norm(dim=1)
            whole = faint.decoder.get_submodule(name).weight.flatten(1).norm(dim=1)
            assert kept.min() > 100 * whole.min(), name


def test_resampling_survives_the_way_there_and_back(vae):
    """As strided convolutions the shortcuts compute the same; removing one channel of one stage leaves the others alone."""
    for half, example in ((vae.encoder, torch.rand(1, 4, 64, 64)), (vae.decoder, torch.randn(1, 4, 8, 8))):
        copied = copy.deepcopy(half)
        expected = half(example)
        changed = _resampling_as_convolutions(copied)
        assert changed
        torch.testing.assert_close(copied(example), expected, rtol=1e-4, atol=1e-4)
        _resampling_as_shuffles(changed)
        torch.testing.assert_close(copied(example), expected, rtol=1e-6, atol=1e-6)
        assert all(torch.equal(a, b) for a, b in zip(copied.state_dict().values(), half.state_dict().values(), strict=True))


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_shares_out_of_range_are_refused(vae, share):
    with pytest.raises(OptionError, match="expected 0 to below 1"):
        prune_vae(vae, decoder=share)
    with pytest.raises(OptionError, match="expected 0 to below 1"):
        prune_feed_forward(build_seq2seq(SEQ2SEQ), share)


def logits(model) -> torch.Tensor:
    ids, read = torch.tensor([[5, 9, TEXT_END]]), torch.tensor([[256, 3, 7]])
    with torch.no_grad():
        return model.eval()(input_ids=ids, decoder_input_ids=read, use_cache=False).logits


def test_units_that_do_nothing_can_go_unseen():
    torch.manual_seed(3)
    model = build_seq2seq(SEQ2SEQ)
    with torch.no_grad():
        for half in (model.get_encoder(), model.get_decoder()):
            for layer in half.layers:
                layer.fc2.weight[:, ::2] = 0
    small = prune_feed_forward(model, 0.5)
    assert small.config.encoder_ffn_dim == small.config.decoder_ffn_dim == 32 == len(small.get_encoder().layers[0].fc1.weight)
    torch.testing.assert_close(logits(small), logits(model), rtol=1e-5, atol=1e-5)


def test_layers_that_do_nothing_can_go_unseen():
    torch.manual_seed(3)
    model = build_seq2seq(replace(SEQ2SEQ, decoder_layers=3, encoder_layers=2))
    small = remove_layers(model, decoder=(1,), encoder=(0,))
    assert len(small.get_decoder().layers) == 2 and small.config.encoder_layers == 1
    kept = model.get_decoder().layers[2].fc1.weight
    assert torch.equal(small.get_decoder().layers[1].fc1.weight, kept)
    assert torch.equal(small.get_encoder().layers[0].fc1.weight, model.get_encoder().layers[1].fc1.weight)
    for layers in ((3,), (0, 1, 2)):
        with pytest.raises(OptionError, match="expected some of these"):
            remove_layers(model, decoder=layers)


def test_an_entry_becomes_a_beginning_for_training(vae, tmp_path, capsys):
    entry, out = tmp_path / "entry", tmp_path / "out"
    entry.mkdir()
    model = build_seq2seq(SEQ2SEQ)
    (entry / "vae_config.json").write_text(json.dumps(VAE.to_dict()))
    (entry / "config.json").write_text(json.dumps(marian_config(SEQ2SEQ).to_dict()))
    (entry / "tokenizer.json").write_text("{}")
    save_tensors(entry / "vae.safetensors", {n: t for n, t in unique_state(vae).items() if t.is_floating_point()})
    save_tensors(entry / "model.safetensors", unique_state(model))
    arguments = ["--start", str(entry), "--decoder", "0.5", "--feed-forward", "0.25", "--out", str(out)]
    assert main(arguments) == 0
    widths = json.loads(capsys.readouterr().out)
    assert widths["decoder_widths"] == [24, 16] and widths["feed_forward"] == 48 and widths["encoder_hidden"] == [32, 48, 48]
    assert stored_vae(out).config.decoder_widths == (24, 16) and (out / "model.safetensors").is_file()
    assert main(["--start", str(tmp_path), "--out", str(out)]) == 2
    with pytest.raises(DataError, match="expected one for each"):
        MVAE(replace(VAE, decoder_hidden=(8,)))
