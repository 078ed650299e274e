"""One hundred fixed prompts, drawn by a model: the real drawing, the same through the tokens, what is generated, side by side.

Sixty captions that were trained on cover every group of emoji and every style, sixteen are of concepts that never were
(``sheet_prompts.tsv``), and twenty-four ask for combinations that are in no data set and held out of training.
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from mvae.data.compose import Composer
from mvae.data.dataset import load_pictures
from mvae.engine.model import Model, load
from mvae.errors import DataError
from mvae.evaluate.drawings import Stored, list_drawings
from mvae.evaluate.probes import held_out_scenes, straight
from mvae.files import write_atomic
from mvae.training.sheets import checkerboard

PROMPTS = Path(__file__).with_name("sheet_prompts.tsv")
SIZE = 128
"""Side in pixels of what is combined."""
COMBINED = {"colour": 6, "shade": 2, "background": 3, "place": 3, "count": 4, "beside": 3, "above": 3}
"""Combinations of each kind."""
COLUMNS, SIDE, TEXT, GAP, HEAD = 10, 80, 18, 8, 34
"""Cells a row; pixels of a picture, of the line below it, between cells, and of the title."""


def read_prompts() -> list[tuple[str, str]]:
    """(style, label) of every prompt."""
    return [tuple(line.split("\t")) for line in PROMPTS.read_text(encoding="utf-8").splitlines()]


def find_drawings(data: Path) -> list[Stored]:
    """The real drawing of every prompt in the file. Raises :class:`DataError` where one is missing."""
    known = {(drawing.style, drawing.label): drawing for drawing in list_drawings(data, "train")}
    missing = [prompt for prompt in read_prompts() if prompt not in known]
    if missing:
        raise DataError(f"{data}: no drawings of {missing[:3]}; expected those of all {len(read_prompts())} prompts")
    return [known[prompt] for prompt in read_prompts()]


def combine(data: Path) -> list[Stored]:
    """Prompts for combinations, with the real drawings combined."""
    pictures = load_pictures(data, size=SIZE, split="train", progress=False)
    composer, found = Composer(pictures.pixels, pictures.meta), []
    for kind, count in COMBINED.items():
        for scene in held_out_scenes(composer, kind, count):
            meta, buffer = pictures.meta[scene.parts[0].picture], io.BytesIO()
            Image.fromarray(straight(composer.draw(scene)[None])[0]).save(buffer, "PNG")
            found.append(Stored(meta["concept"], scene.words, meta["group"], meta["style"], "unseen", buffer.getvalue()))
    return found


def on_checkerboard(image: Image.Image) -> Image.Image:
    """RGBA → RGB of ``SIDE`` pixels on the checkerboard that shows transparency."""
    small = image.convert("RGBA").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    board = Image.fromarray((255 * checkerboard(SIDE).repeat(3, 2)).astype(np.uint8))
    board.paste(small, (0, 0), small)
    return board


def draw_sheet(model: Model, drawings: list[Stored], seed: int) -> Image.Image:
    """All cells in the order of the prompts; ``*`` marks what was never trained on."""
    width, height = 3 * SIDE + GAP, SIDE + TEXT + GAP
    sheet = Image.new("RGB", (COLUMNS * width + GAP, -(-len(drawings) // COLUMNS) * height + HEAD + GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    title = f"{model.name}, seed {seed}: real drawing, the same through the tokens, generated from style and words."
    pen.text((GAP, GAP), f"{title}  * never trained on", fill="black", font=ImageFont.load_default(16))
    for number, drawing in enumerate(tqdm(drawings, desc=model.name, unit="prompt")):
        real = Image.open(io.BytesIO(drawing.image)).convert("RGBA")
        shown = (real, model.decode(model.encode(real)), model.generate(drawing.label, style=drawing.style, seed=seed).image)
        left, top = GAP + number % COLUMNS * width, HEAD + GAP + number // COLUMNS * height
        for place, picture in enumerate(shown):
            sheet.paste(on_checkerboard(picture), (left + place * SIDE, top))
        mark = "*" if drawing.split == "unseen" else ""
        pen.text((left, top + SIDE + 1), f"{drawing.style} {drawing.label}{mark}"[:38], fill="black", font=font)
    return sheet


def write_sheet(name: str, data: Path, folder: Path, seed: int = 0, zoo: Path | None = None) -> Path:
    """``FOLDER/NAME.png``. Raises what loading the model and reading the data raise."""
    drawings, path = [*find_drawings(data), *combine(data)], folder / f"{name}.png"
    sheet = draw_sheet(load(name, threads=1, folder=zoo), drawings, seed)
    buffer = io.BytesIO()
    sheet.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, buffer.getvalue())
    return path
