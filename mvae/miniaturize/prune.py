"""Structured pruning: channels and layers that are really removed. The result is a smaller module with its own configuration,
which stock kernels run faster (paper, 15 and 16, where zeroed weights make nothing faster).

    python -m mvae.miniaturize.prune --start zoo/models/small --decoder 0.5 --feed-forward 0.5 --out runs/pruned-start

What is removed follows Torch-Pruning's dependency graph (Fang et al. 2023): a channel goes with all that it feeds and all that it
is added to; the channels whose weights are smallest in all of these go first. Fine-tune afterwards, and repeat.
"""

import argparse
import copy
import json
import sys
from dataclasses import replace
from pathlib import Path

import torch
import torch_pruning as tp
from torch import Tensor, nn
from transformers import MarianMTModel

from mvae.config import VaeConfig
from mvae.errors import DataError, MvaeError, OptionError
from mvae.files import write_atomic
from mvae.models.blocks import ResidualBlock, Shortcut
from mvae.models.mvae import MVAE, Decoder, Encoder
from mvae.models.seq2seq import from_marian
from mvae.training.checkpoint import save_tensors, unique_state
from mvae.training.frozen_latent import stored_vae
from mvae.training.warm_start import any_stored_seq2seq

ROUND_TO = 8
"""Channels are left in multiples of this: int8 kernels work through so many at a time."""


def prune_vae(vae: MVAE, *, encoder: float = 0.0, decoder: float = 0.0) -> MVAE:
    """A VAE without the given shares (0 … below 1) of the channels of its encoder and decoder, weights kept otherwise.

    The tokens, the latent's coordinates and the two last convolutions stay what they are. Raises OptionError for a share out of
    range.
    """
    for name, share in (("encoder", encoder), ("decoder", decoder)):
        if not 0 <= share < 1:
            raise OptionError(f"share of the {name}'s channels to remove is {share}; expected 0 to below 1")
    config, latent = vae.config, vae.config.latent
    image = torch.rand(1, 4, config.image_size, config.image_size)
    latents = torch.randn(1, latent.channels, *latent.shape)
    halves = {
        "encoder": _pruned(vae.encoder, image, encoder, (vae.encoder.head,)),
        "decoder": _pruned(vae.decoder, latents, decoder, (vae.decoder.tail[0][0], vae.decoder.tail[3])),
    }
    small = MVAE(_configured(config, halves["encoder"], halves["decoder"]))
    for half, module in halves.items():
        getattr(small, half).load_state_dict(module.state_dict())
    return small.eval()


def _pruned(half: nn.Module, example: Tensor, share: float, kept: tuple[nn.Module, ...]) -> nn.Module:
    """A copy without a share of its channels; modules ``kept`` keep all that they give."""
    names = {module: name for name, module in half.named_modules()}
    plain = copy.deepcopy(half).eval().requires_grad_(True)  # the dependency graph is read from gradients: none, no graph
    if not share:
        return plain
    ignored = [plain.get_submodule(names[module]) for module in kept]
    resampled = _resampling_as_convolutions(plain)
    with torch.enable_grad():
        tp.BasePruner(
            plain, example, tp.importance.GroupMagnitudeImportance(p=2), pruning_ratio=share, ignored_layers=ignored,
            round_to=ROUND_TO, root_module_types=[nn.Conv2d],
        ).step()
    _resampling_as_shuffles(resampled)
    return plain


