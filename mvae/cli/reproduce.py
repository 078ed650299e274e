"""``python -m mvae reproduce STUDY``: latent, decoder, seq2seq, memory, prompts, ablation, networks, tuning, refine,
tiny-decoder, reference, table9, experiments, speed; and sheets."""

import argparse
from pathlib import Path

from mvae.config import DEFAULT_MODEL

EMOJI = (Path("data/emoji"), "folder of shards")
MNIST = (Path("data/mnist"), "built MNIST")
BENCHMARKS = (Path("data"), "folder of built benchmarks, mnist and cifar10")


def configure(parser: argparse.ArgumentParser) -> None:
    studies = parser.add_subparsers(dest="study", required=True, metavar="STUDY", parser_class=type(parser))
    latent = _study(studies, "latent", "grids, levels, rates and losses at equal size and budget")
    latent.add_argument("--steps", type=int, default=900, help="of every arm (default: %(default)s)")
    latent.add_argument("--batch", type=int, default=16, help="pictures a step (default: %(default)s)")
    latent.add_argument("--plot", type=Path, default=Path("docs/latent.png"), help="default: %(default)s")
    _arms(latent, Path("runs/latent"), "arms side by side, one thread each")
    entry = Path("zoo/models/small")
    decoder = _study(studies, "decoder", "what fine-tuning a finished VAE's decoder buys, by loss")
    decoder.add_argument("--run", type=Path, default=Path("runs/base"), help="run with the VAE (default: %(default)s)")
    decoder.add_argument("--recipe", default="base", help="how it was trained (default: %(default)s)")
    decoder.add_argument("--steps", type=int, default=300, help="of every arm (default: %(default)s)")
    decoder.add_argument("--batch", type=int, default=16, help="pictures a step (default: %(default)s)")
    _arms(decoder, Path("runs/decoder"), "arms side by side, one thread each")
    seq2seq = _study(studies, "seq2seq", "what each decision about the seq2seq is worth")
    seq2seq.add_argument("--run", type=Path, default=entry, help="run or entry with a VAE (default: %(default)s)")
    seq2seq.add_argument("--recipe", default="small", help="what the arms differ from (default: %(default)s)")
    seq2seq.add_argument("--steps", type=int, default=400, help="of every arm (default: %(default)s)")
    seq2seq.add_argument("--batch", type=int, default=48, help="captions a step (default: %(default)s)")
    seq2seq.add_argument("--samples", type=int, default=300, help="stickers that are drawn and judged (default: %(default)s)")
    _arms(seq2seq, Path("runs/seq2seq"), "arms side by side, one thread each")
    memory = _study(studies, "memory", "a seq2seq that reads stickers beside the text, and one that does not")
    memory.add_argument("--run", type=Path, default=entry, help="run or entry with a VAE (default: %(default)s)")
    memory.add_argument("--minutes", type=float, default=40.0, help="of training, every arm (default: %(default)s)")
    memory.add_argument("--samples", type=int, default=600, help="stickers of every set, at most (default: %(default)s)")
    _arms(memory, Path("runs/memory"), "processes that train one arm")
    prompts = _study(studies, "prompts", "people's words, other languages, and combinations in no data set")
    prompts.add_argument("--model", default=DEFAULT_MODEL, help="default: %(default)s")
    prompts.add_argument("--samples", type=int, default=300, help="prompts of every set, at most (default: %(default)s)")
    prompts.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    prompts.add_argument("--workers", type=int, default=2, help="models that draw side by side (default: %(default)s)")
    prompts.add_argument("--zoo", type=Path, help="zoo entry, or folder of entries, to use instead of the committed zoo")
    _results(prompts)
    ablation = _study(studies, "ablation", "what each technique of miniaturisation costs and buys", MNIST)
    ablation.add_argument("--out", type=Path, default=Path("runs/ablation"), help="one folder a trial (default: %(default)s)")
    ablation.add_argument("--seeds", type=int, default=3, help="of every row (default: %(default)s)")
    ablation.add_argument("--vae-steps", type=int, default=300, help="of every trial (default: %(default)s)")
    ablation.add_argument("--word-steps", type=int, default=500, help="of every trial's seq2seq (default: %(default)s)")
    ablation.add_argument("--repeat", type=int, default=30, help="rounds of timing (default: %(default)s)")
    ablation.add_argument("--workers", type=int, default=2, help="trials side by side (default: %(default)s)")
    _results(ablation)
    ablation.add_argument("--plot", type=Path, default=Path("docs/ablation.png"), help="default: %(default)s")
    networks = _study(studies, "networks", "layers, neurons, latent dimensions and sparse codes of a VAE of MNIST", MNIST)
    networks.add_argument("--seeds", type=int, default=3, help="of every arm (default: %(default)s)")
    networks.add_argument("--epochs", type=int, default=6, help="of every arm (default: %(default)s)")
    _results(networks)
    tuning = _study(studies, "tuning", "the paper's fixed settings against settings that were searched for", MNIST)
    tuning.add_argument("--out", type=Path, default=Path("runs/tuning"), help="folder of the search (default: %(default)s)")
    tuning.add_argument("--trials", type=int, default=40, help="of the search (default: %(default)s)")
    tuning.add_argument("--search-epochs", type=int, default=6, help="of a trial (default: %(default)s)")
    tuning.add_argument("--epochs", type=int, default=30, help="of both in the end (default: %(default)s)")
    tuning.add_argument("--seeds", type=int, default=3, help="of both (default: %(default)s)")
    tuning.add_argument("--ray", action="store_true", help="search with Ray Tune (requirements-ray.txt) instead of Optuna")
    _results(tuning)
    tuning.add_argument("--plot", type=Path, default=Path("docs/tuning.png"), help="default: %(default)s")
    reference = _study(studies, "reference", "published settings of the systems, and the published figures", BENCHMARKS)
    reference.add_argument("--seeds", type=int, default=3, help="of every likelihood (default: %(default)s)")
    reference.add_argument("--clustering-seeds", type=int, default=5, help="of every clustering (default: %(default)s)")
    reference.add_argument("--short", action="store_true", help="what one core does in an hour: fewer epochs, images and units")
    _arms(reference, Path("runs/reference"), "networks side by side, one thread each")
    experiments = _study(studies, "experiments", "the paper's four experiments: a prompt each, 1000 epochs")
    experiments.add_argument("--out", type=Path, default=Path("runs/experiments"), help="one folder a run (default: %(default)s)")
    experiments.add_argument("--prompts", metavar="WORD", nargs="+", help="default: bird fruit clock building")
    experiments.add_argument("--epochs", type=int, default=1000, help="of every run (default: %(default)s)")
    experiments.add_argument("--seeds", type=int, default=1, help="of every run (default: %(default)s)")
    _results(experiments)
    experiments.add_argument("--figures", type=Path, default=Path("docs/experiments"), help="of PNG (default: %(default)s)")
    experiments.add_argument("--document", type=Path, default=Path("docs/EXPERIMENTS.md"), help="default: %(default)s")
    table9 = _study(studies, "table9", "nine systems, measured alike, and the paper's claims beside", BENCHMARKS)
    table9.add_argument("--benchmarks", metavar="NAME", nargs="+", default=["mnist", "fashion-mnist"],
                        help="default: %(default)s")
    table9.add_argument("--seeds", type=int, default=3, help="of every system (default: %(default)s)")
    table9.add_argument("--epochs", type=int, default=16, help="of every run (default: %(default)s)")
    table9.add_argument("--out", type=Path, default=Path("runs/table9"), help="one folder a run (default: %(default)s)")
    table9.add_argument("--workers", type=int, default=2, help="runs side by side (default: %(default)s)")
    _results(table9)
    speed = _study(studies, "speed", "seconds of an epoch beside pythae's trainer (make pythae)", MNIST)
    speed.add_argument("--images", type=int, default=10_000, help="of an epoch (default: %(default)s)")
    speed.add_argument("--epochs", type=int, default=5, help="of each library, the first not counted (default: %(default)s)")
    speed.add_argument("--only", metavar="SYSTEM", nargs="+", help="these systems alone (default: all that pythae has)")
    speed.add_argument("--device", default="cpu", help="cpu or cuda (default: %(default)s)")
    speed.add_argument("--pythae", type=Path, default=Path(".venv-pythae/bin/python"), help="its Python (default: %(default)s)")
    _results(speed)
    refine = _study(studies, "refine", "what refining a picture's posterior at run time buys")
    refine.add_argument("--entry", type=Path, default=entry, help="zoo entry or run with a VAE (default: %(default)s)")
    refine.add_argument("--pictures", type=int, default=64, help="never-seen drawings (default: %(default)s)")
    _results(refine)
    tiny = studies.add_parser("tiny-decoder", help="our decoders against diffusers' AutoencoderTiny, time alone")
    tiny.add_argument("--models", metavar="MODEL", nargs="+", default=[DEFAULT_MODEL], help="default: %(default)s")
    tiny.add_argument("--repeat", type=int, default=50, help="pictures that are timed (default: %(default)s)")
    _results(tiny)
    tiny.add_argument("--json", action="store_true", help="print one JSON object")
    sheets = _study(studies, "sheets", "100 fixed prompts: real drawing, through the tokens, generated")
    sheets.add_argument("--models", metavar="MODEL", nargs="+", default=[DEFAULT_MODEL], help="default: %(default)s")
    sheets.add_argument("--out", type=Path, default=Path("docs/sheets"), help="one PNG a model (default: %(default)s)")
    sheets.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    sheets.add_argument("--zoo", type=Path, help="zoo entry, or folder of entries, to use instead of the committed zoo")


