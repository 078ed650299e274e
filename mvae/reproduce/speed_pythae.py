"""pythae's side of ``python -m mvae reproduce speed``: one of its models on our network, trained by its own trainer.

    .venv-pythae/bin/python -P mvae/reproduce/speed_pythae.py SPEC      SPEC: the JSON of mvae.reproduce.speed.Spec

Runs in an environment without mVAE and imports nothing of it. A line on standard input starts every epoch; a line of JSON
answers on standard output: first the shapes of all parameters and the versions, then the seconds of each epoch, from taking
the first batch to the end of the last step.

Legend: B batch, C channels, S side, D latent dimension, H width of the features.
"""

import json
import sys
import tempfile
import time
from importlib.metadata import version

import numpy as np
import torch
from pythae.data.datasets import BaseDataset
from pythae.models import (
    INFOVAE_MMD,
    SVAE,
    VAE,
    VAEGAN,
    VQVAE,
    BetaVAE,
    BetaVAEConfig,
    INFOVAE_MMD_Config,
    SVAEConfig,
    VAEConfig,
    VAEGANConfig,
    VQVAEConfig,
)
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseDiscriminator, BaseEncoder
from pythae.trainers import (
    BaseTrainer,
    BaseTrainerConfig,
    CoupledOptimizerAdversarialTrainer,
    CoupledOptimizerAdversarialTrainerConfig,
)
from pythae.trainers.training_callbacks import TrainingCallback
from torch import Tensor, nn


def hidden(inputs: int, width: int, layers: int) -> list[nn.Module]:
    """Linear layers with ReLU."""
    made: list[nn.Module] = []
    for number in range(layers):
        made += [nn.Linear(width if number else inputs, width), nn.ReLU()]
    return made


class Encoder(BaseEncoder):
    """The ``mlp`` body and one linear head: mean and log-variance, or (``spherical``) direction and concentration."""

    def __init__(self, spec: dict, pixels: int, spherical: bool):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), *hidden(pixels, spec["width"], spec["layers"]))
        self.head = nn.Linear(spec["width"], spec["latent"] + 1 if spherical else 2 * spec["latent"])
        self.spherical = spherical

    def forward(self, x: Tensor) -> ModelOutput:
        said = self.head(self.body(x))
        if self.spherical:
            return ModelOutput(embedding=said[:, :-1], log_concentration=said[:, -1:])
        mean, log_variance = said.chunk(2, 1)
        return ModelOutput(embedding=mean, log_covariance=log_variance)


class Decoder(BaseDecoder):
    """The ``mlp`` generator; pythae's convention is an image in [0, 1]."""

    def __init__(self, spec: dict, shape: tuple[int, ...]):
        super().__init__()
        last = nn.Linear(spec["width"], int(np.prod(shape)))
        self.layers = nn.Sequential(*hidden(spec["latent"], spec["width"], spec["layers"]), last, nn.Unflatten(1, shape))

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=torch.sigmoid(self.layers(z)))


class Discriminator(BaseDiscriminator):
    """The ``mlp`` body and one logit, as pythae's own is built: layer 2 has the features that are matched, layer 3 the
    probability of being real."""

    def __init__(self, spec: dict, pixels: int):
        super().__init__()
        layers = hidden(pixels, spec["width"], 2)
        self.layers = nn.ModuleList(
            [nn.Sequential(*layers[:2]), nn.Sequential(*layers[2:]), nn.Sequential(nn.Linear(spec["width"], 1), nn.Sigmoid())]
        )
        self.depth = 3

    def forward(self, x: Tensor, output_layer_levels: list[int] | None = None) -> ModelOutput:
        found, out = ModelOutput(), x.flatten(1)
        for number in range(1, (max(output_layer_levels) if output_layer_levels else self.depth) + 1):
            out = self.layers[number - 1](out)
            if number in (output_layer_levels or []):
                found[f"embedding_layer_{number}"] = out
        if not output_layer_levels:
            found["embedding"] = out
        return found


class Residual(nn.Module):
    """x + 1×1(relu(3×3(relu(x))))."""

    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReLU(), nn.Conv2d(width, width // 4, 3, padding=1), nn.ReLU(), nn.Conv2d(width // 4, width, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class GridEncoder(BaseEncoder):
    """The published VQ-VAE's convolutions."""

    def __init__(self, spec: dict, channels: int):
        super().__init__()
        width = spec["hidden"]
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width // 2, 4, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(width // 2, width, 4, stride=2, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1),
            Residual(width), Residual(width), nn.ReLU(), nn.Conv2d(width, spec["latent"], 1),
        )

    def forward(self, x: Tensor) -> ModelOutput:
        return ModelOutput(embedding=self.layers(x))


