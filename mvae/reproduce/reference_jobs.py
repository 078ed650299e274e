"""The networks of ``reproduce reference``: published settings, one job a network and seed.

Where a run is shorter than the published one, or its batch larger, the table says so beside the figure.
"""

from dataclasses import dataclass, field, replace

from mvae.models.system import SystemConfig
from mvae.training.system_loop import Settings

DIMENSIONS = (2, 5, 10, 20, 40)
"""Of the S-VAE paper's table: of the Gaussian's space, and of the sphere (which lies in one dimension more)."""
BETAS = (0.5, 1.0, 2.0, 4.0, 8.0)
CAPACITIES = (10, 20, 30)
"""Nats."""
SPHERE = SystemConfig(hidden=(256, 128), width=128)
DEEP = SystemConfig(hidden=(500, 500, 2000), width=2000, latent=10)
"""VaDE's, after Xie et al. 2016."""


@dataclass(frozen=True)
class Job:
    """One network."""

    name: str
    row: str
    """Row of the table: the jobs of one row differ in their seed alone."""
    system: str
    """``vae``, ``s_vae``, ``vade``, ``gmvae``, ``beta_vae`` or ``vq_vae``."""
    measure: str
    """``likelihood``, ``clustering``, ``bits`` or ``curve``."""
    config: SystemConfig
    phases: tuple[Settings, ...]
    """After each the weights are stored; a phase begins with fresh moments of the optimiser."""
    seed: int = 0
    options: dict[str, float] = field(default_factory=dict)
    """Further arguments of the system."""
    pretraining: Settings | None = None
    """VaDE: of the autoencoder alone, before the mixture is fitted."""
    warm_up: int = 0
    """Epochs in which the rate's weight rises to 1."""
    samples: int = 0
    """Importance samples an image."""
    binarised: bool = True
    """Every epoch draws black or white pixels anew."""
    data: str = "mnist"
    images: int = 0
    """Of training, from the first on; 0: all."""
    graphics: bool = False
    """Whether a graphics processor is used where there is one: what is large enough to gain by it."""

    @property
    def network(self) -> str:
        """Units of the layers, from the image on."""
        if self.system == "vq_vae":
            return f"{self.options['hidden']} channels"
        return "-".join(str(width) for width in self.config.hidden or (self.config.width,) * self.config.layers)


def jobs(seeds: int = 3, clustering_seeds: int = 5, short: bool = False) -> list[Job]:
    """Every job, the longest first; ``short``: as :func:`shorter`."""
    found = [
        *codes(), *(vade(seed) for seed in range(clustering_seeds)),
        *(sphere(d, seed) for seed in range(seeds) for d in DIMENSIONS), *(vae(seed) for seed in range(seeds)),
        *(gmvae(seed) for seed in range(clustering_seeds)), *(normal(d, seed) for seed in range(seeds) for d in DIMENSIONS),
        *curve(),
    ]
    return [shorter(job) for job in found] if short else found


def shorter(job: Job) -> Job:
    """What one core does in two or three minutes: fewer epochs, for clustering fewer images, VaDE half as wide. The VQ-VAE is a
    quarter as wide and takes 20 minutes."""
    if job.row.startswith(("s-vae", "n-vae")):
        return replace(job, phases=(*[adam(10, 128, 1e-3)] * 3, adam(10, 128, 1e-3, "cosine")), warm_up=5)
    if job.row == "vae":
        return replace(job, phases=(adam(40, 250, 1e-3), adam(20, 250, 1e-3, "cosine")))
    if job.system == "vade":
        narrow = replace(job.config, hidden=(250, 250, 1000), width=1000)
        phases, pretraining = (adam(15, 200, 2e-3), adam(10, 200, 2e-3, "cosine")), adam(25, 200, 2e-3, "cosine")
        return replace(job, config=narrow, phases=phases, pretraining=pretraining, images=20_000)
    if job.system == "gmvae":
        return replace(job, phases=(adam(15, 128, 1e-3), adam(10, 128, 1e-3, "cosine")), images=20_000)
    if job.system == "beta_vae":
        options = {name: 2000 if name == "capacity_steps" else value for name, value in job.options.items()}
        return replace(job, phases=(adam(8, 128, 1e-3, "cosine"),), options=options)
    if job.system == "vq_vae":
        return replace(job, phases=(*[adam(2, 64, 6e-4)] * 2, adam(2, 64, 6e-4, "cosine")), options=job.options | {"hidden": 64})
    return job


