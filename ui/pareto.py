"""The plot of all models: quality against latency, the area of a point its bytes. Plain SVG; a press on a point chooses the
model."""

from html import escape
from math import sqrt

from mvae import pareto
from ui.measured import Point
from ui.names import megabytes, model_title

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 680, 360, 58, 46, 18, 96
LARGEST_RADIUS = 20


def front(points: list[Point]) -> list[Point]:
    """Points that no other beats in both latency and quality, fastest first."""
    return pareto.front(points, lambda point: point.milliseconds, lambda point: point.quality)


def pareto_plot(points: list[Point], machine: str, chosen: str = "", field: str = "compare-picked") -> str:
    """``points`` that have both measures as an SVG; the others are named below. ``machine``: where the latencies are from."""
    shown = [point for point in points if point.milliseconds is not None and point.quality is not None]
    missing = [point for point in points if point not in shown]
    if not shown:
        return '<div class="hint">Nothing has been measured yet: press “Measure here”.</div>'
    low, high = min(p.quality for p in shown), max(p.quality for p in shown)
    pad = max(0.02, 0.25 * (high - low))
    low, high = max(0.0, low - pad), high + pad
    end = 1.15 * max(p.milliseconds for p in shown)
    heaviest = max(p.bytes for p in shown)

    def place(point: Point) -> tuple[float, float]:
        x = LEFT + (WIDTH - LEFT - RIGHT) * point.milliseconds / end
        return x, TOP + (HEIGHT - TOP - BOTTOM) * (high - point.quality) / (high - low)

    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(place, front(shown)))
    heights = _label_heights({point.name: place(point) for point in shown})
    largest = LARGEST_RADIUS / sqrt(heaviest)
    marks = "".join(
        _mark(point, *place(point), largest * sqrt(point.bytes), point.name == chosen, field, heights[point.name])
        for point in sorted(shown, key=lambda point: -point.bytes)
    )
    svg = (
        f'<svg class="pareto" viewBox="0 0 {WIDTH} {HEIGHT}" role="group" aria-label="Quality against latency of every model">'
        f'{_axes(low, high, end)}<polyline class="front" points="{line}"/>{marks}</svg>'
    )
    rest = ", ".join(f"{model_title(p.name)} ({megabytes(p.bytes)})" for p in missing)
    note = f'<p class="hint">Not in the plot, since quality or time was not measured: {escape(rest)}.</p>' if missing else ""
    where = f"Latencies measured on {escape(machine)}, one thread. The area of a point is what it downloads."
    return f'{svg}<p class="hint">{where}</p>{note}'


def _axes(low: float, high: float, end: float) -> str:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    found = f'<path class="axis" d="M{LEFT} {TOP}V{bottom}H{right}"/>'
    for number in range(5):
        share = number / 4
        y, x = bottom - (bottom - TOP) * share, LEFT + (right - LEFT) * share
        found += (
            f'<path class="grid" d="M{LEFT} {y:.1f}H{right}"/>'
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{low + (high - low) * share:.2f}</text>'
            f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{end * share:.0f}</text>'
        )
    return found + (
        f'<text class="title" x="{(LEFT + right) / 2}" y="{HEIGHT - 6}" text-anchor="middle">'
        "prompt to PNG, milliseconds (median)</text>"
        f'<text class="title" transform="translate(14 {(TOP + bottom) / 2}) rotate(-90)" text-anchor="middle">'
        "recognised by the judge (CGA)</text>"
    )


def _label_heights(places: dict[str, tuple[float, float]], apart: float = 15.0, near: float = 130.0) -> dict[str, float]:
    """Heights of the names beside their points, moved down where another one would be written over."""
    found: dict[str, float] = {}
    for name, (x, y) in sorted(places.items(), key=lambda item: item[1][1]):
        above = [found[other] for other in found if abs(places[other][0] - x) < near]
        found[name] = max([y, *(height + apart for height in above if height + apart > y)])
    return found


def _mark(point: Point, x: float, y: float, radius: float, chosen: bool, field: str, height: float) -> str:
    title = model_title(point.name)
    tip = f"{title}: {point.quality:.3f} recognised, {point.milliseconds:.0f} ms, {megabytes(point.bytes)}"
    return (
        f'<g class="point{" chosen" if chosen else ""}" role="button" tabindex="0" data-hand="{field}" '
        f'data-value="{escape(point.name)}" aria-label="{escape(tip)}"><title>{escape(tip)}</title>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/>'
        f'<text x="{x + radius + 5:.1f}" y="{height + 4:.1f}">{escape(title)}</text></g>'
    )
