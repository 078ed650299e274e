"""How far each level is from PyTorch, on the golden inputs. A level beyond its limits is not shipped: :class:`ExportError`."""

from dataclasses import asdict, dataclass

import numpy as np
import torch

from export.calibration import premultiplied
from export.golden import Arrays
from export.sessions import Level
from export.source import Source
from mvae.errors import ExportError
from mvae.models.export_wrappers import DecoderGraph


@dataclass(frozen=True)
class Reference:
    """What PyTorch answers."""

    hidden: np.ndarray
    """float32 [Q, T, D]"""
    forced: np.ndarray
    """int64 [Q, P]: the start mark and PyTorch's most likely tokens but the last: what the decoders are fed."""
    logits: np.ndarray
    """float32 [Q, P, V]"""
    mean: np.ndarray
    log_variance: np.ndarray
    image_tokens: np.ndarray
    decoded: np.ndarray


@dataclass(frozen=True)
class Parity:
    """One level against PyTorch. An *error* is the root mean square difference over the reference's standard deviation."""

    hidden_error: float
    hidden_max: float
    """Largest absolute difference."""
    logits_error: float
    logits_max: float
    likeliest_token_share: float
    """Share of positions at which both find the same token likeliest, fed the same tokens before."""
    mean_error: float
    mean_max: float
    log_variance_max: float
    image_token_share: float
    """Share of grid positions that encode to the same token."""
    cell_share: float
    """Share of latent coordinates that fall into the same cell; a token holds several."""
    decoded_psnr: float
    """Decibels between both decoded images, composited on white; 99 where they are equal."""
    decoded_share: float
    """Share of equal bytes in the decoded images."""

    def to_dict(self) -> dict[str, float]:
        return {name: round(value, 6) for name, value in asdict(self).items()}


LIMITS: dict[str, dict[str, float]] = {
    "fp32": {"hidden_error": 1e-4, "logits_error": 1e-4, "mean_error": 1e-4, "likeliest_token_share": 0.98,
             "image_token_share": 0.98, "cell_share": 0.99, "decoded_psnr": 60},
    "fp16": {"hidden_error": 5e-3, "logits_error": 5e-3, "mean_error": 1e-2, "likeliest_token_share": 0.95,
             "image_token_share": 0.9, "cell_share": 0.97, "decoded_psnr": 48},
    "int8": {"hidden_error": 0.1, "logits_error": 0.15, "mean_error": 0.15, "likeliest_token_share": 0.6,
             "image_token_share": 0.5, "cell_share": 0.85, "decoded_psnr": 27},
}
"""Largest errors, smallest shares and decibels, by level."""


@torch.no_grad()
def torch_reference(source: Source, inputs: Arrays) -> Reference:
    """Run both PyTorch models on the golden inputs."""
    ids, mask = torch.from_numpy(inputs["text_ids"]), torch.from_numpy(inputs["text_mask"])
    config, latent = source.seq2seq.config, source.vae.config.latent
    encoded = source.seq2seq.get_encoder()(input_ids=ids, attention_mask=mask)
    fed, cache = torch.full((len(ids), 1), config.decoder_start_token_id), None
    for _ in range(latent.positions - 1):
        step = source.seq2seq(encoder_outputs=encoded, attention_mask=mask, decoder_input_ids=fed[:, -1:], past_key_values=cache,
                              use_cache=True)
        cache = step.past_key_values
        fed = torch.cat([fed, step.logits[:, -1:, : latent.codebook].argmax(-1)], 1)
    logits = source.seq2seq(encoder_outputs=encoded, attention_mask=mask, decoder_input_ids=fed).logits
    mean, log_variance = source.vae.encoder(premultiplied(inputs["image"]))
    decoded = DecoderGraph(source.vae)(torch.from_numpy(inputs["decode_tokens"]))
    answers = (encoded.last_hidden_state, fed, logits, mean, log_variance, source.vae.tokens_from_mean(mean), decoded)
    return Reference(*(value.numpy() for value in answers))


def measure(level: Level, source: Source, inputs: Arrays, reference: Reference) -> Parity:
    """Compare one level with PyTorch."""
    mask, latent = inputs["text_mask"], source.vae.config.latent
    hidden = level.hidden(inputs["text_ids"], mask)
    logits = level.forced(hidden, mask, reference.forced)
    expected = reference.logits[..., : logits.shape[-1]]
    encoded = level.encode(inputs["image"])
    decoded = level.decode(inputs["decode_tokens"])
    read = mask.astype(bool)  # what padding turns into is nobody's business
    digits = [_digits(tokens, latent.levels, latent.coordinates) for tokens in (encoded["tokens"], reference.image_tokens)]
    likeliest = [values[..., : latent.codebook].argmax(-1) for values in (logits, expected)]
    return Parity(
        hidden_error=_error(hidden[read], reference.hidden[read]), hidden_max=_largest(hidden[read], reference.hidden[read]),
        logits_error=_error(logits, expected), logits_max=_largest(logits, expected),
        likeliest_token_share=float((likeliest[0] == likeliest[1]).mean()),
        mean_error=_error(encoded["mean"], reference.mean), mean_max=_largest(encoded["mean"], reference.mean),
        log_variance_max=_largest(encoded["log_variance"], reference.log_variance),
        image_token_share=float((encoded["tokens"] == reference.image_tokens).mean()),
        cell_share=float((digits[0] == digits[1]).mean()),
        decoded_psnr=_psnr(on_white(decoded), on_white(reference.decoded)),
        decoded_share=float((decoded == reference.decoded).mean()),
    )


def check(level: str, parity: Parity) -> None:
    """Raise :class:`ExportError` listing every figure beyond the level's limits; figures that are not numbers are beyond."""
    beyond = []
    for name, limit in LIMITS[level].items():
        got = getattr(parity, name)
        smaller_is_better = name.endswith("_error")
        if not (got <= limit if smaller_is_better else got >= limit):
            beyond.append(f"{name} is {got:.4g}, expected at {'most' if smaller_is_better else 'least'} {limit:g}")
    if beyond:
        raise ExportError(f"{level}: too far from PyTorch: {'; '.join(beyond)}")


def _error(got: np.ndarray, expected: np.ndarray) -> float:
    return float(np.sqrt(np.mean((got.astype(np.float64) - expected) ** 2)) / max(float(expected.std()), 1e-9))


def _largest(got: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(got - expected).max())


def _digits(tokens: np.ndarray, levels: int, coordinates: int) -> np.ndarray:
    return tokens[..., None] // levels ** np.arange(coordinates) % levels


def on_white(image: np.ndarray) -> np.ndarray:
    """uint8 [..., 4], straight alpha → 8-bit RGB values [..., 3] composited on white, as float."""
    alpha = image[..., 3:] / 255
    return np.round(image[..., :3] * alpha + 255 * (1 - alpha))


def _psnr(got: np.ndarray, expected: np.ndarray) -> float:
    error = float(np.mean((got - expected) ** 2))
    return 99.0 if error == 0 else min(99.0, float(10 * np.log10(255**2 / error)))
