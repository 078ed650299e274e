"""Recipes: small Python files, each with one ``RECIPE``, that hold every decision of a training run."""

import importlib.util
from dataclasses import asdict, dataclass
from pathlib import Path

from mvae.config import Seq2SeqConfig, VaeConfig
from mvae.errors import DataError
from mvae.training.controllers import Control


@dataclass(frozen=True)
class Schedule:
    """How one stage is optimised."""

    steps: int
    batch: int
    """Pictures per step, over all processes."""
    learning_rate: float
    warmup: int = 200
    """Steps of linear warm-up; a cosine down to ``floor`` follows."""
    floor: float = 0.02
    """Final learning rate as a share of the peak."""
    weight_decay: float = 0.01
    clip: float = 1.0
    """Largest gradient norm."""
    ema: float = 0.999
    optimiser: str = "adamw"
    """``adamw``; or ``muon``: Muon for the hidden matrices and kernels, AdamW for the rest."""
    hidden_learning_rate: float | None = None
    """Muon's peak rate; ``learning_rate`` where it is not given."""
    precision: str = "auto"
    """``bf16``, ``fp32``, or ``auto``: the faster one here, measured when the run begins."""
    checkpoint_minutes: float = 3.0
    sheet_minutes: float = 5.0
    seed: int = 0


@dataclass(frozen=True)
class VaeStage:
    """Training of the VAE."""

    config: VaeConfig
    schedule: Schedule
    rate_nats: float = 330.0
    """KL per image that the controller holds, in nats; below what the tokens can carry."""
    beta: float = 1e-4
    """Initial weight of the KL (nats) against the distortion (a mean over pixels)."""
    beta_gain: float = 0.002
    """How fast the controller moves log β, per step, for a KL off by its whole target."""
    noisy_share: float = 0.4
    """Share of images whose decoder sees z ~ q(z|x) instead of the token's ẑ. Without them nothing but the KL would shape σ."""
    frozen_latent: str | None = None
    """Folder of a frozen latent whose reference encoder is taken as it is: the decoder alone is trained, on exact tokens."""
    distilled_latent: str | None = None
    """Folder of a frozen latent whose reference encoder is the teacher of a smaller one; the decoder is trained on the
    reference's tokens. Instead of ``frozen_latent``."""
    distillation: float = 1e-3
    """Weight of the divergence from the teacher's posterior, in nats per image."""
    prune: float = 0.0
    """λ_prune: weight of the group lasso over the channels inside the decoder's residual blocks, and the encoder's where it
    learns; 0 leaves it out, unless a control of ``prune`` says otherwise."""
    quantise: float = 0.0
    """λ_quant: weight of the convolutions' distance from their 8-bit grids."""
    sparse: float = 0.0
    """λ_sparse: weight of ‖mean‖₁ of the latent code."""
    fake_quantise: bool = False
    """The decoder computes as in int8 (:mod:`mvae.models.fake_quantise`), BatchNorm standing still: for a last, short run."""
    controls: tuple[Control, ...] = ()
    """Controllers of these weights and of the learning rate; β has its own, made of ``rate_nats``, ``beta`` and ``beta_gain``."""
    composed_share: float = 0.0
    """Share of pictures that are compositions (:mod:`mvae.data.compose`): half of these show small things."""
    augmented: bool = True
    """Pictures are mirrored, moved, zoomed and turned in hue now and then; not where that makes something else of
    them (digits)."""
    freeze_encoder_from: float = 0.8
    """Fraction of the run after which the encoder stands still and the decoder is fine-tuned on exact tokens alone."""
    refined_from: float = 1.0
    """Fraction of the run after which posteriors are refined by a few gradient steps (semi-amortised, :mod:`mvae.models.refine`):
    the decoder learns from the refined ones, the encoder to give them at once. Costs as many decoder passes,
    and more."""
    refinement_steps: int = 3
    refinement: float = 1e-3
    """Weight of the encoder's divergence from the refined posterior, in nats per image."""
    freeze_statistics_from: float = 0.9
    """Fraction of the run after which the decoder's BatchNorm statistics stand still, as in use. Normalising by the batch hides
    rare latents whose activations explode under the running statistics: bright specks in the picture, and no room for int8."""
    gradient: float = 0.5
    squared: float = 2.0
    perceptual: float = 0.0
    """Weight of the perceptual distance (:mod:`mvae.models.perceptual`); 0 leaves it out."""
    perceptual_from: float = 0.0
    """Fraction of the run after which the perceptual distance counts: it costs a third of a step."""
    adversarial: float = 0.0
    """Weight of the patch discriminator's opinion (:mod:`mvae.models.discriminator`); 0 leaves the discriminator out."""
    matching: float = 0.0
    """Weight of the distance of the discriminator's activations."""
    adversarial_from: float = 0.9
    """Fraction of the run after which the discriminator learns and counts."""


