"""docs/PAPER.md says where the paper's parts are in the code and what was measured: every name there exists, every figure stands
in a result file. Source is parsed, not imported: this environment has no torch."""

import ast
import csv
import re
from functools import cache
from pathlib import Path

import pytest

from mvae.evaluate import paper_training
from mvae.evaluate.results import KINDS, newest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "PAPER.md"
PACKAGES = ("mvae", "export", "ui", "zoo")
MODEL = r"(nano|small|base)-(fp32|fp16|int8|pruned)"
UNITS = {"kB": 1e-3, "MB": 1e-6, "%": 100.0, "points": 100.0}
LINK = r"\[([^\]]+)\]\(([^)]+)\)"
REFERENCE = r"\((\d+)\)|(?:Table|Figure)s? \d+"
NUMBER = r"(?<![\w.])([−-]?\d[\d,]*(?:\.\d+)?)(?: (kB|MB|%|points)(?!\w))?"


@pytest.fixture(scope="module")
def text() -> str:
    return DOCUMENT.read_text("utf-8")


def rows_of(text: str, first: str) -> list[dict[str, str]]:
    """Rows of the tables whose first column is called ``first``."""
    found, head = [], None
    for line in text.splitlines():
        if not line.startswith("|"):
            head = None
            continue
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if head is None:
            head = cells
        elif head[0] == first and set("".join(cells)) != {"-"}:
            assert len(cells) == len(head), line
            found.append(dict(zip(head, cells, strict=True)))
    return found


