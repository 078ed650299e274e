"""Models ready to run, by name. Loading and the first, slow run happen in the background, so that the page opens at once."""

import json
import threading
from functools import cached_property
from pathlib import Path

import mvae
from mvae.config import BEST_MODEL, DEFAULT_MODEL, VaeConfig
from mvae.engine.entry import read_entry, read_vae_config, split_name
from mvae.engine.layers import Layer, layers
from mvae.engine.memory import MEMORY
from mvae.errors import MvaeError, UnknownModelError
from zoo import fetch, manifest

WARM_PROMPT = "a red apple"


class Library:
    """Every model of a zoo; each is loaded once, at its first use or by :meth:`warm`."""

    def __init__(self, folder: Path | None = None, threads: int = 1):
        """``folder``: one entry or a folder of entries; without it the committed zoo. Reads manifests, no weights.

        Raises :class:`UnknownModelError` when there is no model, :class:`IntegrityError` for a malformed manifest.
        """
        self._folder, self._threads = folder, threads
        sizes = mvae.available(folder)
        if not sizes:
            raise UnknownModelError(f"no model in {folder or 'zoo/models'}; expected a folder of zoo entries")
        self._sizes = {name: sizes[name] for name in sorted(sizes, key=lambda name: (sizes[name], name))}
        self._models: dict[str, mvae.Model] = {}
        self._locks = {name: threading.Lock() for name in self._sizes}

    @property
    def names(self) -> list[str]:
        """Smallest first."""
        return list(self._sizes)

    @property
    def default_names(self) -> list[str]:
        """What a first visitor sees: the default model beside the best one, else beside the reference of its own size."""
        first = DEFAULT_MODEL if DEFAULT_MODEL in self._sizes else self.names[0]
        others = [name for name in (BEST_MODEL, split_name(first)[0] + "-fp32") if name in self._sizes and name != first]
        return [first, *others[:1]]

    @cached_property
    def memory_names(self) -> list[str]:
        """Models that read a memory of stickers beside the prompt, smallest first."""
        return [name for name in self.names if MEMORY in manifest.read(self._entry(name)).files]

    def bytes(self, name: str) -> int:
        """Bytes of the ONNX files that the model loads, and of its memory. Raises :class:`UnknownModelError`."""
        if name not in self._sizes:
            raise UnknownModelError(f"no model {name!r:.60}; there is {', '.join(self.names)}")
        return self._sizes[name]

    def latent_id(self, name: str) -> str:
        """Models exchange tokens only if this is equal. Raises :class:`UnknownModelError`."""
        return manifest.read(self._entry(name)).latent_id

    def vae(self, name: str) -> VaeConfig:
        """Picture size and latent of a model that need not be loaded. Raises :class:`ZooError` where its file is not sound."""
        return read_vae_config(self._entry(name))

    def recommended(self) -> dict[str, float]:
        """``guidance`` and ``temperature`` that the model which opens with the page recommends, else the engine's defaults."""
        usual = mvae.Options()
        path = self._entry(self.default_names[0])
        values = json.loads(manifest.read_verified(path, manifest.read(path), "generation_config.json"))
        return {
            "guidance": float(values.get("guidance") or usual.guidance),
            "temperature": float(values.get("temperature") or usual.temperature),
        }

    def layers(self, name: str) -> list[Layer]:
        """What the model's files are made of. Raises :class:`UnknownModelError`, or :class:`ZooError` where they are not
        sound."""
        self.bytes(name)
        return layers(read_entry(name, self._folder))

    def get(self, name: str) -> "mvae.Model":
        """The loaded model. Raises :class:`UnknownModelError`, or :class:`ZooError` when its files cannot be used."""
        self.bytes(name)
        with self._locks[name]:
            if name not in self._models:
                model = mvae.load(name, threads=self._threads, folder=self._folder)
                model.generate(WARM_PROMPT)
                self._models[name] = model
            return self._models[name]

    def is_ready(self, name: str) -> bool:
        """Whether :meth:`get` returns at once."""
        return name in self._models

    def warm(self, names: list[str]) -> threading.Thread:
        """Start loading in the background; a model that cannot be loaded says so when it is asked for."""

        def load_all():
            for name in names:
                try:
                    self.get(name)
                except MvaeError:
                    continue

        thread = threading.Thread(target=load_all, name="mvae-warm-up", daemon=True)
        thread.start()
        return thread

    def _entry(self, name: str) -> Path:
        self.bytes(name)
        return fetch.locate(split_name(name)[0], self._folder)
