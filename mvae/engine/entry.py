"""From a model's name, ``size-level``, to the checked bytes of its files."""

import json
from dataclasses import dataclass
from pathlib import Path

from mvae.config import LEVELS, VaeConfig
from mvae.engine.memory import MEMORY
from mvae.engine.options import Options, check_options
from mvae.errors import DataError, IntegrityError, OptionError, UnknownModelError
from zoo import fetch, manifest

GRAPHS = ("encoder_model", "decoder_model_merged", "vae_encoder", "vae_decoder")
PRUNED = "pruned"
"""``small-pruned`` names the entry ``small-pruned`` itself, whose graphs are int8."""
_PRUNED_LEVEL = "int8"
LATENTS = fetch.MODELS.parent / "latents"
"""Frozen latents, one folder each, named by its id: what the tokens of every entry with that id mean."""


def split_name(name: str) -> tuple[str, str]:
    """``small-int8`` → (``small``, ``int8``); ``small-pruned`` → (``small-pruned``, ``int8``). Raises UnknownModelError."""
    entry, _, level = name.rpartition("-") if isinstance(name, str) else ("", "", "")
    if entry and level == PRUNED:
        return name, _PRUNED_LEVEL
    if not entry or level not in LEVELS:
        raise UnknownModelError(f"no model {name!r:.60}; expected size-level, level one of {', '.join((*LEVELS, PRUNED))}")
    return entry, level


def graph_file(graph: str, level: str) -> str:
    """Path inside the entry of one graph at one level."""
    return f"onnx/{graph}{'' if level == 'fp32' else '_' + level}.onnx"


def levels_of(entry: str) -> tuple[str, ...]:
    """The levels that an entry has when it is complete: a pruned one is int8 alone."""
    return (_PRUNED_LEVEL,) if entry.endswith(f"-{PRUNED}") else LEVELS


def available(folder: Path | None = None) -> dict[str, int]:
    """Model name → bytes of the ONNX files that it loads, and of its memory, for every model here whose four graphs are listed.

    ``folder``: an entry or a folder of entries instead of the zoo. Sizes are the manifests'; nothing is hashed.
    """
    found = {}
    for entry, path in fetch.entries(folder).items():
        listed = manifest.read(path).files
        for level in levels_of(entry):
            names = [graph_file(graph, level) for graph in GRAPHS]
            if all(name in listed and (path / name).is_file() for name in names):
                names += [MEMORY] if MEMORY in listed else []
                found[entry if levels_of(entry) != LEVELS else f"{entry}-{level}"] = sum(listed[name].bytes for name in names)
    return found


@dataclass(frozen=True)
class Entry:
    """The files of one model, verified: each content is the very bytes that were hashed."""

    name: str
    level: str
    graphs: dict[str, bytes]
    vae: VaeConfig
    seq2seq: dict
    """transformers' ``config.json``."""
    defaults: Options
    """``guidance``, ``temperature``, ``top_k`` of ``generation_config.json`` where it has them."""
    tokenizer: bytes
    folder: Path
    memory: bytes | None = None
    """``memory.npz``, if the seq2seq reads one."""


def read_entry(name: str, folder: Path | None = None) -> Entry:
    """Locate (fetch if need be) and verify everything that the model ``name`` needs.

    Raises UnknownModelError listing what exists, IntegrityError for anything that differs from the manifest or is malformed.
    """
    entry, level = split_name(name)
    try:
        path = fetch.locate(entry, folder)
    except UnknownModelError:
        raise UnknownModelError(f"no model {name!r}; there is {', '.join(available(folder)) or 'none'}") from None
    listed = manifest.read(path)
    missing = [graph_file(graph, level) for graph in GRAPHS if graph_file(graph, level) not in listed.files]
    if missing:
        raise UnknownModelError(
            f"no model {name!r}: its entry has no {missing[0]}; there is {', '.join(available(folder)) or 'none'}"
        )
    manifest.verify(path, listed, names=())

    def content(file: str) -> bytes:
        return manifest.read_verified(path, listed, file)

    vae = _vae_config(path, listed)
    try:
        recommended = _json_object(path, listed, "generation_config.json")
        defaults = check_options(
            Options(),
            recommended.get("guidance"),
            recommended.get("temperature"),
            recommended.get("top_k"),
            vae.latent.codebook,
        )
    except OptionError as error:
        raise IntegrityError(f"{path}: {error}") from None
    return Entry(
        name,
        level,
        {graph: content(graph_file(graph, level)) for graph in GRAPHS},
        vae,
        _json_object(path, listed, "config.json"),
        defaults,
        content("tokenizer.json"),
        path,
        content(MEMORY) if MEMORY in listed.files else None,
    )


def read_vae_config(path: Path) -> VaeConfig:
    """Picture size and latent of the entry at ``path``. Raises IntegrityError for a malformed or altered file."""
    return _vae_config(path, manifest.read(path))


def _vae_config(path: Path, listed: manifest.Manifest) -> VaeConfig:
    try:
        vae = VaeConfig.from_dict(_json_object(path, listed, "vae_config.json"))
    except DataError as error:
        raise IntegrityError(f"{path}: {error}") from None
    if vae.latent_id != listed.latent_id:
        raise IntegrityError(f"{path}: vae_config.json has latent_id {vae.latent_id!r}, the manifest {listed.latent_id!r}")
    _check_frozen(path, vae)
    return vae


def _check_frozen(path: Path, vae: VaeConfig) -> None:
    """An entry that names a frozen latent must have its grid and levels. Raises IntegrityError."""
    known = {path.parent.name: path for path in LATENTS.glob("*/latent.json")}
    if vae.latent_id not in known:
        return
    frozen = json.loads(known[vae.latent_id].read_text(encoding="utf-8"))
    differ = {name: (value, frozen[name]) for name, value in vae.latent.to_dict().items() if value != frozen[name]}
    if differ:
        raise IntegrityError(f"{path}: differs from the frozen latent {vae.latent_id!r}: {differ} (got, expected)")


def _json_object(path: Path, listed: manifest.Manifest, file: str) -> dict:
    try:
        values = json.loads(manifest.read_verified(path, listed, file))
    except ValueError as error:
        raise IntegrityError(f"{path / file}: not JSON ({error})") from None
    if not isinstance(values, dict):
        raise IntegrityError(f"{path / file}: expected a JSON object, got {type(values).__name__}")
    return values