def coded(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def module_of(parts: list[str]) -> tuple[Path, list[str]] | None:
    """The file of the longest prefix of a dotted name that is a module, and the rest of the name."""
    for length in range(len(parts), 0, -1):
        place = ROOT.joinpath(*parts[:length])
        for path in (place.with_suffix(".py"), place / "__init__.py"):
            if path.is_file():
                return path, parts[length:]
    return None


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def resolves(name: str) -> bool:
    """Whether a dotted name is a module, or a function, class, constant or member that a module defines, or what the package
    ``mvae`` itself offers."""
    found = module_of(name.split("."))
    if found is None:
        return False
    path, rest = found
    body = parsed(path).body
    for part in rest:
        for node in body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            if part == getattr(node, "name", None) or part in [target.id for target in targets if isinstance(target, ast.Name)]:
                body = getattr(node, "body", [])
                break
        else:
            return path == ROOT / "mvae" / "__init__.py" and rest == [part] and offered(part)
    return True


def offered(name: str) -> bool:
    lazily = next(node for node in parsed(ROOT / "mvae" / "__init__.py").body
                  if isinstance(node, ast.AnnAssign | ast.Assign) and isinstance(node.value, ast.Dict))
    return name in [key.value for key in lazily.value.keys if isinstance(key, ast.Constant)]


def commands_words() -> set[str]:
    """Every string in the module of ``python -m mvae reproduce``: its studies, and where they write by default."""
    tree = parsed(ROOT / "mvae" / "cli" / "reproduce.py")
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def exists(words: str) -> bool:
    """Whether what stands between backticks exists: a command, a path, a dotted name or a model."""
    command = re.fullmatch(r"python -m (\S+)(?: (\S+))?(?: (\S+))?.*", words)
    if command:
        module, verb, study = command.groups()
        known = module_of(module.split("."))
        if known is None or known[1]:
            return False
        if module != "mvae":
            return True
        return (ROOT / "mvae" / "cli" / f"{verb}.py").is_file() and (verb != "reproduce" or study in commands_words())
    if words.split(".")[0] in PACKAGES and "/" not in words:
        return resolves(re.match(r"[\w.]+", words).group().rstrip("."))
    if "/" in words or re.search(r"\.(py|md|cff|txt|csv|png|toml)$", words):
        return (ROOT / words).exists() or words in commands_words()
    return re.fullmatch(MODEL, words) is not None


def anchors() -> set[str]:
    """Of the README's headings, and of the tables that it will have when their studies have been run."""
    lines = re.findall(r"^#+ (.+)$", (ROOT / "README.md").read_text("utf-8"), re.M)
    for path in (ROOT / "mvae" / "evaluate").glob("*.py"):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("### "):
                lines.append(node.value.removeprefix("### "))
    return {re.sub(r"[^\w\- ]", "", line.strip().lower()).replace(" ", "-") for line in lines}


def figures(cell: str) -> list[tuple[str, float]]:
    """Numbers of a cell as written, and what one unit of a result file counts in them."""
    plain = re.sub(REFERENCE, " ", re.sub(LINK, " ", re.sub(r"`[^`]*`", " ", cell)))
    return [(number.replace("−", "-").replace(",", ""), UNITS.get(unit, 1.0)) for number, unit in re.findall(NUMBER, plain)]


@cache
def values(kind: str) -> tuple[float, ...]:
    """All numbers in the newest result files of one kind."""
    found = []
    for path in newest(ROOT / "zoo" / "results")[kind]:
        with open(path, encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                for value in row.values():
                    try:
                        found.append(float(value))
                    except ValueError:
                        continue
    return tuple(found)


def stands(number: str, unit: float, kinds: list[str]) -> bool:
    """Whether ``number`` is a value of these studies, rounded as written."""
    half = 0.5 * 10 ** -len(number.partition(".")[2])
    return any(abs(unit * value - float(number)) <= half * (1 + 1e-9) for kind in kinds for value in values(kind))


def test_every_equation_table_and_figure_has_one_row(text):
    assert [row["equation"] for row in rows_of(text, "equation")] == [f"({number})" for number in range(1, 31)]
    assert [row["table"] for row in rows_of(text, "table")] == [f"Table {number}" for number in range(1, 10)]
    assert [row["figure"] for row in rows_of(text, "figure")] == [f"Figure {number}" for number in range(1, 16)]
    for first in ("equation", "table", "figure", "subject"):
        assert not [row for row in rows_of(text, first) if not all(row.values())], "a cell is empty"


def test_everything_named_exists(text):
    assert len(coded(text)) > 100
    assert not [words for words in coded(text) if not exists(words)]


@pytest.mark.parametrize("words", [
    "mvae.objective.no_such_term", "mvae.nowhere.Thing", "mvae.training.recipe.VaeStage.nothing", "docs/NOTHING.md", "mvae.lode",
    "python -m mvae reproduce nothing", "python -m mvae reproduces", "python -m mvae.nothing", "huge-int8", "mvae/objectives.py",
])
def test_what_does_not_exist_is_noticed(words):
    assert not exists(words)


def test_links_lead_somewhere(text):
    known = anchors()
    for label, target in re.findall(LINK, text):
        path, _, anchor = target.partition("#")
        assert (DOCUMENT.parent / path).is_file(), target
        assert not anchor or anchor in known, target
        assert label in (*KINDS, "README") or not anchor, f"{label}: no kind of result"


def test_figures_stand_in_the_newest_results_of_the_studies_beside_them(text):
    checked = 0
    for row in [*rows_of(text, "equation"), *rows_of(text, "table")]:
        kinds = [label for label, _ in re.findall(LINK, row["measured"]) if label in KINDS]
        for number, unit in figures(row["measured"]):
            assert stands(number, unit, kinds), f"{row['subject']}: {number} is in no newest result of {kinds}"
            checked += 1
    assert checked > 20


def test_studies_without_a_result_are_named_with_their_command(text):
    for row in [*rows_of(text, "equation"), *rows_of(text, "table")]:
        for kind in [label for label, _ in re.findall(LINK, row["measured"]) if label in KINDS and not values(label)]:
            assert f"`python -m mvae reproduce {kind}`" in row["measured"], f"{row['subject']}: {kind}"


def test_a_changed_figure_is_noticed():
    cell = "win 2987 nats, −0.40 points and 1498 kB, as (5), `base-int8`, [tuning](x.md#1)"
    assert figures(cell) == [("2987", 1.0), ("-0.40", 100.0), ("1498", 1e-3)]
    one = f"{values('tuning')[2]:.2f}"
    assert stands(one, 1.0, ["tuning"]) and not stands(f"{float(one) + 987654:.2f}", 1.0, ["tuning"])


def test_claims_are_the_papers_in_italics_and_in_their_own_column(text):
    tables = {row["table"]: row["claimed"] for row in rows_of(text, "table")}
    for number, rows in enumerate(paper_training.TRAINING, 1):
        ends = [(rows[0][term], rows[-1][term]) for term in (1, 2)]
        assert [float(number) for number, _ in figures(tables[f"Table {number}"])] == [round(x, 2) for end in ends for x in end]
    assert [float(number) for number, _ in figures(tables["Table 5"])] == [round(x, 2) for x in paper_training.AVERAGES]
    assert [int(number) for number, _ in figures(tables["Table 6"])] == list(paper_training.SECONDS)
    body = parsed(ROOT / "mvae" / "reproduce" / "table9.py").body
    claimed = next(node.value for node in body if isinstance(node, ast.Assign) and node.targets[0].id == "CLAIMED")
    accuracies = [accuracy for accuracy, _ in ast.literal_eval(claimed).values()]
    assert [float(number) for number, _ in figures(tables["Table 9"])] == accuracies
    for row in rows_of(text, "table"):
        assert re.fullmatch(r"\*[^*]+\*", row["claimed"]), row["table"]
        assert not re.search(r"(?<!\*)\*[^*]", row["measured"]), row["table"]
