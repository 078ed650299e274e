"""Public calls of the app, for ``gradio_client`` and MCP clients. Their components are never drawn."""

from contextlib import contextmanager

import gradio as gr
from PIL import Image

from mvae.config import PROMPT_MAX_CHARACTERS, STYLES
from mvae.errors import MvaeError, OptionError
from ui.charts import Speed
from ui.generate import ENGINE, REPEATS
from ui.library import Library


@contextmanager
def _readable_errors():
    """A caller gets the message of a typed error, without a trace in the log."""
    try:
        yield
    except MvaeError as error:
        raise gr.Error(str(error), print_exception=False) from error


def build_api(library: Library) -> None:
    """Register ``/generate``, ``/decode``, ``/measure`` and ``/models`` inside the current ``gr.Blocks``."""

    def generate(prompt: str, style: str, model: str, seed: int, guidance: float, temperature: float) -> tuple[Image.Image, dict]:
        """Draw a sticker from a text prompt, with a transparent background.

        Args:
            prompt: What the sticker shows, in a few English words, for example "a red apple".
            style: Drawing style: noto, twemoji, fluent, fluent-flat or fluent-3d; empty lets the model choose.
            model: Size and compression level, for example small-int8; see the models call.
            seed: Whole number from 0; the same seed gives the same sticker.
            guidance: How strictly to follow the prompt; 1 is off.
            temperature: Randomness of the tokens; 0 always takes the likeliest.

        Returns:
            The sticker as a PNG with transparency, and its model, seed, tokens and milliseconds per stage.
        """
        with _readable_errors():
            result = library.get(model).generate(
                prompt, style=style or None, seed=seed, guidance=guidance, temperature=temperature
            )
        return result.image, {"model": model, "seed": seed, "tokens": list(result.tokens), "timings": dict(result.timings)}

    def decode(tokens: list, model: str) -> Image.Image:
        """Turn image tokens into a sticker, with any model that shares their latent.

        Args:
            tokens: 64 whole numbers, row by row, as the generate call returns them.
            model: Size and compression level, for example small-int8.

        Returns:
            The sticker as a PNG with transparency.
        """
        with _readable_errors():
            return library.get(model).decode(tokens)

    def measure(prompt: str, model: str, repeats: int) -> dict:
        """Measure how long one model takes from prompt to pixels on this machine, on one CPU thread.

        Args:
            prompt: What the sticker shows.
            model: Size and compression level, for example small-int8.
            repeats: Number of runs, 1 to 25.

        Returns:
            Bytes of the model's files, and p50 and p95 in milliseconds of the stages text, tokens and decode and of their total.
        """
        with _readable_errors():
            if not 1 <= repeats <= max(REPEATS):
                raise OptionError(f"repeats is {repeats}; expected 1 to {max(REPEATS)}")
            ready = library.get(model)
            speed = Speed(model, library.bytes(model))
            for turn in range(repeats):
                speed.add(ready.generate(prompt, seed=turn).timings)
        times = {
            f"{stage}_ms": {"p50": speed.percentile(stage, 50), "p95": speed.percentile(stage, 95)}
            for stage in (*speed.runs, "total")
        }
        return {"name": model, "bytes": speed.bytes, **times}

    def models() -> list:
        """List the models that this app can run.

        Returns:
            One object per model: its name and the bytes of its files.
        """
        return [{"name": name, "bytes": library.bytes(name)} for name in library.names]

    first = library.default_names[0]
    recommended = library.recommended()
    with gr.Group(visible=False):
        prompt = gr.Textbox(label="prompt", max_length=PROMPT_MAX_CHARACTERS)
        style = gr.Dropdown(["", *STYLES], value="", label="style")
        model = gr.Dropdown(library.names, value=first, label="model")
        seed = gr.Number(0, label="seed", precision=0)
        guidance = gr.Number(recommended["guidance"], label="guidance")
        temperature = gr.Number(recommended["temperature"], label="temperature")
        tokens = gr.JSON(label="tokens")
        repeats = gr.Number(10, label="repeats", precision=0)
        image = gr.Image(label="image", type="pil", format="png", image_mode="RGBA")
        details = gr.JSON(label="details")
        trigger = gr.Button()
    shared = {"concurrency_limit": 1, "concurrency_id": ENGINE, "show_progress": "hidden", "api_visibility": "public"}
    trigger.click(generate, [prompt, style, model, seed, guidance, temperature], [image, details], api_name="generate", **shared)
    trigger.click(decode, [tokens, model], image, api_name="decode", **shared)
    trigger.click(measure, [prompt, model, repeats], details, api_name="measure", **shared)
    trigger.click(models, None, details, api_name="models", api_visibility="public", queue=False)
