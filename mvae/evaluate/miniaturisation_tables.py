"""The README's tables of the studies of miniaturisation, in Markdown. Needs neither torch nor numpy."""

from mvae.evaluate.experiment_tables import experiments_table
from mvae.evaluate.speed_table import speed_table
from mvae.evaluate.study_tables import STUDIES, Rows, share, table
from mvae.evaluate.system_tables import SYSTEM_STUDIES
from mvae.evaluate.table9_table import table9_table


def ablation_table(rows: Rows) -> list[str]:
    """``reproduce ablation``: a row for each technique alone, for all, and for all but one."""
    about = (
        f"A small mVAE of digits at 32 px (MNIST), {rows[0]['vae_steps']} and {rows[0]['word_steps']} steps a row, "
        f"{rows[0]['seeds']} "
        "seeds: mean ± standard deviation. CGA: share of drawn digits that a classifier names rightly, which names "
        f"{float(rows[0]['real_ceiling']):.3f} of real ones. −ELBO with ink N(·, .1²), so it may be below 0. Teachers' "
        f"training is "
        "not counted. Times on one thread, a process each. [The plot](docs/ablation.png)."
    )
    head = [
        "technique", "level", "parameters", "MMAC a prompt", "kB", "encode, ms", "decode, ms", "prompt, ms", "p95", "memory, MB",
        "PSNR, dB", "CGA", "token ceiling", "−ELBO, nats", "zeros", "training, s",
    ]
    body = [
        [
            row["arm"], row["level"], f"{float(row['parameters']) / 1e3:.0f} k", f"{float(row['macs_prompt']) / 1e6:.1f}",
            f"{float(row['bytes']) / 1e3:.0f}", *(_spread(row, name, 2) for name in ("encode_ms_p50", "decode_ms_p50")),
            _spread(row, "total_ms_p50", 1), f"{float(row['total_ms_p95']):.1f}", f"{float(row['peak_memory_bytes']) / 1e6:.0f}",
            _spread(row, "psnr", 2), _spread(row, "cga", 3), _spread(row, "token_ceiling", 3), _spread(row, "negative_elbo", 0),
            share(row["zero_share"]), f"{float(row['seconds']):.0f}",
        ]
        for row in rows
    ]
    return ["### What each technique of miniaturisation costs and buys", "", about, "", *table(head, body)]


def networks_table(rows: Rows) -> list[str]:
    """``reproduce networks``: layers, neurons, latent dimension and sparse codes."""
    about = (
        f"A VAE of binarised MNIST (two layers of 400, latent 20), one thing changed at a time; {rows[0]['epochs']} "
        f"epochs of 10,000 "
        f"images, {rows[0]['seeds']} seeds. Zeros: share of the code's coordinates that soft thresholding at .1 makes "
        f"exactly zero; "
        "distortion of that code in brackets."
    )
    head = ["changed", "parameters", "MMAC", "decode, ms", "−ELBO, nats", "rate", "distortion", "active units", "zeros"]
    body = [
        [
            row["arm"], f"{float(row['parameters']) / 1e3:.0f} k", f"{float(row['macs']) / 1e6:.2f}",
            f"{float(row['decode_ms']):.3f}",
            _spread(row, "negative_elbo", 2), f"{float(row['rate']):.1f}",
            f"{float(row['distortion']):.1f} ({float(row['thresholded_distortion']):.1f})", f"{float(row['active_units']):.1f}",
            share(row["zeros"]),
        ]
        for row in rows
    ]
    return ["### Layers, neurons, latent dimensions, sparse codes", "", about, "", *table(head, body)]


