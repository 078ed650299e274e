"""``python -m mvae.evaluate.results``: writes the tables of README.md between its ``results`` marks from ``zoo/results/*.csv``.

Names of result files: ``evaluate-MODEL-MACHINE-DATE.csv``, ``compare-FIRST-vs-SECOND-MACHINE-DATE.csv``,
``bench-MACHINE-DATE.csv``, ``STUDY-arms-MACHINE-DATE.csv`` and ``prompts-MODEL-arms-MACHINE-DATE.csv``. Of several that differ
in the date alone, the newest counts. Needs neither torch nor numpy.
"""

import argparse
import csv
import io
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from mvae.errors import DataError, InputError, MvaeError
from mvae.evaluate.miniaturisation_tables import ALL_STUDIES
from mvae.evaluate.study_tables import table
from mvae.files import write_atomic
from mvae.machine import cpu_name, slug

ROOT = Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
NOTHING = "No result has been recorded yet: `python -m mvae evaluate` and `python -m mvae bench` write to `zoo/results`."
KINDS = ("evaluate", "compare", "bench", *ALL_STUDIES)
_NAME = re.compile(rf"(?P<kind>{'|'.join(KINDS)})-(?P<subject>.+)-(?P<date>\d{{4}}-\d{{2}}-\d{{2}})\.csv")
_MEASURES = ("measure", "concepts", "style", "group", "value", "samples", "machine", "command")
_PARTED = ("cga", "token_ceiling", "real_ceiling")
MODEL = ("model", "trained", "all", "all")


def result_path(folder: Path, kind: str, subject: str) -> Path:
    """Where a result of today on this machine is written."""
    return folder / f"{kind}-{subject}-{slug(cpu_name())}-{datetime.now(UTC).date().isoformat()}.csv"


