"""Conditional generation accuracy and everything that stands beside it in ``evaluate``.

CGA is the share of stickers, drawn for a caption "STYLE label", of which an independent judge says first that they show the
requested concept. It is read against two ceilings on real drawings of the same (concept, style) pairs: as they are
(``real_ceiling``: what the judge can do at all), and after encode → tokens → decode with the same model (``token_ceiling``:
what perfect tokens would get).
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from mvae.engine.model import Model, load
from mvae.engine.options import Options, check_options
from mvae.errors import OptionError
from mvae.evaluate.ceilings import STATED_SIDE, by_part, hits, measure, recognition, resample
from mvae.evaluate.drawings import Stored, decode_drawings, list_drawings
from mvae.evaluate.draws import Draw, choose_pairs, draw_tokens
from mvae.evaluate.frechet import frechet_distance
from mvae.evaluate.judge import Judge

SAMPLES_MIN, SAMPLES_MAX = 2, 1_000_000


@dataclass(frozen=True)
class Request:
    """What to evaluate; None stands for the model's own default."""

    model: str
    samples: int
    data: Path
    seed: int = 0
    guidance: float | None = None
    temperature: float | None = None
    top_k: int | None = None
    zoo: Path | None = None
    workers: int = 1
    cache: Path = Path(".cache/evaluate")

    def __post_init__(self):
        if not SAMPLES_MIN <= self.samples <= SAMPLES_MAX:
            raise OptionError(f"samples is {self.samples}; expected {SAMPLES_MIN} to {SAMPLES_MAX}")
        if self.seed < 0:
            raise OptionError(f"seed is {self.seed}; expected a whole number from 0")


def _options(request: Request, model: Model) -> Options:
    return check_options(model.defaults, request.guidance, request.temperature, request.top_k, model.latent.codebook)


def decode_all(model: Model, tokens_NP: np.ndarray, name: str) -> np.ndarray:
    """Tokens → uint8 straight-alpha stickers [N, S, S, 4]."""
    return np.stack([np.asarray(model.decode(tokens)) for tokens in tqdm(tokens_NP, desc=name, unit="sticker", leave=False)])


def roundtrip_of(model: Model, name: str):
    def roundtrip(rgba_NSS4: np.ndarray) -> np.ndarray:
        progress = tqdm(rgba_NSS4, desc=name, unit="drawing", leave=False)
        return np.stack([np.asarray(model.decode(model.encode(Image.fromarray(rgba)))) for rgba in progress])

    return roundtrip


def generated_ranks(
    request: Request, judge: Judge, split: str = "train"
) -> tuple[np.ndarray, list[Stored], np.ndarray, Options]:
    """Draw and judge: rank of the right concept [N], the real drawings asked for [N], embeddings [N, D], and the options used.

    ``split`` "unseen": each drawing of a concept never trained on once, of which a model with a memory may read the drawing.
    """
    stickers, pairs, options = drawn_stickers(request, split)
    ranks, embeddings = recognition(judge, stickers, np.array([pair.concept for pair in pairs]), "judging stickers")
    return ranks, pairs, embeddings, options


def drawn_stickers(request: Request, split: str = "train") -> tuple[np.ndarray, list[Stored], Options]:
    """Stickers uint8 [N, S, S, 4], straight alpha, the real drawings asked for [N], and the options used."""
    model = load(request.model, threads=1, folder=request.zoo)
    options = _options(request, model)
    stored = list_drawings(request.data, "train")
    samples = request.samples if split == "train" else min(request.samples, sum(drawing.split == split for drawing in stored))
    pairs = [stored[number] for number in choose_pairs(stored, split, samples, request.seed)]
    draws = [Draw(pair.label, pair.style, request.seed + number) for number, pair in enumerate(pairs)]
    tokens_NP = draw_tokens(request.model, request.zoo, options, draws, request.cache, request.workers)
    return decode_all(model, tokens_NP, "decoding stickers"), pairs, options


def evaluate(request: Request, judge: Judge | None = None) -> dict:
    """Everything ``evaluate --json`` prints. Shares are 0 … 1, PSNR in dB; ``…_unseen`` are concepts that were never trained on.

    Raises OptionError, DataError, UnknownModelError or IntegrityError.
    """
    judge = judge or Judge()
    stickers, pairs, options = drawn_stickers(request)
    concepts = np.array([pair.concept for pair in pairs])
    ranks, embeddings = recognition(judge, stickers, concepts, "judging stickers")
    small = ranks  # sizes are compared at the smallest one's
    if stickers.shape[1] > STATED_SIDE:
        small = recognition(judge, resample(stickers, STATED_SIDE), concepts, f"judging stickers at {STATED_SIDE} px")[0]
    model = load(request.model, threads=1, folder=request.zoo)
    stored = list_drawings(request.data, "train")
    chosen = list(dict.fromkeys(choose_pairs(stored, "train", request.samples, request.seed)))
    unseen = [drawing for drawing in stored if drawing.split == "unseen"]
    through = roundtrip_of(model, "through tokens")
    seen = measure(judge, decode_drawings([stored[number] for number in chosen]), through, model.image_size, "trained")
    report = {
        "model": request.model,
        "samples": request.samples,
        "seed": request.seed,
        **asdict(options),
        "cga": hits(ranks, 1),
        "cga_5": hits(ranks, 5),
        f"cga_{STATED_SIDE}": hits(small, 1),
        "cga_by_style": by_part(ranks, np.array([pair.style for pair in pairs]), 1),
        "cga_by_group": by_part(ranks, np.array([pair.group for pair in pairs]), 1),
        "cga_of_token_ceiling": hits(ranks, 1) / max(seen["token_ceiling"], 1e-9),
    }
    report |= _ceilings(seen, "")
    report |= _quality(seen, "seen")
    if unseen:
        never = measure(judge, decode_drawings(unseen), through, model.image_size, "unseen")
        report |= _ceilings(never, "_unseen") | _quality(never, "unseen")
        drawn = generated_ranks(request, judge, "unseen")[0]
        report |= {"cga_unseen": hits(drawn, 1), "cga_5_unseen": hits(drawn, 5)}
    report["frechet"] = frechet_distance(embeddings, seen["real_embeddings"])
    report["frechet_floor"] = frechet_distance(seen["token_embeddings"], seen["real_embeddings"])
    report["judge"] = judge.digest
    return report


def _ceilings(measured: dict, suffix: str) -> dict:
    names = (
        "token_ceiling",
        "token_ceiling_5",
        "token_ceiling_by_style",
        "token_ceiling_by_group",
        "real_ceiling",
        "real_ceiling_5",
        "real_ceiling_by_style",
        "real_ceiling_by_group",
    )
    return {name + suffix: measured[name] for name in names} | {f"drawings{suffix}": measured["samples"]}


def _quality(measured: dict, split: str) -> dict:
    found = {}
    for name in ("psnr", "ssim", "psnr_64", "ssim_64"):
        if name in measured:
            kind, _, side = name.partition("_")
            found[f"{kind}_{split}{'_' + side if side else ''}"] = measured[name]
    return found