@dataclass(frozen=True)
class Seq2SeqStage:
    """Training of the seq2seq on the tokens of the trained VAE."""

    config: Seq2SeqConfig
    schedule: Schedule
    teacher: str | None = None
    """Run or entry whose seq2seq, of the same text pieces and pages, is distilled."""
    distillation: float = 0.5
    """Share of the loss that is the divergence from the teacher's choice of tokens; the rest is the true ones'
    cross-entropy."""
    informed_start: bool = True
    """Begin with a table and attention that know the latent (:mod:`mvae.models.seq2seq_start`), not at random."""
    views: int = 3
    """Augmented views of each picture that are tokenised beside the original."""
    original_share: float = 0.6
    """Share of draws that use the picture as it was drawn."""
    posterior_share: float = 0.3
    """Share of draws whose tokens are sampled from the posterior's cell masses instead of its mean's cells."""
    input_noise: float = 0.0
    """Largest share of the tokens read back that are swapped for those of another picture at the same place; every picture draws
    its share from 0 to this. What is to be written stays true: the model learns to go on well after a token it would not have
    written, as it must when it draws freely."""
    memory_candidates: int = 12
    """Stickers with the nearest captions, the picture itself left out, among which ``config.memory`` are drawn."""
    drop_memory: float = 0.1
    """Share of captions with text but without memory."""
    drop_text: float = 0.1
    """Share of captions replaced by the empty text, without memory, for classifier-free guidance."""
    drop_style: float = 0.15
    """Share of captions without a style word: the model then chooses the style itself."""
    word_augmentation: float = 0.25
    """Share of captions that are said in other words: a tag, or the label with a tag."""
    new_tokenizer: bool = False
    """A warm start learns text pieces of its own instead of taking over those of its beginning."""
    languages: float = 0.0
    """Share of captions in another language, where the data set knows any."""
    sentences: float = 0.0
    """Share of English captions inside a sentence ("please draw a cat"), in another order, or mistyped; a third each."""
    scenes: int = 0
    """Compositions that are learned from beside the pictures (:mod:`mvae.data.compose`)."""
    scene_share: float = 0.0
    """Share of draws that use a composition or a skin tone."""
    distracted: float = 0.1
    """Share of draws that read a sticker more than the caption names, where there is room for one."""


@dataclass(frozen=True)
class Recipe:
    """One run: both stages over one data set."""

    name: str
    data: str
    vae: VaeStage
    seq2seq: Seq2SeqStage

    def to_dict(self) -> dict:
        return asdict(self)


def load_recipe(name: str) -> Recipe:
    """A recipe by name (a file in ``mvae/training/recipes``) or by path.

    Raises :class:`DataError` where there is no such file or it defines no ``RECIPE``.
    """
    path = Path(name) if name.endswith(".py") else Path(__file__).parent / "recipes" / f"{name}.py"
    if not path.is_file():
        known = sorted(p.stem for p in (Path(__file__).parent / "recipes").glob("*.py") if p.stem != "__init__")
        raise DataError(f"recipe {name!r}: no such file; expected one of {known} or the path of a Python file")
    spec = importlib.util.spec_from_file_location(f"mvae_recipe_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    recipe = getattr(module, "RECIPE", None)
    if not isinstance(recipe, Recipe):
        raise DataError(f"{path}: RECIPE is {type(recipe).__name__}, expected mvae.training.recipe.Recipe")
    return recipe
