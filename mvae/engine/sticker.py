"""What the engine hands back."""

from dataclasses import dataclass, field

from PIL import Image

from mvae.engine.options import Options


@dataclass(frozen=True)
class Sticker:
    """A drawing, whole or (while streaming) in part."""

    image: Image.Image
    """RGBA, straight alpha, the model's image size square."""
    tokens: tuple[int, ...]
    """Row-major grid; positions not drawn yet hold the mask token."""
    latent_id: str
    """Only models of this latent can decode the tokens."""
    timings: dict[str, float]
    """Milliseconds of each stage so far: ``text`` (tokenizer, encoder), ``tokens`` (decoder and sampling), ``decode``
    (tokens → image). Nothing in them was cached; previews of a stream are not counted."""
    share: float = 1.0
    """Drawn part of the grid, in (0, 1]; 1 when finished."""
    seed: int = 0
    index: int = 0
    """Which of the images of this seed."""
    options: Options = field(default_factory=Options)
    prompt_was_cut: bool = False
    """Whether the prompt was longer than the model reads."""
    recalled: tuple[int, ...] = ()
    """Stickers of the memory (:meth:`Model.memory_with`) that were read beside the prompt, in its order."""
    colours: tuple[str | None, ...] = ()
    """The colour that each of these was read in; None: its own."""


@dataclass(frozen=True)
class Decoded:
    """A picture of given tokens, and how long making it took."""

    image: Image.Image
    timings: dict[str, float]
    """``decode``, in milliseconds."""
