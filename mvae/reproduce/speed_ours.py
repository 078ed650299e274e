"""Our side of ``python -m mvae reproduce speed``: one system, trained by :func:`mvae.training.system_loop.fit`.

    python -m mvae.reproduce.speed_ours SPEC      SPEC: the JSON of mvae.reproduce.speed.Spec

Talks as ``speed_pythae.py`` does: a line on standard input starts every epoch, a line of JSON answers.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from mvae.models.beta_vae import BetaVae
from mvae.models.info_vae import InfoVae
from mvae.models.s_vae import SVae
from mvae.models.system import System, SystemConfig
from mvae.models.vae import Vae
from mvae.models.vae_gan import VaeGan
from mvae.models.vq_vae import VqVae
from mvae.training.system_loop import Settings, fit

SYSTEMS: dict[str, Callable[[SystemConfig], System]] = {
    "vae": Vae, "beta_vae": lambda config: BetaVae(config, beta=4.0),
    "info_vae": lambda config: InfoVae(config, alpha=0.0, lambda_=100.0), "s_vae": SVae, "vae_gan": VaeGan,
}


def system(spec: dict, shape: tuple[int, ...]) -> System:
    """The system of one arm for images [N, C, S, S]. pythae's VQ-VAE has no likelihood but the squared error, so ours has a
    Gaussian one with a variance of one half."""
    config = SystemConfig(
        channels=shape[1], side=shape[-1], latent=spec["latent"], width=spec["width"], layers=spec["layers"]
    )
    if spec["arm"].startswith("vq_vae"):
        config = replace(config, likelihood="gaussian", variance=0.5)
        return VqVae(config, codes=spec["codes"], hidden=spec["hidden"], bf16=spec["arm"] == "vq_vae_bf16")
    return SYSTEMS[spec["arm"]](config)


def main(spec: dict) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(spec["seed"])
    images = torch.from_numpy(np.load(spec["images"])).float().to(spec["device"])
    made = system(spec, tuple(images.shape)).to(spec["device"])
    answer(shapes=[list(parameter.shape) for parameter in made.parameters()], torch=torch.__version__)
    settings = Settings(
        epochs=spec["epochs"], batch=spec["batch"], optimiser="adam", learning_rate=spec["learning_rate"], seed=spec["seed"]
    )
    begun = wait()

    def told(*_: object) -> None:
        nonlocal begun
        if images.is_cuda:
            torch.cuda.synchronize()
        answer(seconds=time.perf_counter() - begun)
        begun = wait()

    fit(made, images, settings, binarised=False, after_epoch=told)


def wait() -> float:
    """Until it is this side's turn; what time it is then."""
    sys.stdin.readline()
    return time.perf_counter()


def answer(**found: object) -> None:
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
