"""The VAE's stage: edge-aware distortion under a rate constraint, on exact tokens toward the end."""

from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import get_worker_info

from mvae.data.compose import Composer
from mvae.data.dataset import Pictures, augment
from mvae.errors import DataError
from mvae.models.blocks import ResidualBlock, channel_groups, faint_rows
from mvae.models.discriminator import PatchDiscriminator, adversarial_terms
from mvae.models.fake_quantise import FakeQuantisedConv2d, fake_quantise
from mvae.models.mvae import MVAE, Encoder
from mvae.models.perceptual import PerceptualDistance
from mvae.models.refine import Refinement
from mvae.objective import (
    at_side,
    edge_aware_distortion,
    gaussian_kl,
    gaussian_log_likelihood,
    grid_scale,
    group_lasso,
    latent_distillation,
    quantisation_distance,
    sparse_code,
    weighted_sum,
)
from mvae.training import controllers
from mvae.training.checkpoint import load_weights, step_generator
from mvae.training.controllers import Control
from mvae.training.frozen_latent import adopt_encoder, reference_encoder
from mvae.training.recipe import VaeStage
from mvae.training.sheets import psnr_on_white, save_sheet

ZERO = 0.05
"""A latent coordinate nearer to zero than this carries next to nothing: |N(0, 1)| is, in 4 of 100."""
ACTIVE_VARIANCE = 0.01
"""A latent unit is active if its posterior mean varies by more than this over the data (Burda et al. 2016)."""


class VaeModule(nn.Module):
    """MVAE, and its discriminator if there is one, behind the loop's one-argument call."""

    def __init__(self, vae: MVAE, discriminator: PatchDiscriminator | None = None, teacher: Encoder | None = None):
        """``teacher``: an encoder whose tokens are decoded instead of the VAE's own. It is neither trained nor stored."""
        super().__init__()
        self.vae, self.discriminator, self.taught = vae, discriminator, [teacher] if teacher else []

    def forward(self, batch: dict) -> dict[str, Tensor]:
        """What the VAE returns and, where ``batch["judged"]``, the terms of :func:`adversarial_terms`."""
        if batch.get("refined"):
            outputs = self._refined(batch["image"], batch["refined"])
        elif self.taught:
            outputs = self._taught(batch["image"])
        else:
            outputs = self.vae(batch["image"], batch["noisy"])
        if batch.get("judged"):
            seen = outputs["reconstruction"]
            outputs |= adversarial_terms(self.discriminator, at_side(batch["image"], seen.shape[-1]), seen)
        return outputs

    def _refined(self, image: Tensor, steps: int) -> dict[str, Tensor]:
        """What the decoder makes of posteriors that were refined, beside those of the encoder."""
        mean, log_variance = self.vae.encoder(image)
        training = self.vae.decoder.training
        with torch.no_grad(), torch.autocast(image.device.type, enabled=False):
            refined = Refinement(self.vae, steps=steps, samples=1).to(image.device)(image, mean.detach(), log_variance.detach())
        self.vae.train()
        self.vae.decoder.train(training)
        z = refined[0] + torch.exp(0.5 * refined[1]) * torch.randn_like(mean)
        return {
            "reconstruction": self.vae.decoder(z), "mean": mean, "log_variance": log_variance, "refined_mean": refined[0],
            "refined_log_variance": refined[1], "gap": (refined[2] - refined[3]).mean(),
        }

    def _taught(self, image: Tensor) -> dict[str, Tensor]:
        """Posteriors of the VAE and of the teacher, and what the decoder makes of the teacher's tokens."""
        teacher = self.taught[0].to(image.device)
        with torch.no_grad():
            wanted, wanted_log_variance = teacher(image)
            latents = self.vae.quantise(wanted)
        mean, log_variance = self.vae.encoder(image)
        return {
            "reconstruction": self.vae.decoder(latents), "mean": mean, "log_variance": log_variance, "teacher_mean": wanted,
            "teacher_log_variance": wanted_log_variance,
        }