def write_csv(path: Path, names: Iterable[str], rows: Iterable[dict]) -> Path:
    """Write atomically, creating the folder. Raises :class:`InputError` where that is not possible."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    try:
        write_atomic(path, buffer.getvalue().encode())
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); expected a writable folder") from None
    return path


def write_study(folder: Path, study: str, columns: tuple[str, ...], rows: Iterable[dict], digits: int = 5) -> Path:
    """The table of a study, a row for each arm, floats with ``digits`` significant digits. Raises as :func:`write_csv`."""
    shown = [{name: f"{row[name]:.{digits}g}" if isinstance(row[name], float) else row[name] for name in columns} for row in rows]
    return write_csv(result_path(folder, study, "arms"), columns, shown)


def evaluation_rows(report: dict, command: str) -> list[dict]:
    """One row a number of what ``evaluate`` reports: measure, which concepts, which style or group, value, how many samples."""
    rows = []
    for name, value in report.items():
        concepts = "unseen" if "unseen" in name else "trained"
        measure = name.replace("_unseen", "").replace("_seen", "")
        drawings = report.get("drawings_unseen" if concepts == "unseen" else "drawings", report["samples"])
        drawn = report["samples"] if concepts == "trained" else min(report["samples"], drawings)
        samples = drawn if name.startswith(("cga", "frechet")) else drawings
        measure, _, part = measure.partition("_by_")
        values = value.items() if isinstance(value, dict) else [("all", value)]
        for which, number in values:
            shown = f"{number:.6g}" if isinstance(number, float) else number
            rows.append(
                {
                    "measure": measure,
                    "concepts": concepts,
                    "style": which if part == "style" else "all",
                    "group": which if part == "group" else "all",
                    "value": shown,
                    "samples": samples if which == "all" else "",
                    "machine": slug(cpu_name()),
                    "command": command,
                }
            )
    return rows


def write_evaluation(report: dict, command: str, folder: Path) -> Path:
    """``evaluate-MODEL-MACHINE-DATE.csv``."""
    return write_csv(result_path(folder, "evaluate", report["model"]), _MEASURES, evaluation_rows(report, command))


def write_comparison(report: dict, command: str, folder: Path) -> Path:
    """``compare-FIRST-vs-SECOND-MACHINE-DATE.csv``."""
    row = report | {"machine": slug(cpu_name()), "command": command}
    return write_csv(result_path(folder, "compare", f"{report['first']}-vs-{report['second']}"), row, [row])


def newest(folder: Path) -> dict[str, list[Path]]:
    """Result files by kind, in the order of their names, without those that a later date replaces.

    Raises :class:`DataError` for a file whose name is not of the form above.
    """
    latest: dict[tuple[str, str], tuple[str, Path]] = {}
    for path in sorted(folder.glob("*.csv")):
        name = _NAME.fullmatch(path.name)
        if name is None:
            raise DataError(f"{path}: expected the name {' or '.join(KINDS)}-…-YYYY-MM-DD.csv")
        latest[name["kind"], name["subject"]] = max(latest.get((name["kind"], name["subject"]), ("", path)), (name["date"], path))
    kinds: dict[str, list[Path]] = {kind: [] for kind in KINDS}
    for (kind, _), (_, path) in sorted(latest.items()):
        kinds[kind].append(path)
    return kinds


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _provenance(paths: list[Path]) -> str:
    """Which files, machine, date and commands a table comes from."""
    parts = []
    for path in paths:
        rows = _read(path)
        command = rows[0].get("command") if rows else None
        parts.append(f"[{path.name}](zoo/results/{path.name})" + (f": `{command}`" if command else ""))
    return "Measured by " + "; ".join(parts) + "."


def _evaluations(paths: list[Path]) -> list[str]:
    found = {}
    for path in paths:
        rows = _read(path)
        numbers = {(row["measure"], row["concepts"], row["style"], row["group"]): row["value"] for row in rows}
        found[path] = numbers
    if not found:
        return []

    def cell(
        numbers: dict, measure: str, concepts: str = "trained", style: str = "all", group: str = "all", digits: int = 3
    ) -> str:
        value = numbers.get((measure, concepts, style, group))
        return "–" if value in (None, "") else f"{float(value):.{digits}f}"

    lines = [
        "### What an independent judge recognises",
        "",
        "CGA: share of stickers of which a judge, trained on other drawing styles, names the requested concept first among all "
        "concepts. "
        "Its ceilings are its scores on real drawings: as they are (real), and after encode → tokens → decode (token). At 64 px: "
        "the stickers shrunk to the size of the smallest model's. Unseen concepts were never trained on; a model with a "
        "memory may read their drawings there.",
        "",
    ]
    head = [
        "model",
        "CGA",
        "CGA, top 5",
        "CGA at 64 px",
        "token ceiling",
        "real ceiling",
        "CGA, unseen concepts",
        "token ceiling, unseen concepts",
        "real ceiling, unseen concepts",
        "Fréchet distance",
        "stickers",
    ]
    rows = [
        [
            f"`{numbers[MODEL]}`",
            cell(numbers, "cga"),
            cell(numbers, "cga_5"),
            cell(numbers, "cga_64"),
            cell(numbers, "token_ceiling"),
            cell(numbers, "real_ceiling"),
            cell(numbers, "cga", "unseen"),
            cell(numbers, "token_ceiling", "unseen"),
            cell(numbers, "real_ceiling", "unseen"),
            cell(numbers, "frechet"),
            numbers["samples", "trained", "all", "all"],
        ]
        for numbers in found.values()
    ]
    lines += table(head, rows)
    for part, place in (("style", 2), ("group", 3)):
        parts = sorted({key[place] for numbers in found.values() for key in numbers} - {"all"})
        lines += ["", f"By {part}: CGA / token ceiling / real ceiling.", ""]
        rows = [
            [
                f"`{numbers[MODEL]}`",
                *(" / ".join(cell(numbers, name, digits=2, **{part: which}) for name in _PARTED) for which in parts),
            ]
            for numbers in found.values()
        ]
        lines += table(["model", *parts], rows)
    lines += [
        "",
        "### Reconstruction through the tokens",
        "",
        "PSNR in dB and SSIM on 8-bit RGB composited on white, mean over drawings, at the model's own size and at 64 px.",
        "",
    ]
    head = [
        "model",
        "PSNR, trained",
        "PSNR, unseen",
        "SSIM, trained",
        "SSIM, unseen",
        "PSNR at 64 px, trained",
        "PSNR at 64 px, unseen",
    ]
    rows = [
        [
            f"`{numbers[MODEL]}`",
            cell(numbers, "psnr", digits=2),
            cell(numbers, "psnr", "unseen", digits=2),
            cell(numbers, "ssim"),
            cell(numbers, "ssim", "unseen"),
            cell(numbers, "psnr_64", digits=2),
            cell(numbers, "psnr_64", "unseen", digits=2),
        ]
        for numbers in found.values()
    ]
    return [*lines, *table(head, rows), "", _provenance(paths), ""]


def _comparisons(paths: list[Path]) -> list[str]:
    rows = [row for path in paths for row in _read(path)]
    if not rows:
        return []
    lines = [
        "### The same prompts and seeds, two models",
        "",
        "Difference of CGA in percentage points with its 95 % interval (paired bootstrap over prompts), and McNemar's exact p.",
        "",
    ]
    body = [
        [
            f"`{row['first']}` − `{row['second']}`",
            f"{float(row['cga_first']):.3f}",
            f"{float(row['cga_second']):.3f}",
            f"{100 * float(row['difference']):+.2f}",
            f"{100 * float(row['low']):+.2f} … {100 * float(row['high']):+.2f}",
            f"{float(row['mcnemar_p']):.3f}",
            row["samples"],
        ]
        for row in rows
    ]
    return [*lines, *table(["models", "CGA", "CGA", "points", "95 %", "p", "stickers"], body), "", _provenance(paths), ""]


def _latencies(paths: list[Path]) -> list[str]:
    """``bench``: bytes and the median time of every stage, one table a machine."""
    lines = []
    for path in paths:
        rows = _read(path)
        if not rows:
            continue
        stages = [name.removesuffix("_p50") for name in rows[0] if name.endswith("_p50")]
        head = [
            "model",
            "model files, MB",
            *(stage.removesuffix("_ms").replace("_", " ") + ", ms" for stage in stages),
            "total, p95",
        ]
        body = [
            [
                f"`{row['model']}`",
                f"{int(row['bytes']) / 1e6:.2f}",
                *(f"{float(row[f'{stage}_p50']):.1f}" for stage in stages),
                f"{float(row['total_ms_p95']):.1f}",
            ]
            for row in rows
        ]
        about = rows[0]
        where = f"{about['cpu']}, {about['cores']} cores, threads: {about['threads']}, ONNX Runtime {about['onnxruntime']}"
        text = f"Medians over {about['repeat']} prompts on {where}, load average {about['load_average']}. Total: prompt → PNG."
        lines += [f"### Latency and size on {about['cpu']}", "", text, "", *table(head, body), "", _provenance([path]), ""]
    return lines


def render(folder: Path) -> str:
    """The block between the marks, without them: Markdown that depends on the files in ``folder`` alone."""
    kinds = newest(folder)
    lines = _evaluations(kinds["evaluate"]) + _comparisons(kinds["compare"]) + _latencies(kinds["bench"])
    for kind, tables in ALL_STUDIES.items():
        rows = [row for path in kinds[kind] for row in _read(path)]
        lines += [*tables(rows), "", _provenance(kinds[kind]), ""] if rows else []
    return "\n".join(lines).rstrip("\n") or NOTHING


def replace_block(text: str, block: str) -> str:
    """``text`` with what stands between the marks replaced. Raises :class:`DataError` unless each mark is there once."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise DataError(f"got {text.count(BEGIN)} {BEGIN} and {text.count(END)} {END}; expected one of each, in this order")
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{block}\n{END}{rest.partition(END)[2]}"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m mvae.evaluate.results", description=__doc__)
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    parser.add_argument("--results", type=Path, default=ROOT / "zoo" / "results")
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 if the file is not up to date")
    args = parser.parse_args(argv)
    try:
        text = args.readme.read_text(encoding="utf-8")
        renewed = replace_block(text, render(args.results))
    except (MvaeError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if args.check:
        return int(renewed != text)
    if renewed != text:
        args.readme.write_text(renewed, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