def adam(epochs: int, batch: int, rate: float, schedule: str = "constant") -> Settings:
    """Every published run here used Adam."""
    return Settings(epochs=epochs, batch=batch, optimiser="adam", learning_rate=rate, schedule=schedule)


def vae(seed: int) -> Job:
    """Burda et al. 2016, one stochastic layer, k = 1: 50 latents, two layers of 200, batch 20, 3,280 epochs, falling rate."""
    return Job(
        f"vae-s{seed}", "vae", "vae", "likelihood", SystemConfig(latent=50, width=200, layers=2),
        (*[adam(60, 500, 2e-3)] * 4, adam(60, 500, 2e-3, "cosine")), seed, samples=5000, graphics=True,
    )


def sphere(dimension: int, seed: int) -> Job:
    """Davidson et al. 2018: layers of 256 and 128, batch 64, Adam 1e-3, a warm-up of 100 epochs, then until it gets no better."""
    return Job(
        f"s-vae-{dimension}-s{seed}", f"s-vae-{dimension}", "s_vae", "likelihood", replace(SPHERE, latent=dimension + 1),
        (*[adam(30, 128, 1e-3)] * 3, adam(30, 128, 1e-3, "cosine")), seed, warm_up=20, samples=500,
    )


def normal(dimension: int, seed: int) -> Job:
    """The same network with a Gaussian latent, their N-VAE."""
    return replace(
        sphere(dimension, seed), name=f"n-vae-{dimension}-s{seed}", row=f"n-vae-{dimension}", system="vae",
        config=replace(SPHERE, latent=dimension), graphics=True,
    )


def vade(seed: int) -> Job:
    """Jiang et al. 2017: 500-500-2000-10, batch 100, Adam 2e-3 that falls, grey pixels as probabilities; 300 epochs."""
    return Job(
        f"vade-s{seed}", "vade", "vade", "clustering", DEEP, (adam(60, 500, 2e-3), adam(40, 500, 2e-3, "cosine")), seed,
        pretraining=adam(80, 500, 2e-3, "cosine"), binarised=False, graphics=True,
    )


def gmvae(seed: int) -> Job:
    """Dilokthanakul et al. 2016, K = 10 and one sample; here with two layers of 500 where they have convolutions."""
    return Job(
        f"gmvae-s{seed}", "gmvae", "gmvae", "clustering", SystemConfig(latent=64, width=500, layers=2),
        (adam(40, 250, 1e-3), adam(20, 250, 1e-3, "cosine")), seed,
        options={"components": 10, "noise": 16, "hidden": 128}, graphics=True,
    )


def codes() -> list[Job]:
    """Van den Oord et al. 2017 on CIFAR-10: 256 hidden units, 512 codes, Adam 2e-4, batch 128, 250,000 steps; their grid of
    8 × 8 × 10 codes, and one of 8 × 8."""
    plain = Job(
        "vq-vae-8x8-s0", "vq-vae-8x8", "vq_vae", "bits",
        SystemConfig(side=32, channels=3, latent=64, likelihood="logistic"), (adam(15, 128, 4e-4), adam(15, 128, 4e-4, "cosine")),
        options={"codes": 512, "hidden": 256}, binarised=False, data="cifar10", graphics=True,
    )
    ten = replace(
        plain, name="vq-vae-8x8x10-s0", row="vq-vae-8x8x10", config=replace(plain.config, latent=160),
        options=plain.options | {"groups": 10},
    )
    return [plain, ten]


def curve() -> list[Job]:
    """β-VAE on MNIST: β, and γ |KL − C| with three capacities."""
    one = Job("", "", "beta_vae", "curve", SystemConfig(latent=16), (adam(20, 128, 1e-3, "cosine"),), graphics=True)
    betas = [replace(one, name=f"beta-{beta:g}-s0", row=f"beta-{beta:g}", options={"beta": beta}) for beta in BETAS]
    capacities = [
        replace(one, name=f"capacity-{nats}-s0", row=f"capacity-{nats}",
                options={"gamma": 30.0, "capacity": float(nats), "capacity_steps": 4000})
        for nats in CAPACITIES
    ]
    return betas + capacities
