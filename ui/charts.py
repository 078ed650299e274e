"""The speed panel: stacked bars of the stages, bars of the bytes, and the figures behind them. Plain HTML flows on a phone."""

from dataclasses import dataclass, field
from html import escape

import numpy as np

from mvae.bench import machine
from ui.cards import STAGES, Card, stage_bar
from ui.names import megabytes, model_title


@dataclass(frozen=True)
class Speed:
    """Measured stage times of one model."""

    name: str
    bytes: int
    runs: dict[str, list[float]] = field(default_factory=dict)
    """Milliseconds by stage, one per repeat."""

    @classmethod
    def of(cls, card: Card) -> "Speed":
        """The one run that a card shows."""
        speed = cls(card.name, card.bytes)
        speed.add(card.timings)
        return speed

    def add(self, timings: dict[str, float]) -> None:
        """One more run."""
        for stage, value in timings.items():
            self.runs.setdefault(stage, []).append(value)

    def percentile(self, stage: str, share: float) -> float:
        """Percentile ``share`` (0 … 100) of one stage in milliseconds, or of the whole when ``stage`` is ``"total"``."""
        values = np.sum(list(self.runs.values()), axis=0) if stage == "total" else self.runs[stage]
        return float(np.percentile(values, share))

    @property
    def repeats(self) -> int:
        return len(next(iter(self.runs.values())))


def empty_speed() -> str:
    return '<div class="hint">Make a sticker to see where the time goes.</div>'


def crowd_warning() -> str:
    """A line when other programs keep the processor busy, since every time measured then is too long."""
    here = machine(threads=1)
    load, cores = here["load_average"], here["cores"]
    if load is None or load <= cores:
        return ""
    return f"Other programs keep this machine busy (load {load} on {cores} cores): an idle one is faster."


def render_speed(speeds: list[Speed], progress: str = "") -> str:
    """Charts of every model measured so far; ``progress`` says what is still running."""
    status = f'<div class="progress-line">{escape(progress)}</div>' if progress else ""
    if not speeds:
        return status
    repeats = min(speed.repeats for speed in speeds)
    measure = "one run" if repeats == 1 else f"median of {repeats} runs"
    medians = {speed.name: {stage: speed.percentile(stage, 50) for stage in speed.runs} for speed in speeds}
    slowest = max(sum(stages.values()) for stages in medians.values())
    heaviest = max(speed.bytes for speed in speeds)
    key = "".join(f'<span><i class="{stage}"></i>{title}</span>' for stage, title in STAGES.items())
    times = weights = ""
    for speed in speeds:
        stages = medians[speed.name]
        total = speed.percentile("total", 50)
        who = f'<span class="who">{escape(model_title(speed.name))}</span>'
        bar = stage_bar(stages, 100 * sum(stages.values()) / slowest)
        times += f'{who}<div class="track">{bar}</div><span class="value">{total:.0f} ms</span>'
        share = 100 * speed.bytes / heaviest
        tip = f"{megabytes(speed.bytes)}: {share:.0f} % of the largest shown"
        weights += (
            f'{who}<div class="track"><div class="weight" style="width:{share:.2f}%" data-tip="{tip}"></div></div>'
            f'<span class="value">{megabytes(speed.bytes)}</span>'
        )
    return (
        f'<div class="speed" data-repeats="{repeats}"><div class="chart-title">Time from prompt to pixels, {measure}</div>'
        f'<div class="key">{key}</div><div class="chart times">{times}</div>'
        f'<div class="chart-title">Bytes to download</div><div class="chart weights">{weights}</div>'
        f"{_figures(speeds) if repeats > 1 else ''}</div>{status}"
    )


def _figures(speeds: list[Speed]) -> str:
    columns = (*STAGES, "total")
    head = "".join(f"<th>{STAGES.get(column, 'Total')}</th>" for column in columns)
    rows = ""
    for speed in speeds:
        for label, share in (("p50", 50), ("p95", 95)):
            cells = "".join(f"<td>{speed.percentile(column, share):.1f}</td>" for column in columns)
            rows += f"<tr><td>{escape(model_title(speed.name))} {label}</td>{cells}</tr>"
    return f'<table class="figures"><thead><tr><th>milliseconds</th>{head}</tr></thead><tbody>{rows}</tbody></table>'
