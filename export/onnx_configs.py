"""What Optimum must know to export the two halves of the VAE, which are not ``transformers`` models.

Optimum's exporter wants a module with a ``config`` that returns its outputs by name, and an :class:`OnnxConfig` that names
inputs, outputs and dynamic axes and can invent inputs.
"""

import torch
from optimum.exporters.onnx import OnnxConfig
from optimum.utils import DummyInputGenerator, NormalizedConfig
from torch import Tensor, nn
from transformers import PretrainedConfig

from mvae.config import VaeConfig
from mvae.models.export_wrappers import DecoderGraph, EncoderGraph
from mvae.models.mvae import MVAE


class ExportedVaeConfig(PretrainedConfig):
    """Carries the sizes that the input generators need."""

    model_type = "mvae"


class NamedEncoder(nn.Module):
    """:class:`EncoderGraph` with its outputs by name."""

    def __init__(self, vae: MVAE):
        super().__init__()
        self.config = _config(vae.config)
        self.graph = EncoderGraph(vae)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        tokens, mean, log_variance = self.graph(image)
        return {"tokens": tokens, "mean": mean, "log_variance": log_variance}


class NamedDecoder(nn.Module):
    """:class:`DecoderGraph` with its output by name."""

    def __init__(self, vae: MVAE):
        super().__init__()
        self.config = _config(vae.config)
        self.graph = DecoderGraph(vae)

    def forward(self, tokens: Tensor) -> dict[str, Tensor]:
        return {"image": self.graph(tokens)}


class ImageGenerator(DummyInputGenerator):
    """Random uint8 RGBA images, [B, S, S, 4]."""

    SUPPORTED_INPUT_NAMES = ("image",)

    def __init__(self, task: str, normalized_config: NormalizedConfig, batch_size: int = 2, **_):
        self.shape = (batch_size, normalized_config.image_size, normalized_config.image_size, 4)

    def generate(self, input_name: str, framework: str = "pt", int_dtype: str = "int64", float_dtype: str = "fp32"):
        image = torch.randint(0, 256, self.shape, dtype=torch.uint8)
        return image if framework == "pt" else image.numpy()


class TokensGenerator(DummyInputGenerator):
    """Random int64 tokens, mask token included, [B, positions]."""

    SUPPORTED_INPUT_NAMES = ("tokens",)

    def __init__(self, task: str, normalized_config: NormalizedConfig, batch_size: int = 2, **_):
        self.shape, self.count = (batch_size, normalized_config.positions), normalized_config.codebook + 1

    def generate(self, input_name: str, framework: str = "pt", int_dtype: str = "int64", float_dtype: str = "fp32"):
        tokens = torch.randint(0, self.count, self.shape)
        return tokens if framework == "pt" else tokens.numpy()


class VaeEncoderOnnxConfig(OnnxConfig):
    """``image`` → ``tokens``, ``mean``, ``log_variance``."""

    NORMALIZED_CONFIG_CLASS = NormalizedConfig
    DUMMY_INPUT_GENERATOR_CLASSES = (ImageGenerator,)
    ATOL_FOR_VALIDATION = 1e-3

    @property
    def inputs(self) -> dict[str, dict[int, str]]:
        return {"image": {0: "batch"}}

    @property
    def outputs(self) -> dict[str, dict[int, str]]:
        return {"tokens": {0: "batch"}, "mean": {0: "batch"}, "log_variance": {0: "batch"}}


class VaeDecoderOnnxConfig(OnnxConfig):
    """``tokens`` → ``image``."""

    NORMALIZED_CONFIG_CLASS = NormalizedConfig
    DUMMY_INPUT_GENERATOR_CLASSES = (TokensGenerator,)
    ATOL_FOR_VALIDATION = 1  # one of 255 levels: rounding may fall on either side

    @property
    def inputs(self) -> dict[str, dict[int, str]]:
        return {"tokens": {0: "batch"}}

    @property
    def outputs(self) -> dict[str, dict[int, str]]:
        return {"image": {0: "batch"}}


def _config(config: VaeConfig) -> ExportedVaeConfig:
    latent = config.latent
    return ExportedVaeConfig(image_size=config.image_size, positions=latent.positions, codebook=latent.codebook)