def tuning_table(rows: Rows) -> list[str]:
    """``reproduce tuning``: fixed and tuned settings at a few epochs, and how many each needs."""
    ends = {row["arm"]: row for row in rows}
    epochs, fixed = int(ends["fixed"]["epoch"]), float(ends["fixed"]["negative_elbo"])
    reached = next((row["epoch"] for row in rows if row["arm"] == "tuned" and float(row["negative_elbo"]) <= fixed), None)
    about = (
        f"A VAE of binarised MNIST, {ends['fixed']['seeds']} seeds. Fixed are the paper's settings (Table 7); tuned is "
        f"the best of "
        f"{ends['tuned']['trials']} trials of {ends['tuned']['search_epochs']} epochs ({ends['tuned']['trials_pruned']} "
        f"given up early), "
        "chosen on other images than are tested. The tuned run is where the fixed one ends after "
        + (f"{reached} of {epochs} epochs" if reached else f"more than {epochs} epochs")
        + "; the paper says 1000 of 5000. [The curves](docs/tuning.png)."
    )
    shown = sorted({1, max(1, epochs // 6), max(1, epochs // 3), epochs})
    head = ["settings", "batch", "optimiser", "learning rate", "schedule", *(f"−ELBO after {n}" for n in shown), "s an epoch"]
    body = []
    for arm, last in ends.items():
        values = {int(row["epoch"]): row for row in rows if row["arm"] == arm}
        body.append(
            [arm, last["batch"], last["optimiser"], f"{float(last['learning_rate']):.2g}", last["schedule"],
             *(_spread(values[n], "negative_elbo", 2) for n in shown), f"{float(last['seconds']):.2f}"]
        )
    return ["### Fixed and tuned settings", "", about, "", *table(head, body)]


def refine_table(rows: Rows) -> list[str]:
    """``reproduce refine``: the encoder's posterior, and that after gradient steps."""
    about = (
        f"−ELBO of {rows[0]['pictures']} never-seen drawings (Gaussian, variance {rows[0]['variance']} of a channel) "
        f"with the encoder's "
        "posterior and after gradient steps on each picture's own; the gap is what the steps win under their own noise, "
        "and under "
        "noise that they never saw. PSNR and equal tokens are those of the rounded posterior mean."
    )
    head = [
        "posterior", "−ELBO, nats", "gap", "gap, other noise", "PSNR through tokens, dB", "tokens as the encoder's",
        "ms a picture",
    ]
    body = [
        [
            row["arm"], f"{float(row['negative_elbo']):.0f}", f"{float(row['gap']):.0f} ± {float(row['gap_sd']):.0f}",
            f"{float(row['held_noise_gap']):.0f}", f"{float(row['psnr']):.2f}", share(row["same_tokens"]),
            f"{float(row['ms']):.0f}",
        ]
        for row in rows
    ]
    return ["### What refinement buys", "", about, "", *table(head, body)]


def tiny_decoder_table(rows: Rows) -> list[str]:
    """``reproduce tiny-decoder``: time of our decoders and of AutoencoderTiny's."""
    about = (
        "Decoders at equal picture size, ONNX Runtime, one thread, in turns, medians; AutoencoderTiny (diffusers) has "
        "random weights: "
        "only time is compared. Ours includes reading the tokens and writing 8-bit RGBA."
    )
    head = ["model", "side, px", "decode, ms", "p95", "AutoencoderTiny, ms", "p95", "times as fast"]
    body = [
        [
            f"`{row['arm']}`", row["side"],
            *(f"{float(row[name]):.2f}" for name in ("decode_ms", "decode_ms_p95", "tiny_ms", "tiny_ms_p95")),
            f"{float(row['times_faster']):.1f}",
        ]
        for row in rows
    ]
    return ["### Beside AutoencoderTiny", "", about, "", *table(head, body)]


def _spread(row: dict[str, str], name: str, digits: int) -> str:
    spread = float(row[f"{name}_sd"])
    return f"{float(row[name]):.{digits}f}" + (f" ± {spread:.{digits}f}" if spread else "")


ALL_STUDIES = {
    **STUDIES, "ablation": ablation_table, "networks": networks_table, "tuning": tuning_table, "refine": refine_table,
    "tiny-decoder": tiny_decoder_table, **SYSTEM_STUDIES, "experiments": experiments_table, "speed": speed_table,
    "table9": table9_table,
}
"""By the first words of a result file's name."""
