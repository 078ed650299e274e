"""The model card of a zoo entry, ``README.md``, generated from the entry's own files: nothing in it is typed by hand.

    python -m zoo.card zoo/models/small     write the card again and refresh the manifest
"""

import json
import os
import sys
import tempfile
from pathlib import Path

from mvae.config import LEVELS, VaeConfig
from mvae.errors import IntegrityError, MvaeError
from zoo import manifest
from zoo.shortcomings import bench_times, shortcomings

CARD = "README.md"
GRAPHS = ("encoder_model", "decoder_model_merged", "vae_encoder", "vae_decoder")
PARITY = (
    ("logits_error", "logits: error", "{:.2g}"),
    ("likeliest_token_share", "same likeliest token", "{:.1%}"),
    ("image_token_share", "images: same token", "{:.1%}"),
    ("decoded_psnr", "stickers: PSNR (dB)", "{:.1f}"),
)
LEVEL_NOTES = {
    "fp32": "reference: Optimum's export with fused attention",
    "fp16": "weights stored in half precision and widened once at load; float32 arithmetic",
    "int8": "static QDQ for convolutions (uint8 activations, int8 weights per channel), dynamic int8 for products and embeddings",
}


def write_card(entry: Path) -> None:
    """Write ``README.md`` atomically; the caller refreshes the manifest. Raises IntegrityError for a malformed entry."""
    text = card(entry)
    handle, partial = tempfile.mkstemp(dir=entry, prefix=".card-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(partial, 0o644)
        os.replace(partial, entry / CARD)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def card(entry: Path) -> str:
    """The card's Markdown, front matter of the Hub included."""
    listed = manifest.read(entry)
    vae = VaeConfig.from_dict(_json(entry, "vae_config.json"))
    seq2seq, parity = _json(entry, "config.json"), _json(entry, "parity.json")
    sizes = {level: [_bytes(listed, graph, level) for graph in GRAPHS] for level in LEVELS}
    sizes = {level: row for level, row in sizes.items() if None not in row}
    grid = "×".join(map(str, vae.latent.shape)) + (f" positions of {vae.depth}" if vae.depth > 1 else "")
    tools = ", ".join(f"{name} {version}" for name, version in sorted(listed.tools.items()))
    return "\n".join([
        *_front_matter(listed), "",
        f"# mVAE `{listed.name}`", "",
        f"Text → sticker: a sequence-to-sequence transformer writes {vae.latent.positions} tokens ({grid}, "
        f"{vae.latent.codebook} values each), a convolutional VAE decodes them to {vae.sticker_size}×{vae.sticker_size} RGBA "
        "pixels. Made by `python -m export`, which also wrote this card.", "",
        f"* latent: `{vae.latent_id}` (entries with equal ids exchange tokens)",
        f"* transformer: {seq2seq['encoder_layers']}+{seq2seq['decoder_layers']} layers, width {seq2seq['d_model']}, "
        f"vocabularies {seq2seq['vocab_size']} and {seq2seq['decoder_vocab_size']}",
        *_memory_row(listed, seq2seq),
        f"* VAE channels: encoder {_row(vae.encoder_widths)}, decoder {_row(vae.decoder_widths)}", "",
        "## Levels", "",
        "| level | " + " | ".join(GRAPHS) + " | bytes in all | of fp32 | how |", "|---|" + "---:|" * (len(GRAPHS) + 2) + "---|",
        *(_level_row(level, row, sizes.get("fp32")) for level, row in sizes.items()), "",
        *_against(listed.name, {level: sum(row) for level, row in sizes.items()}),
        "## Agreement with PyTorch", "",
        "On the inputs of `golden.npz`. *Error* is the root mean square difference over the reference's standard deviation.", "",
        "| level | " + " | ".join(label for _, label, _ in PARITY) + " |", "|---|" + "---:|" * len(PARITY),
        *(_parity_row(level, found) for level, found in parity.items()), "",
        "## Use", "",
        "```python", "import mvae", f'model = mvae.load("{listed.name}-{list(sizes)[-1] if sizes else "fp32"}")',
        'model.generate("red apple", seed=0).image.save("apple.png")', "```", "",
        "The transformer's files are Optimum's and load with `ORTModelForSeq2SeqLM`. Attention uses fused operators of "
        "ONNX Runtime, which other runtimes may lack. On x86 processors without 8-bit dot products (AVX2 alone) int8 products "
        "overflow unless the session option `session.x64quantprecision` is `1`, as `mvae` sets it; inside the merged decoder it "
        "does not act, so take fp16 there.", "",
        "## Limits", "",
        "Draws stickers in the manner of its training pictures, of the things that their captions name. It knows no "
        "facts, writes no text, and what it was not shown it cannot draw.", "",
        "## Licence and credits", "",
        f"Weights: {listed.licence}. Trained on:", "",
        *(f"* {line}" for line in listed.credits), "",
        "## Training run", "", "```json", json.dumps(listed.training, indent=1, ensure_ascii=False), "```", "",
        f"Tools: {tools}; ONNX opset {listed.opset}.", "",
    ])


def _front_matter(listed: manifest.Manifest) -> list[str]:
    return ["---", f"license: {listed.licence.lower()}", "pipeline_tag: text-to-image", "library_name: onnx", "language: en",
            "tags:", *(f"- {tag}" for tag in ("onnx", "vae", "stickers", "marian", "transformers.js")), "---"]


def _parity_row(level: str, found: dict) -> str:
    return f"| {level} | " + " | ".join(form.format(found[name]) for name, _, form in PARITY) + " |"


def _level_row(level: str, sizes: list[int], reference: list[int] | None) -> str:
    share = f"{sum(sizes) / sum(reference):.2f}×" if reference else ""
    return f"| {level} | " + " | ".join(f"{size:,}" for size in (*sizes, sum(sizes))) + f" | {share} | {LEVEL_NOTES[level]} |"


def _against(name: str, sizes: dict[str, int]) -> list[str]:
    """A level that is not smaller or not faster than a larger one says so."""
    if name.endswith("-pruned"):
        return []
    said = shortcomings({f"{name}-{level}": size for level, size in sizes.items()}, bench_times())
    return [*(f"* `{model}`: {', '.join(notes)}" for model, notes in said.items()), ""] if said else []


def _memory_row(listed: manifest.Manifest, seq2seq: dict) -> list[str]:
    if not seq2seq.get("memory"):
        return []
    read = f"the tokens of the {seq2seq['memory']} sticker(s) whose captions lie nearest"
    if seq2seq.get("small_copies"):
        pages = seq2seq["memory"]
        read = f"{pages} pages of tokens: stickers whose captions lie nearest, on the last page two of them at half size"
    return [f"* memory: beside the prompt the transformer reads {read}, from `memory.npz` "
            f"({listed.files['memory.npz'].bytes:,} bytes, loaded at every level)"]


def _bytes(listed: manifest.Manifest, graph: str, level: str) -> int | None:
    record = listed.files.get(f"onnx/{graph}{'' if level == 'fp32' else '_' + level}.onnx")
    return record.bytes if record else None


def _row(widths: tuple[int, ...]) -> str:
    return "-".join(map(str, widths))


def _json(entry: Path, name: str) -> dict:
    try:
        values = json.loads((entry / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise IntegrityError(f"{entry / name}: cannot be read as JSON ({error})") from None
    if not isinstance(values, dict):
        raise IntegrityError(f"{entry / name}: expected a JSON object, got {type(values).__name__}")
    return values


def main(arguments: list[str]) -> int:
    """Write the cards of the entries named on the command line; returns the exit code."""
    if not arguments:
        print("usage: python -m zoo.card ENTRY …", file=sys.stderr)
        return 2
    try:
        for name in arguments:
            write_card(Path(name))
            manifest.refresh(Path(name))
    except MvaeError as error:
        print(f"zoo.card: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
