"""The repository itself: the README's tree is the disk's, nothing of one machine is in it, files stay small."""

import argparse
import re
import shlex
import subprocess
import tomllib
from importlib import import_module, metadata
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MEGABYTE = 10**6
ZOO_MAX_BYTES = 130 * MEGABYTE
FILE_MAX_BYTES = 50 * MEGABYTE
MODULE_MAX_LINES = 400
TEXT_SUFFIXES = {".py", ".md", ".toml", ".txt", ".cff", ".css", ".js", ".json", ".sh", ".csv", ".html", ".yml", ""}
REQUIREMENTS = ("requirements.txt", "requirements-train.txt", "requirements-test.txt")


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """Every file that git tracks, relative to the root."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [Path(name) for name in listed.split("\0") if name and (ROOT / name).exists()]


@pytest.fixture(scope="module")
def readme() -> str:
    return (ROOT / "README.md").read_text("utf-8")


def tree_lines(readme: str) -> list[str]:
    """Paths named in the README's tree; folders end in a slash. Two spaces a level."""
    block = re.search(r"## The tree\n\n```\n(.*?)```", readme, re.S).group(1)
    parents, paths = [], []
    for line in block.splitlines():
        indent, name, description = re.fullmatch(r"( *)(\S+)(?:\s+(\S.*))?", line).groups()
        assert description, f"{name} is not described"
        parents = [*parents[: len(indent) // 2], name]
        paths.append("".join(parents))
    return paths


def test_tree_in_readme_is_the_tree_on_disk(readme, tracked):
    paths = tree_lines(readme)
    assert len(set(paths)) == len(paths)
    # A folder that is listed without anything below it stands for all its files; empty __init__.py files go without saying.
    closed = tuple(path for path in paths if path.endswith("/") and not any(p != path and p.startswith(path) for p in paths))
    names = {path.as_posix() for path in tracked if path.name != "__init__.py" and not path.as_posix().startswith(closed)}
    listed = {path for path in paths if not path.endswith("/")}
    assert not sorted(names - listed), "tracked, but not in the README's tree"
    assert not sorted(listed - names), "in the README's tree, but not tracked"
    assert all((ROOT / path).is_dir() for path in paths if path.endswith("/"))


def test_readme_is_a_space_with_the_pinned_gradio(readme):
    front = yaml.safe_load(readme.split("---")[1])
    assert front["sdk"] == "gradio" and (ROOT / front["app_file"]).is_file()
    assert f"gradio=={front['sdk_version']}\n" in (ROOT / "requirements.txt").read_text()
    assert metadata.version("gradio") == front["sdk_version"]


def test_readme_has_its_generated_results(readme):
    assert readme.count("<!-- results:begin -->") == readme.count("<!-- results:end -->") == 1
    assert readme.index("<!-- results:begin -->") < readme.index("<!-- results:end -->")


def test_commands_in_the_readme_are_understood(readme):
    """Every ``python -m mvae`` and ``python -m export`` line parses with the parser that would run it."""
    from export.__main__ import parser as export_parser

    commands = [line for line in readme.splitlines() if line.startswith(("python -m mvae ", "python -m export "))]
    lines = [shlex.split(line, comments=True)[2:] for line in commands]
    verbs = {line[1] for line in lines if line[0] == "mvae"}
    assert verbs == {"generate", "encode", "decode", "bench", "data", "train", "evaluate", "remember", "reproduce"}
    for module, *arguments in lines:
        if module == "export":
            export_parser().parse_args(arguments)
        else:
            parser = argparse.ArgumentParser()
            import_module(f"mvae.cli.{arguments[0]}").configure(parser)
            parser.parse_args(arguments[1:])


def test_nothing_of_one_machine_is_written_down(tracked):
    # Spelt in pieces, so that this file does not find itself.
    hosts = [".".join(parts) for parts in (("registry", "npmjs"), ("pypi", "org"), ("files", "pythonhosted"), ("deb", "debian"))]
    folders = [
        "/" + "/".join(parts) + "/"
        for parts in (("work", "main"), ("work", "shared"), ("root",), ("opt", "pypi"), ("opt", "wheels"))
    ]
    pattern = re.compile("|".join(map(re.escape, [*hosts, *folders])) + r"|(?<![\w.])/home/\w+/|(?<![\w.])/Users/\w+/")
    found = []
    for path in tracked:
        if path.suffix in TEXT_SUFFIXES:
            text = (ROOT / path).read_text("utf-8")
            found += [f"{path}: {match.group()}" for match in pattern.finditer(text)]
    assert not found


def test_byte_ledger(tracked):
    sizes = {path.as_posix(): (ROOT / path).stat().st_size for path in tracked}
    zoo = sum(size for name, size in sizes.items() if name.startswith("zoo/"))
    assert zoo <= ZOO_MAX_BYTES, f"the committed zoo has {zoo} bytes, at most {ZOO_MAX_BYTES} are allowed"
    assert not [name for name, size in sizes.items() if size >= FILE_MAX_BYTES]


def test_modules_stay_short(tracked):
    lines = {path: (ROOT / path).read_text("utf-8").count("\n") for path in tracked if path.suffix == ".py"}
    assert not {str(path): count for path, count in lines.items() if count > MODULE_MAX_LINES}


def test_no_pickled_or_unfinished_files(tracked):
    assert not [path for path in tracked if path.suffix in {".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".bin"}]
    words = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b")
    assert not [str(path) for path in tracked if path.suffix == ".py" and words.search((ROOT / path).read_text("utf-8"))]


def pins(name: str) -> dict[str, str]:
    rows = [line.strip() for line in (ROOT / name).read_text().splitlines()]
    found = {}
    for row in rows:
        if row and not row.startswith("#"):
            match = re.fullmatch(r"([A-Za-z0-9._-]+)==([0-9][\w.]*)", row)
            assert match, f"{name}: {row!r} is not an exact pin"
            found[re.sub(r"[-_.]+", "-", match.group(1)).lower()] = match.group(2)
    return found


def test_pins_are_exact_and_the_test_tools_fit_both_environments():
    run, train, test = map(pins, REQUIREMENTS)
    assert not {"torch", "transformers", "optimum"} & (run.keys() | test.keys())
    assert train["torch"] and "+" not in train["torch"]
    for environment in (run, train):
        assert {name: version for name, version in test.items() if environment.get(name, version) != version} == {}
    # Models are written by one and read by the other.
    assert {name: run[name] for name in ("tokenizers", "onnxruntime", "pillow", "numpy")} == {
        name: train[name] for name in ("tokenizers", "onnxruntime", "pillow", "numpy")
    }


def test_this_environment_is_the_pinned_one_and_has_no_torch():
    for name, version in pins("requirements.txt").items():
        assert metadata.version(name) == version, name
    installed = {re.sub(r"[-_.]+", "-", found.metadata["Name"]).lower() for found in metadata.distributions()}
    assert not {"torch", "transformers", "optimum"} & installed


def test_version_is_stated_once_and_the_same(readme):
    import mvae

    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert mvae.__version__ == version
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["version"] == version
