"""The rows of ``reproduce reference``: what each is compared with.

Published figures: Burda et al. 2016 (VAE), pythae's table, Davidson et al. 2018 (S-VAE, N-VAE), Jiang et al. 2017 (VaDE),
Dilokthanakul et al. 2016 (GMVAE), van den Oord et al. 2017 (VQ-VAE).
"""

from dataclasses import dataclass

from mvae.reproduce.reference_jobs import BETAS, CAPACITIES, DIMENSIONS


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    row: str
    """As the jobs call it."""
    about: str
    value: str
    """The measure that is compared."""
    unit: str
    reference: float | None = None
    reference_sd: float | None = None
    """Over the publication's runs, where it says so."""
    best: float | None = None
    """The best of the publication's runs, where it names one."""
    note: str = ""


SPHERICAL = {2: (-132.50, 0.73), 5: (-108.43, 0.09), 10: (-93.16, 0.31), 20: (-89.02, 0.31), 40: (-90.87, 0.34)}
NORMAL = {2: (-135.73, 0.83), 5: (-110.21, 0.21), 10: (-93.84, 0.30), 20: (-88.90, 0.26), 40: (-88.93, 0.30)}
"""Log-likelihood with 500 samples and its standard deviation over 10 runs."""


def rows() -> list[Row]:
    """In the order of the table."""
    found = [
        Row("vae", "VAE, 50 latents, K = 5000", "log_likelihood", "nats", -86.76,
            note="published after 3,280 epochs; pythae's VAE: −89.78"),
    ]
    for name, about, published in (("s-vae", "S-VAE, sphere S^", SPHERICAL), ("n-vae", "N-VAE, R^", NORMAL)):
        found += [
            Row(f"{name}-{d}", f"{about}{d}, K = 500", "log_likelihood", "nats", *published[d],
                note="published after a warm-up of 100 epochs and as many more as help")
            for d in DIMENSIONS
        ]
    return [
        *found,
        Row("vade", "VaDE, 10 latents", "accuracy", "share", best=0.9446,
            note="published with 500-500-2000 units; its best run, others got .80 to .95"),
        Row("gmvae", "GMVAE, K = 10", "accuracy", "share", 0.7778, 0.0575, 0.8731,
            "published with convolutions"),
        Row("vq-vae-8x8x10", "VQ-VAE, CIFAR-10, 8 × 8 × 10 codes of 512", "bits", "bits a dimension", 4.67,
            note="published after 250,000 steps"),
        Row("vq-vae-8x8", "VQ-VAE, CIFAR-10, 8 × 8 codes of 512", "bits", "bits a dimension",
            note="a tenth of the published codes"),
        *(Row(f"beta-{b:g}", f"β-VAE, β = {b:g}", "negative_elbo", "nats") for b in BETAS),
        *(Row(f"capacity-{c}", f"β-VAE, 30 abs(KL − {c})", "negative_elbo", "nats") for c in CAPACITIES),
    ]


def agrees(row: Row, mean: float, spread: float, best: float) -> str:
    """``yes``, ``better`` or ``no``: whether the figure lies within two standard deviations (of both, added as variances) of the
    published one, or of the published best run where only that is known; empty where nothing is published."""
    published, got = (row.best, best) if row.reference is None else (row.reference, mean)
    if published is None:
        return ""
    gap = (published - got) if row.value == "bits" else (got - published)
    if abs(gap) <= 2 * (spread**2 + (row.reference_sd or 0.0) ** 2) ** 0.5:
        return "yes"
    return "better" if gap > 0 else "no"
