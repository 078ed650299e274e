"""Where the weights come from: a finished training run, or an entry of the zoo that is exported again."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import MarianConfig, MarianMTModel

from mvae.config import Seq2SeqConfig, VaeConfig
from mvae.data.sources import SOURCES
from mvae.engine.memory import MEMORY
from mvae.engine.options import Options
from mvae.errors import DataError, ExportError
from mvae.models.mvae import MVAE
from mvae.models.seq2seq import build_seq2seq
from mvae.training.checkpoint import load_weights
from zoo import manifest

WEIGHTS_LICENCE = "Apache-2.0"
EMOJI_SETS = ("emoji", "emoji-sample.tar")
"""Names of the data sets that are made of :data:`mvae.data.sources.SOURCES`."""


@dataclass
class Source:
    """Everything that an entry is made from. Weights are float32 but hold float16 values (see :func:`round_to_half`)."""

    name: str
    vae: MVAE
    seq2seq: MarianMTModel
    tokenizer: bytes
    """Content of ``tokenizer.json``."""
    training: dict
    licence: str
    credits: tuple[str, ...]
    data: str | None = None
    """Data set of the run, as its recipe names it."""
    folder: Path = field(default_factory=Path)
    memory: bytes | None = None
    """Content of ``memory.npz`` where the seq2seq reads a memory."""


def load_run(run: Path, name: str, *, licence: str | None = None, credits: tuple[str, ...] | None = None) -> Source:
    """The finished run in ``run``, to be exported as the entry ``name``.

    ``credits`` are needed where the pictures were not the emoji set. Raises :class:`DataError` for a missing or foreign file.
    """
    facts = _json(run / "run.json")
    data = facts.get("data", {})
    if credits is None:
        if data.get("name") not in EMOJI_SETS:
            raise DataError(f"{run}: trained on {data.get('name')!r}; give the credits of these pictures (--credits FILE, "
                            "one line for each source)")
        credits = emoji_credits()
    vae = MVAE(VaeConfig.from_dict(_json(run / "vae_config.json")))
    load_exactly(vae, run / "vae.safetensors")
    config = Seq2SeqConfig.from_dict(_json(run / "seq2seq_config.json"))
    seq2seq = build_seq2seq(config)
    load_exactly(seq2seq, run / "model.safetensors")
    recommend(seq2seq, config)
    recipe = facts.get("recipe", {})
    return Source(name, round_to_half(vae), round_to_half(seq2seq), _bytes(run / "tokenizer.json"), facts,
                  licence or WEIGHTS_LICENCE, credits, recipe.get("data"), run, _memory(run, seq2seq))


def load_entry(entry: Path) -> Source:
    """The weights stored in a zoo entry, which are checked against its manifest first; its graphs are not looked at.

    Raises :class:`~mvae.errors.IntegrityError` for a file that differs or is missing.
    """
    listed = manifest.read(entry)
    needed = ("vae_config.json", "vae.safetensors", "config.json", "generation_config.json", "model.safetensors",
              "tokenizer.json", *({MEMORY} & set(listed.files)))
    manifest.verify(entry, listed, names=needed)
    vae = MVAE(VaeConfig.from_dict(_json(entry / "vae_config.json")))
    load_exactly(vae, entry / "vae.safetensors")
    seq2seq = MarianMTModel(MarianConfig.from_pretrained(entry))
    load_exactly(seq2seq, entry / "model.safetensors")
    seq2seq.generation_config = type(seq2seq.generation_config).from_pretrained(entry)
    # transformers drops what it does not know; without it the entry made again would draw with another guidance.
    stored = _json(entry / "generation_config.json")
    if "guidance" in stored:
        seq2seq.generation_config.guidance = stored["guidance"]
    data = listed.training.get("recipe", {}).get("data")
    return Source(listed.name, round_to_half(vae), round_to_half(seq2seq), _bytes(entry / "tokenizer.json"), listed.training,
                  listed.licence, listed.credits, data, entry, _memory(entry, seq2seq))


def recommend(seq2seq: MarianMTModel, config: Seq2SeqConfig) -> None:
    """Writes the options to draw with into the model's generation configuration, where the engine finds them.

    ``guidance`` is not transformers' ``guidance_scale``, which knows decoders without an encoder only.
    """
    options, settings = Options.usual(config.memory), seq2seq.generation_config
    settings.do_sample, settings.temperature = True, options.temperature
    settings.top_k, settings.guidance = min(options.top_k, config.codebook), options.guidance


def _memory(folder: Path, seq2seq: MarianMTModel) -> bytes | None:
    return _bytes(folder / MEMORY) if getattr(seq2seq.config, "memory", 0) else None


def load_exactly(module: nn.Module, path: Path) -> None:
    """:func:`mvae.training.checkpoint.load_weights`, then second names of tied tensors. Raises as it does."""
    load_weights(module, path)
    if hasattr(module, "tie_weights"):
        module.tie_weights()


def round_to_half(module):
    """Round every weight to the nearest float16, in place, and switch to evaluation.

    float16 is the one stored form of the weights: a run and, later, the entry made from it then give the same graphs.
    Raises :class:`ExportError` for a weight beyond float16's range.
    """
    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if tensor.is_floating_point():
                half = tensor.half()
                if not torch.isfinite(half).all():
                    raise ExportError(f"{name}: largest magnitude {tensor.abs().max():.3g} does not fit float16 (at most 65504)")
                tensor.copy_(half)
    return module.eval()


def half_state(module: nn.Module) -> dict[str, Tensor]:
    """Float tensors of the state dictionary as float16, contiguous."""
    return {name: tensor.half().contiguous() for name, tensor in module.state_dict().items() if tensor.is_floating_point()}


def emoji_credits() -> tuple[str, ...]:
    """One line for each drawing style that models of the zoo are trained on."""
    return tuple(f"{source.credit} ({source.licence}), {source.package.name} {source.package.version}"
                 for source in SOURCES if source.role == "train")


def _json(path: Path) -> dict:
    try:
        return json.loads(_bytes(path))
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error})") from None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); expected a finished run or an entry") from None
