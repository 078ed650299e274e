"""The Compare tab's tables: what a model is made of, and what each technique costs and buys."""

from html import escape
from itertools import groupby

from mvae.engine.layers import Layer
from ui.names import megabytes, model_title

PARTS = {
    "encoder_model": "Text encoder", "decoder_model_merged": "Token decoder", "vae_encoder": "Image encoder",
    "vae_decoder": "Image decoder",
}
ARMS = {
    "baseline": "Baseline", "simplify": "Simplified", "prune": "Pruned", "quantise": "Quantised", "distil": "Distilled",
    "sparse": "Sparse code", "dynamic": "Dynamic", "all": "All together",
}


def layer_tables(name: str, layers: list[Layer]) -> str:
    """Every graph of a model, its tensors largest first, as foldable tables."""
    total = sum(layer.bytes for layer in layers)
    found = f'<p class="sub">{escape(model_title(name))}: {len(layers)} tensors, {megabytes(total)} of weights.</p>'
    for graph, group in groupby(layers, key=lambda layer: layer.graph):
        members = list(group)
        weight = sum(layer.bytes for layer in members)
        zeros = sum(layer.zeros * layer.bytes for layer in members) / weight
        rows = "".join(
            f'<tr><td class="tensor" title="{escape(layer.name)}">{escape(_short(layer.name))}</td>'
            f"<td>{' × '.join(map(str, layer.shape))}</td><td>{layer.dtype}</td><td>{layer.bytes:,}</td>"
            f"<td>{layer.zeros:.1%}</td></tr>"
            for layer in members
        )
        found += (
            f"<details><summary><b>{PARTS.get(graph, escape(graph))}</b><span>{megabytes(weight)}, {zeros:.1%} zeros</span>"
            "</summary>"
            '<div class="scroll"><table class="figures"><thead><tr><th>tensor</th><th>shape</th><th>type</th><th>bytes</th>'
            f"<th>zeros</th></tr></thead><tbody>{rows}</tbody></table></div></details>"
        )
    return f'<div class="layers">{found}</div>'


def _short(name: str) -> str:
    """The end of a path such as ``/model/decoder/layers.0/fc1/MatMul_weight_quantized``."""
    return name if len(name) <= 44 else "…" + name[-43:]


def ablation_table(rows: list[dict[str, str]]) -> str:
    """Rows of ``reproduce ablation``; each cell a mean, and a standard deviation over seeds where there are several."""
    if not rows:
        return '<div class="hint">No ablation has been measured: <code>python -m mvae reproduce ablation</code>.</div>'
    head = ("", "parameters", "MMAC a prompt", "kB", "encode, ms", "decode, ms", "prompt, ms", "memory, MB", "PSNR, dB", "CGA",
            "−ELBO, nats", "training, s")
    cells = (("parameters", 1e3, "{:.0f} k"), ("macs_prompt", 1e6, "{:.1f}"), ("bytes", 1e3, "{:.0f}"),
             ("encode_ms_p50", 1, "{:.2f}"), ("decode_ms_p50", 1, "{:.2f}"), ("total_ms_p50", 1, "{:.1f}"),
             ("peak_memory_bytes", 1e6, "{:.0f}"), ("psnr", 1, "{:.2f}"), ("cga", 1, "{:.3f}"), ("negative_elbo", 1, "{:.0f}"),
             ("seconds", 1, "{:.0f}"))
    body = "".join(f"<tr><td>{_arm(row['arm'])}</td>" + "".join(_cell(row, *cell) for cell in cells) + "</tr>" for row in rows)
    heads = "".join(f"<th>{title}</th>" for title in head)
    return (
        f'<div class="scroll"><table class="figures ablation"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'
        f'<p class="hint">Digits at 32 px; {rows[0]["seeds"]} seeds a row, mean ± standard deviation; real digits: '
        f'{float(rows[0]["real_ceiling"]):.3f} recognised. Measured on {escape(rows[0]["cpu"])} by '
        f'<code>{escape(rows[0]["command"])}</code>.</p>'
    )


def _arm(name: str) -> str:
    without = name.removeprefix("all-but-")
    return escape(ARMS.get(name, name) if without == name else f"All but {ARMS.get(without, without).lower()}")


def _cell(row: dict[str, str], name: str, unit: float, shape: str) -> str:
    value, spread = float(row[name]) / unit, float(row[f"{name}_sd"]) / unit
    shown = f"<small>± {shape.format(spread).removesuffix(' k')}</small>" if float(f"{spread:.3g}") > 0 else ""
    return f"<td>{shape.format(value)}{shown}</td>"
