"""``python -m mvae reproduce refine``: what amortised inference leaves on the table (the paper's ASVI, 13). −ELBO of never-seen
drawings with the encoder's posterior, and after k gradient steps a picture; PSNR through the tokens of both.
"""

import time
from pathlib import Path

import torch
from tqdm import tqdm

from mvae.data.dataset import load_pictures
from mvae.evaluate.results import write_study
from mvae.machine import cpu_name
from mvae.models.refine import Refinement
from mvae.training.frozen_latent import stored_vae
from mvae.training.sheets import psnr_on_white

STEPS = (1, 3, 10, 30)
COLUMNS = (
    "arm", "steps", "pictures", "negative_elbo", "gap", "gap_sd", "held_noise_gap", "psnr", "same_tokens", "ms", "rate",
    "variance", "cpu", "command",
)


def run_all(entry: Path, data: Path, *, pictures: int, results: Path, rate: float = 0.05, variance: float = 0.01) -> list[dict]:
    """One row for the encoder alone and one for each number of steps; ``held_noise_gap`` is the gap under noise that the steps
    never saw. Raises DataError where there is no VAE or no data."""
    torch.set_num_threads(1)
    vae, unseen = stored_vae(entry), load_pictures(data, size=128, split="unseen", progress=False)
    chosen = torch.linspace(0, len(unseen) - 1, min(pictures, len(unseen))).long().tolist()
    rows = []
    common = {"pictures": len(chosen), "rate": rate, "variance": variance, "cpu": cpu_name(),
              "command": f"python -m mvae reproduce refine --entry {entry} --pictures {pictures}"}
    for steps in (0, *STEPS):
        found: dict[str, list[float]] = {name: [] for name in ("elbo", "gap", "held", "psnr", "same", "ms")}
        refinement = Refinement(vae, steps=max(1, steps), rate=rate, variance=variance)
        fresh = Refinement(vae, samples=8, variance=variance, seed=1)
        for index in tqdm(chosen, desc=f"{steps} steps"):
            image = unseen.batch([index])
            with torch.no_grad():
                begun = time.perf_counter()
                mean, log_variance = vae.encoder(image)
                first = (mean, log_variance)
                if steps:
                    mean, log_variance, before, after = refinement(image, mean, log_variance)
                else:
                    before = after = refinement.gradient(image, mean, log_variance)[0]
                found["ms"].append(1000 * (time.perf_counter() - begun))
                tokens, usual = vae.tokens_from_mean(mean), vae.tokens_from_mean(first[0])
                held = fresh.gradient(image, *first)[0] - fresh.gradient(image, mean, log_variance)[0]
                seen = vae.decode_tokens(tokens)
            for name, value in (("elbo", after), ("gap", before - after), ("held", held), ("psnr", psnr_on_white(image, seen)),
                                ("same", (tokens == usual).float().mean())):
                found[name].append(float(value))
        means = {name: float(torch.tensor(values).mean()) for name, values in found.items()}
        rows.append(
            common | {
                "arm": "encoder alone" if not steps else f"{steps} steps", "steps": steps, "negative_elbo": means["elbo"],
                "gap": means["gap"], "gap_sd": float(torch.tensor(found["gap"]).std()), "held_noise_gap": means["held"],
                "psnr": means["psnr"], "same_tokens": means["same"], "ms": float(torch.tensor(found["ms"]).median()),
            }
        )
    write_study(results, "refine", COLUMNS, rows)
    return rows
