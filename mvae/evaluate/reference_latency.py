"""The same weights in PyTorch fp32, driven by transformers' ``generate()``: what the engine's latency is compared with."""

from collections.abc import Callable
from time import perf_counter

import torch
from tokenizers import Tokenizer
from transformers import GenerationConfig, MarianMTModel

from mvae.bench import prompt_of
from mvae.config import TEXT_MAX_TOKENS, caption
from mvae.engine.model import Model
from mvae.errors import DataError
from mvae.training.recall import read_before_text, recalled


def reference_rounds(models: list[Model]) -> Callable[[Model, int], dict[str, float]]:
    """A function for :func:`mvae.bench.measure` that gives two times in milliseconds for one round of one model:

    * ``reference_generate_ms``: ``generate()`` with the engine's sampling options, no guidance, encoding and recalling included;
    * ``engine_generate_ms``: the engine's text and tokens stages, no guidance either.

    Both use the model's number of threads. Raises :class:`DataError` if an entry has no ``model.safetensors``.
    """
    torch.set_num_threads(models[0].threads)
    loaded: dict[str, tuple[MarianMTModel, Tokenizer]] = {}

    def load(model: Model) -> tuple[MarianMTModel, Tokenizer]:
        folder = str(model.folder)
        if folder not in loaded:
            try:
                network = MarianMTModel.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
            except OSError as error:
                raise DataError(f"{folder}: no weights for the reference ({str(error).splitlines()[0]})") from None
            loaded[folder] = network, Tokenizer.from_file(f"{folder}/tokenizer.json")
        return loaded[folder]

    def one(model: Model, turn: int) -> dict[str, float]:
        network, tokenizer = load(model)
        prompt, style = prompt_of(turn)
        torch.manual_seed(turn)
        begun = perf_counter()
        reference_tokens(model, network, tokenizer, prompt, style)
        reference = perf_counter() - begun
        timings = model.generate(prompt, style=style, seed=turn, guidance=1).timings
        return {"reference_generate_ms": reference * 1000, "engine_generate_ms": timings["text"] + timings["tokens"]}

    return one


@torch.inference_mode()
def reference_tokens(model: Model, network: MarianMTModel, tokenizer: Tokenizer, prompt: str, style: str | None) -> list[int]:
    """What ``generate()`` draws from PyTorch's global randomness with the options of ``model``, but without guidance."""
    options, positions = model.defaults, model.latent.positions
    settings = GenerationConfig(
        do_sample=options.temperature > 0,
        temperature=options.temperature or None,
        top_k=options.top_k or None,
        num_beams=1,
        min_new_tokens=positions,
        max_new_tokens=positions,
        use_cache=True,
        decoder_start_token_id=network.config.decoder_start_token_id,
        pad_token_id=network.config.pad_token_id,
        eos_token_id=network.config.eos_token_id,
        suppress_tokens=list(range(model.latent.codebook, network.config.decoder_vocab_size)),
    )
    ids = tokenizer.encode(caption(prompt, style), add_special_tokens=False).ids[: TEXT_MAX_TOKENS - 1]
    text = torch.tensor([[*ids, tokenizer.token_to_id("<eos>")]])
    mask = torch.ones_like(text)
    if model.memory is not None:
        small_copies = getattr(network.config, "small_copies", False)
        known = recalled(model.memory, [(prompt, style, ())], network.config.memory, model.latent, small_copies)
        text, mask = read_before_text(*known, text, mask, network.config.text_offset)
    drawn = network.generate(text, attention_mask=mask, generation_config=settings)
    if drawn.shape[1] != positions + 1:
        raise DataError(f"{model.name}: generate() gave {drawn.shape[1] - 1} tokens, expected {positions}")
    return drawn[0, 1:].tolist()
