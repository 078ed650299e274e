"""The README's tables of the studies that ``python -m mvae reproduce`` runs, in Markdown. Needs neither torch nor numpy."""

Rows = list[dict[str, str]]


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a Markdown table."""
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(row) + " |" for row in rows)]


def latent_table(rows: Rows) -> list[str]:
    """``reproduce latent``: what each arm's tokens keep of never-seen drawings, and what they cost."""
    about = (
        f"VAEs of about equal size, {rows[0]['steps']} steps of {rows[0]['batch']} pictures each: far less than for a model, "
        "enough to tell latents apart. Scores are of concepts never trained on; milliseconds are what the token count costs the "
        "default model's transformer on one thread. [The plot](docs/latent.png)."
    )
    head = [
        "latent", "what differs", "tokens", "bytes", "KL, nats", "token ceiling", "of real ceiling", "PSNR, dB", "SSIM",
        "perceptual distance", "codes used", "transformer, ms",
    ]
    body = [
        [
            f"`{row['arm']}`", row["about"], row["tokens"], row["bytes"], f"{float(row['kl_nats']):.0f}",
            share(row["token_ceiling"]), share(row["of_real_ceiling"]), f"{float(row['psnr']):.2f}", share(row["ssim"]),
            share(row["perceptual"]),
            f"{row['codes_used']} of {row['codebook']}", f"{float(row['tokens_ms']):.0f}",
        ]
        for row in rows
    ]
    return ["### How the latent was chosen", "", about, "", *table(head, body)]


def decoder_table(rows: Rows) -> list[str]:
    """``reproduce decoder``: one finished VAE, its decoder fine-tuned by several losses."""
    about = (
        f"The decoder of one finished VAE, fine-tuned for {rows[-1]['steps']} steps of {rows[-1]['batch']} pictures on exact "
        "tokens, the encoder standing still. Scores are of concepts never trained on, trained ones in brackets."
    )
    head = ["loss", "what differs", "token ceiling", "of real ceiling", "top 5", "PSNR, dB", "SSIM", "perceptual distance"]
    body = [
        [
            row["arm"], row["about"], f"{share(row['token_ceiling'])} ({share(row['token_ceiling_seen'])})",
            share(row["of_real_ceiling"]), share(row["token_ceiling_5"]),
            f"{float(row['psnr']):.2f} ({float(row['psnr_seen']):.2f})", share(row["ssim"]), share(row["perceptual"]),
        ]
        for row in rows
    ]
    return ["### What fine-tuning the decoder buys", "", about, "", *table(head, body)]


def seq2seq_table(rows: Rows) -> list[str]:
    """``reproduce seq2seq``: one decision an arm."""
    about = (
        f"Seq2seqs on the tokens of one VAE, {rows[0]['steps']} steps of {rows[0]['batch']} captions each: far less than for a "
        "model. Nats a token of exact stickers, and the share of freely drawn trained ones in which the judge names the object."
    )
    head = ["arm", "what differs", "trained, nats", "never seen, nats", "object", "top 5", "parameters", "seconds a step"]
    body = [
        [
            f"`{row['arm']}`", row["about"], f"{float(row['nats_trained']):.2f}", f"{float(row['nats_unseen']):.2f}",
            share(row["object"]), share(row["object_5"]), f"{int(row['parameters']) / 1e6:.1f} M",
            f"{float(row['seconds_per_step']):.2f}",
        ]
        for row in rows
    ]
    return ["### What each decision about the seq2seq is worth", "", about, "", *table(head, body)]


def memory_table(rows: Rows) -> list[str]:
    """``reproduce memory``: the arms on every set of stickers asked for."""
    about = (
        "Seq2seqs trained for equal time and of equal bytes (one byte a weight, the memory counted). Share of stickers in which "
        "the judge names the object, and that have the colour asked for."
    )
    head = ["asked for", "drawn by", "guidance", "object", "object, top 5", "colour", "stickers", "MB", "steps"]
    body = [
        [
            row["set"], row["arm"], row["guidance"] or "–",
            *(share(row[name]) for name in ("object", "object_5", "colour")), row["stickers"],
            f"{int(row['bytes']) / 1e6:.1f}" if row["bytes"] else "–", row["steps"] or "–",
        ]
        for row in rows
    ]
    return ["### A memory of stickers, and none", "", about, "", *table(head, body)]


def prompts_table(rows: Rows) -> list[str]:
    """``reproduce prompts``: one model on every set of prompts."""
    about = (
        "Each score stands beside the same measure of real pictures, as they are and through the model's tokens; other words and "
        "languages stand beside the same drawings asked for by label. *Tokens as nearest*: share of a sticker's tokens that its "
        "nearest training drawing has at the same place; *recited*: share of stickers that are one, nearly."
    )
    head = [
        "asked for", "object", "of label", "token ceiling", "real ceiling", "as asked", "through tokens", "real",
        "tokens as nearest", "recited", "stickers",
    ]
    names = (
        "object", "of_label", "token_object", "real_object", "attribute", "token_attribute", "real_attribute",
        "tokens_as_nearest", "recited",
    )
    body = [[f"{row['set']}: {row['asked']}", *(share(row[name]) for name in names), row["stickers"]] for row in rows]
    title = f"### Other words, languages and combinations: `{rows[0]['model']}`"
    return [title, "", about, "", *table(head, body)]


def share(value: str) -> str:
    """Three digits, or a dash where nothing was measured."""
    return f"{float(value):.3f}" if value else "–"


STUDIES = {
    "latent": latent_table, "decoder": decoder_table, "seq2seq": seq2seq_table, "memory": memory_table, "prompts": prompts_table,
}
"""By the first word of a result file's name."""
