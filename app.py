"""python app.py: the mVAE app on http://127.0.0.1:7860, started in seconds; models load in the background.

Environment: MVAE_HOST (address to listen on, default 127.0.0.1), GRADIO_SERVER_PORT (default: the first free port from 7860),
MVAE_ZOO (folder of zoo entries, default zoo/models), MVAE_SYSTEMS (folder of exported systems, default zoo/systems), MVAE_MCP=1
(also an MCP server; needs ``gradio[mcp]``).
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read while gradio is imported

import gradio as gr

from mvae.errors import MvaeError
from ui.about import build_about
from ui.api import build_api
from ui.compare import CompareTab
from ui.generate import ENGINE, GenerateTab
from ui.latent_map import LatentMap
from ui.library import Library
from ui.remix import RemixTab
from ui.system_shelf import Shelf
from ui.systems import SystemsTab
from ui.theme import ASSETS, head, html, masthead, style_sheet, theme

RESULTS = Path(__file__).resolve().parent / "zoo" / "results"
QUEUE_LENGTH = 32
"""Visitors that may wait; one more is told that the app is busy."""


def build(library: Library, latent_map: LatentMap | None, shelf: Shelf) -> gr.Blocks:
    """The whole app, not yet served."""
    with gr.Blocks(title="mVAE: words become stickers", analytics_enabled=False, delete_cache=(3600, 3600)) as app:
        html(masthead())
        with gr.Tab("Generate", id="generate"):
            GenerateTab(library, latent_map)
        engine = {"concurrency_limit": 1, "concurrency_id": ENGINE, "trigger_mode": "once"}
        with gr.Tab("Remix", id="remix"):
            RemixTab(library, engine)
        with gr.Tab("Compare", id="compare-tab") as tab:
            CompareTab(library, RESULTS, engine, tab)
        with gr.Tab("Systems", id="systems-tab") as tab:
            SystemsTab(shelf, RESULTS, engine, tab)
        with gr.Tab("About", id="about"):
            build_about(library.vae(library.default_names[0]), library.default_names[0] in library.memory_names)
        build_api(library)
    return app.queue(max_size=QUEUE_LENGTH, default_concurrency_limit=1)


def read_map(library: Library) -> LatentMap | None:
    """The map of the latent that the page opens with, if one is there; the tab does without it otherwise."""
    latent_id = library.latent_id(library.default_names[0])
    path = RESULTS / f"latent_map-{latent_id}.npz"
    return LatentMap(path) if path.is_file() else None


def main() -> None:
    folder, systems = os.environ.get("MVAE_ZOO"), os.environ.get("MVAE_SYSTEMS")
    shelf = Shelf(Path(systems) if systems else None)
    try:
        library = Library(Path(folder) if folder else None)
        latent_map = read_map(library)
    except MvaeError as error:
        sys.exit(str(error))
    app = build(library, latent_map, shelf)
    library.warm(library.default_names)
    app.launch(
        server_name=os.environ.get("MVAE_HOST"),
        app_kwargs={"routes": [*(latent_map.routes() if latent_map else []), *shelf.routes()]},
        theme=theme(),
        css=style_sheet(),
        head=head(),
        favicon_path=ASSETS / "favicon.png",
        footer_links=["api"],
        ssr_mode=False,
        share=False,
        mcp_server=os.environ.get("MVAE_MCP") == "1",
    )


if __name__ == "__main__":
    main()