def _study(studies, name: str, about: str, data: tuple[Path, str] = EMOJI) -> argparse.ArgumentParser:
    """A study's parser with the options that all of them have. ``data``: where it is by default, and what it is."""
    parser = studies.add_parser(name, help=about)
    parser.add_argument("--data", type=Path, default=data[0], help=f"{data[1]} (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _results(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--results", type=Path, default=Path("zoo/results"), help="folder of the CSV (default: %(default)s)")


def _arms(parser: argparse.ArgumentParser, out: Path, workers: str) -> None:
    """Options of the studies that train arms."""
    parser.add_argument("--out", type=Path, default=out, help="one folder an arm (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help=f"{workers} (default: %(default)s)")
    parser.add_argument("--only", metavar="ARM", nargs="+", help="these arms alone (default: all)")
    _results(parser)


def run(args: argparse.Namespace) -> dict:
    """Returns the table's rows, or the sheets' paths."""
    chosen = {
        "latent": _latent, "decoder": _decoder, "seq2seq": _seq2seq, "memory": _memory, "prompts": _prompts, "sheets": _sheets,
        "ablation": _ablation, "networks": _networks, "tuning": _tuning, "reference": _reference, "refine": _refine,
        "tiny-decoder": _tiny_decoder, "experiments": _experiments, "speed": _speed, "table9": _table9,
    }
    return chosen[args.study](args)


def _rows(args: argparse.Namespace, rows: list[dict], line: str) -> dict:
    """Print each arm by the format ``line``, unless JSON is asked for."""
    if not args.json:
        print("\n".join(line.format(**row) for row in rows))
    return {"rows": rows}


def _latent(args: argparse.Namespace) -> dict:
    from mvae.reproduce.latent import run_all

    rows = run_all(
        args.data, args.out, steps=args.steps, batch=args.batch, workers=args.workers, only=args.only, results=args.results,
        plot=args.plot,
    )
    return _rows(args, rows, "{arm:16} {tokens:4} tokens  {of_real_ceiling:.3f} of the real ceiling  {psnr:.2f} dB")


def _decoder(args: argparse.Namespace) -> dict:
    from mvae.reproduce.decoder import run_all

    rows = run_all(
        args.run, args.data, args.out, recipe=args.recipe, steps=args.steps, batch=args.batch, workers=args.workers,
        only=args.only, results=args.results,
    )
    return _rows(args, rows, "{arm:16} {of_real_ceiling:.3f} of the real ceiling  {psnr:.2f} dB  perceptual {perceptual:.4f}")


def _seq2seq(args: argparse.Namespace) -> dict:
    from mvae.reproduce.seq2seq import run_all

    rows = run_all(
        args.run, args.data, args.out, recipe=args.recipe, steps=args.steps, batch=args.batch, samples=args.samples,
        workers=args.workers, only=args.only, results=args.results,
    )
    return _rows(args, rows, "{arm:18} trained {nats_trained:.3f}  never seen {nats_unseen:.3f}  object {object:.3f}")


def _memory(args: argparse.Namespace) -> dict:
    from mvae.reproduce.memory import run_all

    rows = run_all(
        args.run, args.data, args.out, minutes=args.minutes, samples=args.samples, workers=args.workers, only=args.only,
        results=args.results,
    )
    if not args.json:
        for row in rows:
            colour = f", colour {row['colour']:.3f}" if "colour" in row else ""
            print(f"{row['set']:40} {row['arm']:20} object {row['object']:.3f}{colour}")
    return {"rows": rows}


def _prompts(args: argparse.Namespace) -> dict:
    from mvae.reproduce.prompts import run_all

    rows = run_all(
        args.model, args.data, args.zoo, samples=args.samples, workers=args.workers, results=args.results, seed=args.seed
    )
    if not args.json:
        for row in rows:
            shown = {name: row[name] for name in ("object", "attribute", "of_label") if row[name] != ""}
            print(f"{row['set']:12} {row['asked']:24} " + "  ".join(f"{name} {value:.3f}" for name, value in shown.items()))
    return {"rows": rows}


def _ablation(args: argparse.Namespace) -> dict:
    from mvae.reproduce.ablation import run_all

    rows = run_all(
        args.data, args.out, seeds=args.seeds, vae_steps=args.vae_steps, word_steps=args.word_steps, repeat=args.repeat,
        workers=args.workers, results=args.results, plot=args.plot,
    )
    line = "{arm:20} {bytes:.0f} B  {total_ms_p50:.1f} ms  CGA {cga:.3f} ± {cga_sd:.3f}  {psnr:.2f} dB  −ELBO {negative_elbo:.0f}"
    return _rows(args, rows, line)


def _networks(args: argparse.Namespace) -> dict:
    from mvae.reproduce.networks import run_all

    rows = run_all(args.data, seeds=args.seeds, epochs=args.epochs, results=args.results)
    line = "{arm:16} −ELBO {negative_elbo:.2f} ± {negative_elbo_sd:.2f}  zeros {zeros:.3f}  {parameters} parameters"
    return _rows(args, rows, line)


def _tuning(args: argparse.Namespace) -> dict:
    from mvae.reproduce.tuning import epochs_to_reach, run_all

    rows = run_all(
        args.data, args.out, trials=args.trials, search_epochs=args.search_epochs, epochs=args.epochs, seeds=args.seeds,
        ray=args.ray, results=args.results, plot=args.plot,
    )
    last = {row["arm"]: row for row in rows}
    reached = epochs_to_reach(rows, "tuned", last["fixed"]["negative_elbo"])
    found = _rows(args, list(last.values()), "{arm:6} −ELBO {negative_elbo:.2f} ± {negative_elbo_sd:.2f} after {epoch} epochs")
    if not args.json:
        print(f"tuned is where fixed ends after {reached} epochs")
    return found | {"tuned_epochs_to_fixed": reached}


def _reference(args: argparse.Namespace) -> dict:
    from mvae.reproduce.reference import run_all

    rows = run_all(
        args.data, args.out, seeds=args.seeds, clustering_seeds=args.clustering_seeds, short=args.short,
        workers=args.workers, only=args.only, results=args.results,
    )
    return _rows(args, rows, "{about:44} {obtained:.4g} ± {obtained_sd:.2g} {unit}  published {reference}  within {within}")


def _experiments(args: argparse.Namespace) -> dict:
    from mvae.reproduce.experiments import PROMPTS, run_all

    rows = run_all(
        args.data, args.out, prompts=args.prompts or PROMPTS, epochs=args.epochs, seeds=args.seeds, results=args.results,
        figures=args.figures, document=args.document,
    )
    line = "{prompt:10} {arm:9} −ELBO {loss:.1f}  KL {kl:.2f}  {active_units:.0f} active units  {seconds:.0f} s"
    _rows(args, [row for row in rows if row["epoch"] == max(r["epoch"] for r in rows)], line)
    return {"rows": rows}


def _table9(args: argparse.Namespace) -> dict:
    from mvae.reproduce.table9 import run_all

    rows = run_all(
        args.data, args.out, benchmarks=args.benchmarks, seeds=args.seeds, epochs=args.epochs, workers=args.workers,
        results=args.results,
    )
    line = "{data:14} {arm:11} CGA {cga:.3f}  coverage {coverage:.3f}  Fréchet {frechet:.1f}  {bytes} bytes  {decode_ms:.3f} ms"
    return _rows(args, rows, line)


def _speed(args: argparse.Namespace) -> dict:
    from mvae.reproduce.speed import run_all

    rows = run_all(
        args.data, images=args.images, epochs=args.epochs, only=args.only, device=args.device, pythae=args.pythae,
        results=args.results,
    )
    line = "{arm:10} ours {ours_s:.3f} s  pythae {pythae_s:.3f} s  ratio {ratio:.2f} ({ratio_low:.2f} … {ratio_high:.2f})"
    return _rows(args, rows, line)


def _refine(args: argparse.Namespace) -> dict:
    from mvae.reproduce.refine import run_all

    rows = run_all(args.entry, args.data, pictures=args.pictures, results=args.results)
    return _rows(args, rows, "{arm:14} −ELBO {negative_elbo:.0f} nats  gap {gap:.0f} ± {gap_sd:.0f}  {psnr:.2f} dB  {ms:.1f} ms")


def _tiny_decoder(args: argparse.Namespace) -> dict:
    from mvae.reproduce.tiny_decoder import run_all

    rows = run_all(args.models, repeat=args.repeat, results=args.results)
    line = "{arm:14} {side} px  {decode_ms:.2f} ms  AutoencoderTiny {tiny_ms:.2f} ms  {times_faster:.1f} times as fast"
    return _rows(args, rows, line)


def _sheets(args: argparse.Namespace) -> dict:
    from mvae.evaluate.prompt_sheet import write_sheet

    paths = [str(write_sheet(name, args.data, args.out, args.seed, args.zoo)) for name in args.models]
    if not args.json:
        print("\n".join(paths))
    return {"sheets": paths}