def epoch_indices(count: int, batch: int, step: int, seed: int) -> Tensor:
    """Indices of one step's pictures: every epoch is a permutation drawn from (seed, epoch), wrapping round at its end."""
    start = step * batch
    chosen = []
    while len(chosen) < batch:
        epoch, offset = divmod(start + len(chosen), count)
        order = torch.randperm(count, generator=torch.Generator().manual_seed(seed * 7919 + epoch))
        chosen += order[offset : offset + batch - len(chosen)].tolist()
    return torch.tensor(chosen)


class VaeTraining:
    """See :class:`mvae.training.loop.Stage`. ``train`` are the pictures learned from, ``shown`` those on the sheets."""

    def __init__(self, recipe: VaeStage, train: Pictures, shown: Pictures, start: Path | None = None):
        """``start``: safetensors of a VAE to begin with. A frozen latent's encoder is taken from the latent all the same."""
        self.recipe, self.train, self.shown = recipe, train, shown
        self.schedule = recipe.schedule
        if recipe.distilled_latent is not None and recipe.frozen_latent is not None:
            raise DataError("both frozen_latent and distilled_latent are given; expected one of them")
        torch.manual_seed(recipe.schedule.seed)
        vae = MVAE(recipe.config)
        if start is not None:
            load_weights(vae, start)
        if recipe.frozen_latent is not None:
            adopt_encoder(vae, Path(recipe.frozen_latent))
        if recipe.fake_quantise:
            if recipe.freeze_statistics_from:
                raise DataError(
                    f"fake_quantise with freeze_statistics_from {recipe.freeze_statistics_from}; expected 0: rounded are "
                    "the weights with BatchNorm folded in"
                )
            fake_quantise(vae.decoder)
        self.composer = Composer(train.pixels, train.meta, recipe.schedule.seed) if recipe.composed_share else None
        discriminator = PatchDiscriminator() if recipe.adversarial or recipe.matching else None
        teacher = None if recipe.distilled_latent is None else reference_encoder(Path(recipe.distilled_latent))
        self.module = VaeModule(vae, discriminator, teacher).to(memory_format=torch.channels_last)
        self.perceptual = PerceptualDistance() if recipe.perceptual else None
        self.controls = (Control("beta", "kl_nats", recipe.rate_nats, recipe.beta, recipe.beta_gain), *recipe.controls)
        self.controller = controllers.begin(self.controls)
        self.used = torch.zeros(recipe.config.latent.codebook, dtype=torch.bool)
        self.moments: list[Tensor] = []

    def settings(self) -> dict:
        return {**asdict(self.recipe), "pictures": len(self.train)}

    def _reached(self, fraction: float, step: int) -> bool:
        return step >= round(fraction * self.schedule.steps)

    def _frozen(self, step: int) -> bool:
        """Whether the encoder stands still. One that is taught learns to the end."""
        if self.recipe.distilled_latent is not None:
            return False
        return self.recipe.frozen_latent is not None or self._reached(self.recipe.freeze_encoder_from, step)

    def _learns_a_rate(self, step: int) -> bool:
        """Whether the encoder is free to trade rate for distortion."""
        return not self._frozen(step) and self.recipe.distilled_latent is None

    def before_step(self, module: nn.Module, step: int) -> None:
        # A frozen encoder keeps its tokens exactly as they are, BatchNorm statistics included: the seq2seq learns them.
        if self._frozen(step):
            module.vae.encoder.eval()
            for parameter in module.vae.encoder.parameters():
                parameter.requires_grad_(False)
        if self._reached(self.recipe.freeze_statistics_from, step):
            module.vae.decoder.eval()
            for part in module.vae.decoder.modules():
                if isinstance(part, FakeQuantisedConv2d):
                    part.train()  # it still looks at the range of what it reads

    def batch(self, step: int, rank: int, world: int) -> dict:
        generator = step_generator(self.schedule.seed, step, rank)
        indices = epoch_indices(len(self.train), self.schedule.batch, step, self.schedule.seed)[rank::world]
        # A process that makes batches ahead must not touch an accelerator.
        device = next(self.module.parameters()).device if get_worker_info() is None else "cpu"
        image = self.train.batch(indices, device)
        if self.recipe.augmented:
            image = augment(image, generator)
        if self.composer is not None:
            for row in (torch.rand(len(image), generator=generator) < self.recipe.composed_share).nonzero().flatten().tolist():
                scene = self.composer.plan(int(torch.randint(1 << 40, (), generator=generator)))
                image[row] = torch.from_numpy(self.composer.draw(scene).copy()).to(device).permute(2, 0, 1) / 255
        image = image.contiguous(memory_format=torch.channels_last)
        return {"image": image, "noisy": torch.rand(len(indices), generator=generator) < self.recipe.noisy_share}

    def in_phase(self, batch: dict, step: int) -> dict:
        """``batch``, without noise where the encoder stands still, and whether it is ``judged`` and how often ``refined``."""
        refines = self._learns_a_rate(step) and self._reached(self.recipe.refined_from, step)
        judged = self.module.discriminator is not None and self._reached(self.recipe.adversarial_from, step)
        noisy = batch["noisy"] & (not self._frozen(step))
        return batch | {"noisy": noisy, "judged": judged, "refined": self.recipe.refinement_steps if refines else 0}

    def loss(self, outputs: dict[str, Tensor], batch: dict, step: int) -> tuple[Tensor, dict[str, float]]:
        seen = outputs["reconstruction"]
        x = at_side(batch["image"], seen.shape[-1])
        distortion = edge_aware_distortion(x, seen, squared=self.recipe.squared, gradient=self.recipe.gradient).mean()
        perceived = torch.zeros((), device=x.device)
        if self.perceptual is not None and self._reached(self.recipe.perceptual_from, step):
            perceived = self.perceptual.to(x.device)(x, seen).mean()
        rate = gaussian_kl(outputs["mean"], outputs["log_variance"]).mean()
        terms, weights = {"distortion": distortion, "perceptual": perceived, "rate": rate}, self._weights(step)
        with torch.no_grad():
            variance = (x - seen).square().mean().clamp(min=1e-6)
            likelihood = gaussian_log_likelihood(x, seen, variance).mean().item()
            tokens = self.module.vae.tokens_from_mean(outputs["mean"])
            self.used[tokens.flatten().cpu()] = True
            self.moments.append(outputs["mean"].detach().flatten(1).cpu())
            psnr = psnr_on_white(x, seen).mean().item()
        metrics = {
            "psnr": psnr, "kl_nats": rate.item(), "distortion": distortion.item(), "log_likelihood_nats": likelihood,
            "negative_elbo_nats": rate.item() - likelihood, "beta": controllers.weight(self.controller, "beta"),
            "perceptual": perceived.item(),
        }
        for name, (term, quantity, measured) in self._miniaturising(outputs["mean"], weights).items():
            terms[name] = term
            metrics |= {quantity: measured, f"weight_{name}": weights[name]}
        if "teacher_mean" in outputs:
            taught = (outputs["teacher_mean"], outputs["teacher_log_variance"])
            distance = latent_distillation(*taught, outputs["mean"], outputs["log_variance"]).mean()
            terms["distillation"], weights["distillation"] = distance, self.recipe.distillation
            same = tokens == self.module.vae.tokens_from_mean(outputs["teacher_mean"])
            metrics |= {"distillation_nats": distance.item(), "same_tokens": same.float().mean().item()}
        if "refined_mean" in outputs:
            taught = (outputs["refined_mean"], outputs["refined_log_variance"])
            terms["refinement"] = latent_distillation(*taught, outputs["mean"], outputs["log_variance"]).mean()
            weights["refinement"] = self.recipe.refinement
            metrics |= {"refinement_nats": terms["refinement"].item(), "amortisation_gap_nats": outputs["gap"].item()}
        if self.module.discriminator is not None:
            weights |= {"discriminator": 1.0, "generator": self.recipe.adversarial, "matching": self.recipe.matching}
            for name in ("discriminator", "generator", "matching"):
                terms[name] = outputs.get(name, torch.zeros((), device=x.device))
                metrics[name] = terms[name].item()
        total = weighted_sum(terms, weights)
        self._move(metrics, total.item(), step)
        return total, metrics

    def _weights(self, step: int) -> dict[str, float]:
        """What distortion, rate and the terms of miniaturisation weigh now; those that count, and no others."""
        found = {"distortion": 1.0, "perceptual": self.recipe.perceptual, "rate": 0.0}
        if self._learns_a_rate(step):
            found["rate"] = controllers.weight(self.controller, "beta")
        controlled = {control.weight for control in self.recipe.controls}
        for name in ("prune", "quantise", "sparse"):
            now = controllers.weight(self.controller, name) if name in controlled else getattr(self.recipe, name)
            if now:
                found[name] = now
        return found

    def _miniaturising(self, mean: Tensor, weights: dict[str, float]) -> dict[str, tuple[Tensor, str, float]]:
        """Of the terms that count: the term itself, and the name and value of what its controller may look at."""
        vae, found = self.module.vae, {}
        halves = [half for half in (vae.encoder, vae.decoder) if any(p.requires_grad for p in half.parameters())]
        if "prune" in weights:
            groups = [channel_groups(block) for half in halves for block in half.modules() if isinstance(block, ResidualBlock)]
            faint = torch.cat([faint_rows(group.detach()) for group in groups]).float().mean().item()
            found["prune"] = group_lasso(groups), "faint_channels", faint
        if "quantise" in weights:
            kernels = [part.weight for half in halves for part in half.modules() if isinstance(part, nn.Conv2d)]
            distance = quantisation_distance(kernels)
            steps = sum((grid_scale(kernel).flatten() * kernel[0].numel()).sum() for kernel in kernels)
            found["quantise"] = distance, "grid_distance", (distance / steps).item()
        if "sparse" in weights:
            zero = (mean.detach().abs() < ZERO).float().mean().item()
            found["sparse"] = sparse_code(mean).mean(), "zero_share", zero
        return found

    def _move(self, metrics: dict[str, float], loss: float, step: int) -> None:
        """Every controller takes a step; β's only while the encoder learns a rate."""
        measured = metrics | {"progress": controllers.progress(self.controller, loss)}
        for control in self.controls:
            if control.quantity in measured and (control.weight != "beta" or self._learns_a_rate(step)):
                controllers.move(self.controller, control, measured[control.quantity])
        metrics["progress"] = measured["progress"]

    def interval_metrics(self) -> dict[str, float]:
        means = torch.cat(self.moments)
        self.moments = []
        used, self.used = int(self.used.sum()), torch.zeros_like(self.used)
        return {"active_units": int((means.var(0) > ACTIVE_VARIANCE).sum()), "codes_used": used, "mean_std": means.std().item()}

    def sheet(self, model: nn.Module, path: Path) -> None:
        """Never-seen drawings above their reconstruction from tokens."""
        device = next(model.parameters()).device
        image = self.shown.batch(range(0, len(self.shown), max(1, len(self.shown) // 48)), device)[:48]
        seen = model.vae.decode_tokens(model.vae.encode_tokens(image))
        image = at_side(image, seen.shape[-1])
        save_sheet(path, [image, seen])
        with open(path.parent / "sheets.csv", "a") as file:
            file.write(f"{path.stem},{psnr_on_white(image, seen).mean().item():.3f}\n")
