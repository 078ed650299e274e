"""The tables of ``reproduce experiments`` in the paper's layout, in Markdown, from the study's CSV alone. Needs neither torch nor
numpy."""

from statistics import fmean

from mvae.evaluate.paper_training import AVERAGES, DYNAMIC, FIXED, SECONDS, TRAINING, averages
from mvae.evaluate.study_tables import Rows, table

ORDINALS = ("First", "Second", "Third", "Fourth")
TERMS = ("loss", "kl", "likelihood")


def arms_of(rows: Rows) -> list[str]:
    """In the order of the file."""
    return list(dict.fromkeys(row["arm"] for row in rows))


def prompts_of(rows: Rows) -> list[str]:
    """In the order of the file."""
    return list(dict.fromkeys(row["prompt"] for row in rows))


def last_of(rows: Rows, arm: str, prompt: str | None = None) -> dict[str, str]:
    """The last epoch's row of an arm, for one prompt or the first."""
    return max((r for r in rows if r["arm"] == arm and prompt in (None, r["prompt"])), key=lambda row: int(row["epoch"]))


def shown(rows: Rows) -> Rows:
    """The rows of Tables 1-4: the first epoch, and every tenth part of the training."""
    tenth = max(1, int(rows[0]["epochs"]) // 10)
    return [row for row in rows if int(row["epoch"]) == 1 or int(row["epoch"]) % tenth == 0]


def experiments_table(rows: Rows) -> list[str]:
    """For the README: how every experiment ended."""
    first = rows[0]
    about = (
        f"The paper's protocol: {first['epochs']} epochs of the drawings of one prompt each at 32 px; nats an image, at the end. "
        "Fixed and dynamic: the settings of its Tables 7 and 8, the latter with a controller that holds the KL by moving β. "
        "Averaged: a common mistake, the likelihood averaged over pixels, which makes the KL vanish. Held back: drawings not "
        "trained on. [All tables and pictures](docs/EXPERIMENTS.md)."
    )
    head = [
        "prompt", "settings", "images", "−ELBO", "KL", "likelihood term", "active units", "−ELBO, held back", "PSNR, dB",
        "training, s",
    ]
    body = []
    for prompt in prompts_of(rows):
        for arm in arms_of(rows):
            row = last_of(rows, arm, prompt)
            body.append([
                prompt, arm, row["images"], *(number(row[name], 1) for name in TERMS),
                f"{number(row['active_units'], 0)} of {row['latent']}", number(row["held_out"], 1), number(row["psnr"], 1),
                number(row["seconds"], 0),
            ])
    return ["### The paper's experiments, rerun", "", about, "", *table(head, body)]


def claims_table() -> list[str]:
    """The ends of the paper's Tables 1-4, and how much of the bound's fall is the KL's, by both readings of the term."""
    head = [
        "experiment", "KL", "likelihood term", "printed loss", "−ELBO if the term is log p", "the KL's part of its fall",
        "the KL's part of the loss's fall",
    ]
    body = []
    for ordinal, rows in zip(ORDINALS, TRAINING, strict=True):
        (loss, kl, fit), (loss_end, kl_end, fit_end) = rows[0], rows[-1]
        before, after = kl - fit, kl_end - fit_end
        body.append([
            ordinal, f"{kl:.1f} → {kl_end:.1f}", f"{fit:.1f} → {fit_end:.1f}", f"{loss:.1f} → {loss_end:.1f}",
            f"{before:.1f} → {after:.1f}", f"{100 * (kl - kl_end) / (before - after):.0f} %",
            f"{100 * (kl - kl_end) / (loss - loss_end):.0f} %",
        ])
    return table(head, body)


def training_table(rows: Rows, prompt: str) -> list[str]:
    """Tables 1-4: loss, KL and likelihood term of one prompt's runs, and the active units."""
    mine, arms = [row for row in shown(rows) if row["prompt"] == prompt], arms_of(rows)
    head = ["epoch"]
    for arm in arms:
        head += [f"{arm}: −ELBO", "KL", "likelihood term", "active"]
    body = []
    for epoch in sorted({int(row["epoch"]) for row in mine}):
        line = [f"{epoch}/{mine[0]['epochs']}"]
        for arm in arms:
            row = next(row for row in mine if row["arm"] == arm and int(row["epoch"]) == epoch)
            line += [*(number(row[name], 2) for name in TERMS), number(row["active_units"], 0)]
        body.append(line)
    return table(head, body)


def average_table(rows: Rows) -> list[str]:
    """Table 5: means of all rows of Tables 1-4, ours and the paper's, and what it prints."""
    head = ["metric", *arms_of(rows), "paper's Tables 1-4, averaged", "claimed in its Table 5"]
    body = []
    for place, (name, title) in enumerate(zip(TERMS, ("loss", "KL divergence", "likelihood term"), strict=True)):
        ours = [fmean(float(row[name]) for row in shown(rows) if row["arm"] == arm) for arm in arms_of(rows)]
        body.append([title, *(f"{value:.2f}" for value in ours), f"{averages()[place]:.2f}", f"{AVERAGES[place]:.2f}"])
    active = [fmean(float(row["active_units"]) for row in shown(rows) if row["arm"] == arm) for arm in arms_of(rows)]
    return table(head, [*body, ["active units", *(f"{value:.1f}" for value in active), "–", "–"]])


def seconds_table(rows: Rows) -> list[str]:
    """Table 6: seconds of the whole training, by the clock and of the processor."""
    arms, prompts = arms_of(rows), prompts_of(rows)
    head = ["experiment", "images", *(f"{arm}, s (processor)" for arm in arms), "claimed, s"]
    body, sums = [], {arm: [0.0, 0.0] for arm in arms}
    for number_, prompt in enumerate(prompts):
        line = [prompt, last_of(rows, arms[0], prompt)["images"]]
        for arm in arms:
            pair = [float(last_of(rows, arm, prompt)[name]) for name in ("seconds", "processor_seconds")]
            sums[arm] = [a + b for a, b in zip(sums[arm], pair, strict=True)]
            line.append(f"{pair[0]:.0f} ({pair[1]:.0f})")
        body.append([*line, str(SECONDS[number_]) if number_ < len(SECONDS) else "–"])
    means = [f"{sums[arm][0] / len(prompts):.0f} ({sums[arm][1] / len(prompts):.0f})" for arm in arms]
    return table(head, [*body, ["average", "", *means, f"{fmean(SECONDS):.1f}"]])


def settings_table(rows: Rows) -> list[str]:
    """Tables 7 and 8: settings, ours and the paper's."""
    head = ["setting", *arms_of(rows), "claimed in Table 7", "claimed in Table 8"]
    lasts = [last_of(rows, arm) for arm in arms_of(rows)]
    names = {"epochs": "epochs", "batch": "batch size", "learning_rate": "learning rate", "optimiser": "optimiser"}
    body = [[said, *(row[name] for row in lasts), str(FIXED[name]), str(DYNAMIC[name])] for name, said in names.items()]
    body.append(["rate target, nats", *(number(row["target"], 0) for row in lasts), "–", "–"])
    betas = [fmean(float(last_of(rows, arm, prompt)["beta"]) for prompt in prompts_of(rows)) for arm in arms_of(rows)]
    body.append(["β at the end, mean", *(f"{beta:.3g}" for beta in betas), "–", "–"])
    return table(head, [*body, ["images", *("emoji" for _ in lasts), "LAION-5B", "LAION-5B"]])


def number(value: str, digits: int) -> str:
    """With so many decimals, or a dash where nothing was measured."""
    return f"{float(value):.{digits}f}" if value else "–"