class GridDecoder(BaseDecoder):
    """Its way back."""

    def __init__(self, spec: dict, channels: int):
        super().__init__()
        width = spec["hidden"]
        self.layers = nn.Sequential(
            nn.Conv2d(spec["latent"], width, 3, padding=1), Residual(width), Residual(width), nn.ReLU(),
            nn.ConvTranspose2d(width, width // 2, 4, stride=2, padding=1), nn.ReLU(),
            nn.ConvTranspose2d(width // 2, channels, 4, stride=2, padding=1),
        )

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=torch.sigmoid(self.layers(z)))


def model(spec: dict, shape: tuple[int, ...]) -> nn.Module:
    """One of pythae's models, with our numbers: β 4, α 0 and λ 100, 512 codes, features of the discriminator's last hidden
    layer."""
    pixels, common = int(np.prod(shape)), {"input_dim": shape, "latent_dim": spec["latent"]}
    binary = {**common, "reconstruction_loss": "bce"}
    if spec["arm"].startswith("vq_vae"):
        config = VQVAEConfig(**common, num_embeddings=spec["codes"], commitment_loss_factor=0.25)
        return VQVAE(config, GridEncoder(spec, shape[0]), GridDecoder(spec, shape[0]))
    networks = Encoder(spec, pixels, spec["arm"] == "s_vae"), Decoder(spec, shape)
    made = {
        "vae": lambda: VAE(VAEConfig(**binary), *networks),
        "beta_vae": lambda: BetaVAE(BetaVAEConfig(**binary, beta=4.0), *networks),
        "info_vae": lambda: INFOVAE_MMD(INFOVAE_MMD_Config(**binary, alpha=0.0, lbd=100.0), *networks),
        "s_vae": lambda: SVAE(SVAEConfig(**binary), *networks),
        "vae_gan": lambda: VAEGAN(VAEGANConfig(**binary, reconstruction_layer=2), *networks, Discriminator(spec, pixels)),
    }
    return made[spec["arm"]]()


def answer(**found: object) -> None:
    print(json.dumps(found), flush=True)


class Turns(TrainingCallback):
    """Waits for its turn before each epoch and says afterwards how long the steps took. What the trainer does between two
    epochs (a copy of the best model, a printed loss) is not counted."""

    def on_epoch_begin(self, training_config: BaseTrainerConfig, **about: object) -> None:
        sys.stdin.readline()
        self.begun = self.ended = time.perf_counter()

    def on_train_step_end(self, training_config: BaseTrainerConfig, **about: object) -> None:
        self.ended = time.perf_counter()  # the trainer has read the loss, so that a GPU is done too

    def on_log(self, training_config: BaseTrainerConfig, logs: dict, **about: object) -> None:
        answer(seconds=self.ended - self.begun)
        if about["global_step"] == training_config.num_epochs:
            sys.stdin.readline()  # what the trainer saves in the end would disturb the other side's last epoch


def main(spec: dict) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(spec["seed"])
    images = torch.from_numpy(np.load(spec["images"])).float()
    made = model(spec, tuple(images.shape[1:]))
    shapes = [list(parameter.shape) for parameter in made.parameters()]
    answer(shapes=shapes, torch=torch.__version__, pythae=version("pythae"))
    with tempfile.TemporaryDirectory() as folder:
        common = {
            "output_dir": folder, "per_device_train_batch_size": spec["batch"], "num_epochs": spec["epochs"],
            "learning_rate": spec["learning_rate"], "keep_best_on_train": True, "no_cuda": spec["device"] == "cpu",
            "seed": spec["seed"],
        }
        trainer, config = BaseTrainer, BaseTrainerConfig
        if spec["arm"] == "vae_gan":
            trainer, config = CoupledOptimizerAdversarialTrainer, CoupledOptimizerAdversarialTrainerConfig
            common |= {f"{part}_learning_rate": spec["learning_rate"] for part in ("encoder", "decoder", "discriminator")}
        data = BaseDataset(images, torch.ones(len(images)))
        trainer(made, data, training_config=config(**common), callbacks=[Turns()]).train()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
