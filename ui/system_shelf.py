"""Exported systems, loaded at their first use, and what the page asks of one by address: its points, and pictures of ways
between them."""

import io
import json
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mvae.engine.stored_system import StoredSystem, load_system
from mvae.engine.system_files import FOLDER, available_systems
from mvae.errors import InputError, MvaeError, OptionError, UnknownModelError
from ui.system_pictures import strip

STEPS = 8
"""Pictures of a way, its ends included."""


class Shelf:
    """The systems of a folder; the folder need not exist."""

    def __init__(self, folder: Path | None = None, threads: int = 1):
        self.folder = folder or FOLDER
        self.available, self._threads = available_systems(self.folder), threads
        """Data set → systems, in the order of the comparison."""
        self._loaded: dict[tuple[str, str], StoredSystem] = {}
        self._lock = threading.Lock()

    def get(self, data: str, system: str) -> StoredSystem:
        """The loaded system. Raises UnknownModelError where there is none, IntegrityError where its files are damaged."""
        if system not in self.available.get(data, ()):
            raise UnknownModelError(f"no system {f'{data}/{system}'!r:.60}")
        with self._lock:
            if (data, system) not in self._loaded:
                loaded = load_system(data, system, self.folder, self._threads)
                loaded.decode(loaded.latents[:1])  # the first run is slow
                self._loaded[data, system] = loaded
            return self._loaded[data, system]

    def points(self, data: str, system: str) -> bytes:
        """JSON: ``points`` [[x, y], …], ``labels`` and ``classes``. Raises as :meth:`get`."""
        found = self.get(data, system)
        values = {"points": found.points.tolist(), "labels": found.labels.tolist(), "classes": list(found.entry.classes)}
        return json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode()

    def way(self, data: str, system: str, start: str, end: str = "") -> bytes:
        """PNG: the image at the test image nearest to ``start`` ("x,y"), or ``STEPS`` images from there to ``end``.

        Raises OptionError for other text, else as :meth:`get`.
        """
        found = self.get(data, system)
        ends = [found.latents[found.nearest(*_place(text))] for text in (start, end) if text]
        if not ends:
            raise OptionError("no place; expected x,y")
        path = found.interpolate(*ends, STEPS) if len(ends) == 2 else np.array(ends)
        buffer = io.BytesIO()
        strip(found.decode(path)).save(buffer, "PNG")
        return buffer.getvalue()

    def routes(self) -> list[Route]:
        """``systems/DATA/SYSTEM/points.json`` and ``systems/DATA/SYSTEM/way.png?from=x,y&to=x,y``."""

        def points(request: Request) -> Response:
            return _answer(lambda: self.points(**request.path_params), "application/json")

        def way(request: Request) -> Response:
            asked = request.query_params
            ends = asked.get("from", ""), asked.get("to", "")
            return _answer(lambda: self.way(**request.path_params, start=ends[0], end=ends[1]), "image/png")

        return [Route("/systems/{data}/{system}/points.json", points), Route("/systems/{data}/{system}/way.png", way)]


def _place(text: str) -> tuple[float, float]:
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError:
        raise OptionError(f"place {text!r:.40}; expected x,y") from None
    return x, y


def _answer(make: Callable[[], bytes], kind: str) -> Response:
    try:
        return Response(make(), media_type=kind, headers={"Cache-Control": "max-age=3600"})
    except MvaeError as error:
        status = 404 if isinstance(error, UnknownModelError) else 400 if isinstance(error, InputError) else 500
        return Response(str(error), status_code=status, media_type="text/plain")
