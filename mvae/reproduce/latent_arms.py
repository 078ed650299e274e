"""What the latent is chosen among: VAEs of about equal size, at 128 px, that differ in one decision each."""

from dataclasses import replace

from mvae.config import VaeConfig
from mvae.reproduce.arms import Arm
from mvae.training.recipe import Schedule, VaeStage

REFERENCE = "8x8"


def _widths(grid: int) -> dict:
    """Channels and blocks that give every grid about the same number of parameters, spent where pixels are few."""
    if grid <= 12:
        return {
            "encoder_widths": (48, 80, 128), "encoder_blocks": (1, 1, 1),
            "decoder_widths": (144, 96, 64), "decoder_blocks": (2, 2, 1),
        }
    return {"encoder_widths": (64, 144), "encoder_blocks": (1, 1), "decoder_widths": (152, 64), "decoder_blocks": (3, 1)}


def arms(steps: int, batch: int) -> list[Arm]:
    """Every arm, trained for ``steps`` of ``batch`` pictures. The rate target grows with what the tokens can carry."""
    schedule = Schedule(
        steps=steps, batch=batch, learning_rate=2e-3, warmup=50, optimiser="muon", hidden_learning_rate=5e-3, sheet_minutes=60
    )
    reference = VaeStage(
        config=VaeConfig(image_size=128, **_widths(8)), schedule=schedule, rate_nats=400.0, beta=3e-5, noisy_share=0.25,
        freeze_encoder_from=0.8, freeze_statistics_from=0.85, squared=8.0, gradient=0.75,
    )

    def arm(name: str, about: str, *, rate: float = 400.0, loss: dict | None = None, **config) -> Arm:
        wanted = replace(reference.config, **_widths(config.get("grid", 8)), **config)
        return Arm(name, about, replace(reference, config=wanted, rate_nats=rate, **(loss or {})))

    return [
        arm(REFERENCE, "8×8 positions, 8 levels of 4 coordinates: 64 tokens of 4096"),
        arm("8x8-L4C6", "4 levels of 6 coordinates", levels=4, coordinates=6),
        arm("8x8-L16C3", "16 levels of 3 coordinates", levels=16, coordinates=3),
        arm("8x8-L2C12", "2 levels of 12 coordinates", levels=2, coordinates=12),
        arm("8x8-rate330", "KL held near 330 nats", rate=330.0),
        arm("8x8-rate470", "KL held near 470 nats", rate=470.0),
        arm("8x8-L1", "squared error weighted 2 instead of 8", loss={"squared": 2.0}),
        arm("8x8-perceptual", "perceptual distance in the last half", loss={"perceptual": 0.6, "perceptual_from": 0.5}),
        arm("8x8-shortcuts", "a way round the convolutions that change the resolution", shortcuts=True),
        arm("8x8x2", "two tokens a position", depth=2, rate=800.0),
        arm("8x16", "8 rows of 16", columns=16, rate=800.0),
        arm("12x12", "12×12 positions", grid=12, rate=900.0),
        arm("16x16", "16×16 positions", grid=16, rate=1600.0),
        arm("16x16-L4C3", "16×16 positions, 4 levels of 3 coordinates", grid=16, levels=4, coordinates=3, rate=800.0),
    ]