def _resampling_as_convolutions(module: nn.Module) -> list[Shortcut]:
    """Replaces 1×1 convolutions beside pixel shuffles by the equal convolutions of stride 2: the dependency graph takes a shuffle
    for an operation that keeps its channels apart. Returns what was changed."""
    found = [part for part in module.modules() if isinstance(part, Shortcut)]
    for part in found:
        mix = next(layer for layer in part.shortcut if isinstance(layer, nn.Conv2d))
        weight = mix.weight.data
        if isinstance(part.shortcut[-1], nn.PixelShuffle):
            made = nn.ConvTranspose2d(weight.shape[1], weight.shape[0] // 4, 2, stride=2, bias=False)
            made.weight.data = weight[..., 0, 0].view(-1, 2, 2, weight.shape[1]).permute(3, 0, 1, 2).contiguous()
        else:
            made = nn.Conv2d(weight.shape[1] // 4, weight.shape[0], 2, stride=2, bias=False)
            made.weight.data = weight[..., 0, 0].view(weight.shape[0], -1, 2, 2).contiguous()
        part.shortcut = nn.Sequential(made)
    return found


def _resampling_as_shuffles(shortcuts: list[Shortcut]) -> None:
    """The way back of :func:`_resampling_as_convolutions`."""
    for part in shortcuts:
        weight = part.shortcut[0].weight.data
        if isinstance(part.shortcut[0], nn.ConvTranspose2d):
            flat = weight.permute(1, 2, 3, 0).reshape(-1, weight.shape[0])
            part.shortcut = nn.Sequential(_mix(flat), nn.PixelShuffle(2))
        else:
            part.shortcut = nn.Sequential(nn.PixelUnshuffle(2), _mix(weight.reshape(len(weight), -1)))


def _mix(weight: Tensor) -> nn.Conv2d:
    made = nn.Conv2d(weight.shape[1], weight.shape[0], 1, bias=False)
    made.weight.data = weight[..., None, None].contiguous()
    return made


def _configured(config: VaeConfig, encoder: Encoder, decoder: Decoder) -> VaeConfig:
    """The configuration that builds modules of these shapes."""
    found: dict = {"decoder_tail": decoder.tail[3].in_channels}
    for name, half in (("encoder", encoder), ("decoder", decoder)):
        stages = [part for part in half.trunk if isinstance(part, nn.Sequential)]
        blocks = [block for part in stages for block in part if isinstance(block, ResidualBlock)]
        found[f"{name}_hidden"] = tuple(block.first[0].out_channels for block in blocks)
        ends = [[layer for layer in part.modules() if isinstance(layer, nn.BatchNorm2d)][-1] for part in stages]
        found[f"{name}_widths"] = tuple(layer.num_features for layer in ends)
    return replace(config, **found)


def prune_feed_forward(model: MarianMTModel, share: float) -> MarianMTModel:
    """A seq2seq whose layers lack the given share (0 … below 1) of the inner units of their feed-forward parts, in eights: those
    that contribute least by the norms of the weights that lead to and from them.

    Every layer keeps as many, since the stock configuration knows one width. Raises OptionError for a share out of range.
    """
    if not 0 <= share < 1:
        raise OptionError(f"share of the feed-forward units to remove is {share}; expected 0 to below 1")
    config = copy.deepcopy(model.config)
    width = max(ROUND_TO, round(config.encoder_ffn_dim * (1 - share) / ROUND_TO) * ROUND_TO)
    config.encoder_ffn_dim = config.decoder_ffn_dim = width
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for half in (model.get_encoder(), model.get_decoder()):
        for layer in half.layers:
            strength = layer.fc1.weight.norm(dim=1) * layer.fc2.weight.norm(dim=0)
            kept = strength.argsort(descending=True)[:width].sort().values
            prefix = next(name for name, module in model.named_modules() if module is layer)
            state[f"{prefix}.fc1.weight"], state[f"{prefix}.fc1.bias"] = layer.fc1.weight[kept], layer.fc1.bias[kept]
            state[f"{prefix}.fc2.weight"] = layer.fc2.weight[:, kept]
    return _rebuilt(config, state)


def remove_layers(model: MarianMTModel, *, encoder: tuple[int, ...] = (), decoder: tuple[int, ...] = ()) -> MarianMTModel:
    """A seq2seq without the given layers (counted from 0). Raises OptionError where one is not there, or none would be left."""
    config, state = copy.deepcopy(model.config), model.state_dict()
    for half, gone in (("encoder", set(encoder)), ("decoder", set(decoder))):
        count = getattr(config, f"{half}_layers")
        if not gone <= set(range(count)) or len(gone) == count:
            raise OptionError(f"layers {sorted(gone)} of a {half} with {count}; expected some of these, not all")
        kept = [layer for layer in range(count) if layer not in gone]
        setattr(config, f"{half}_layers", len(kept))
        prefix = f"model.{half}.layers."
        layers = {name: tensor for name, tensor in state.items() if name.startswith(prefix)}
        state = {name: tensor for name, tensor in state.items() if name not in layers}
        for place, layer in enumerate(kept):
            own = f"{prefix}{layer}."
            state |= {f"{prefix}{place}.{name.removeprefix(own)}": t for name, t in layers.items() if name.startswith(own)}
    config.num_hidden_layers = config.encoder_layers
    return _rebuilt(config, state)


def _rebuilt(config, state: dict[str, Tensor]) -> MarianMTModel:
    model = from_marian(config)
    model.load_state_dict(state)
    return model.eval()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m mvae.miniaturize.prune", description=__doc__)
    parser.add_argument("--start", type=Path, required=True, help="zoo entry to prune")
    parser.add_argument("--encoder", type=float, default=0.0, help="share of the encoder's channels to remove")
    parser.add_argument("--decoder", type=float, default=0.0, help="share of the decoder's channels to remove")
    parser.add_argument("--feed-forward", type=float, default=0.0, help="share of the seq2seq's inner units to remove")
    parser.add_argument("--encoder-layers", type=int, nargs="*", default=(), help="layers of the seq2seq's encoder to remove")
    parser.add_argument("--decoder-layers", type=int, nargs="*", default=(), help="layers of the seq2seq's decoder to remove")
    parser.add_argument("--out", type=Path, required=True, help="folder that training may begin with (--warm-start)")
    parser.add_argument("--seq2seq", type=Path, help="entry with the seq2seq to prune, where START is a run of a VAE alone")
    args = parser.parse_args(argv)
    try:
        shares = (args.encoder, args.decoder, args.feed_forward)
        layers = {"encoder": tuple(args.encoder_layers), "decoder": tuple(args.decoder_layers)}
        print(json.dumps(prune_entry(args.start, args.out, *shares, layers, args.seq2seq)))
    except MvaeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def prune_entry(
    start: Path, out: Path, encoder: float, decoder: float, feed_forward: float,
    layers: dict[str, tuple[int, ...]] | None = None, seq2seq: Path | None = None,
) -> dict:
    """Prune the entry ``start`` into the folder ``out``. Returns the widths that a recipe for fine-tuning has to name.

    ``layers``: layers of the seq2seq's "encoder" and "decoder", counted from 0, that are removed. ``seq2seq``: the entry that
    the seq2seq is taken from, where it is not ``start``. Raises :class:`DataError` where one is no entry, OptionError for shares
    or layers out of range.
    """
    words = seq2seq or start
    model = any_stored_seq2seq(words)
    try:
        tokenizer = (words / "tokenizer.json").read_bytes()
    except OSError as error:
        raise DataError(f"{words}: not a zoo entry ({error})") from None
    vae, model = prune_vae(stored_vae(start), encoder=encoder, decoder=decoder), prune_feed_forward(model, feed_forward)
    model = remove_layers(model, **(layers or {}))
    write_atomic(out / "vae_config.json", json.dumps(vae.config.to_dict(), indent=1).encode())
    write_atomic(out / "config.json", (json.dumps(model.config.to_dict(), indent=1) + "\n").encode())
    write_atomic(out / "tokenizer.json", tokenizer)
    save_tensors(out / "vae.safetensors", {n: t for n, t in unique_state(vae).items() if t.is_floating_point()})
    save_tensors(out / "model.safetensors", unique_state(model))
    widths = {name: value for name, value in vae.config.to_dict().items() if name.endswith(("_widths", "_hidden", "_tail"))}
    return {**widths, "feed_forward": model.config.encoder_ffn_dim, **{
        name: getattr(model.config, name) for name in ("encoder_layers", "decoder_layers")
    }}


if __name__ == "__main__":
    sys.exit(main())
