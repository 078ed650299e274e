"""What ``import mvae`` offers, and what it must not cost."""

import subprocess
import sys
from pathlib import Path

import pytest

import mvae

ROOT = Path(__file__).parents[2]
SURFACE = {
    "__version__",
    "load",
    "available",
    "Model",
    "Options",
    "Sticker",
    "open_image",
    "Memory",
    "read_memory",
    "MvaeError",
    "InputError",
    "PromptError",
    "OptionError",
    "ImageError",
    "TokensError",
    "DataError",
    "ZooError",
    "UnknownModelError",
    "IntegrityError",
    "FetchError",
    "ExportError",
    "TrainingError",
}


def imported_by(statement: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{statement}\nprint(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_exported_names():
    assert set(mvae.__all__) == SURFACE
    assert all(getattr(mvae, name) is not None for name in SURFACE)
    assert set(dir(mvae)) >= SURFACE
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        mvae.lode  # noqa: B018


def test_every_error_is_one_tree():
    errors = [value for name in mvae.__all__ if isinstance(value := getattr(mvae, name), type) and issubclass(value, Exception)]
    assert len(errors) == 13
    assert all(issubclass(error, mvae.MvaeError) for error in errors)


def test_importing_the_package_loads_nothing_heavy():
    heavy = {"numpy", "onnxruntime", "PIL", "tokenizers", "torch", "transformers", "huggingface_hub", "google"}
    assert not imported_by("import mvae, mvae.config, mvae.errors, zoo.manifest, zoo.fetch") & heavy


def test_the_engine_needs_neither_torch_nor_the_hub_client():
    found = imported_by("import mvae.engine.model, mvae.bench, mvae.__main__, mvae.cli.generate, mvae.cli.bench")
    assert "onnxruntime" in found
    assert not found & {"torch", "transformers", "optimum", "onnx", "huggingface_hub", "gradio", "pandas"}
