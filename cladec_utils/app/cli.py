"""`cladec`: run the study, explain images, ask people, list layers and artifacts, rebuild the report."""

import argparse
import contextlib
import errno
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from cladec_utils import notebook
from cladec_utils.app import execute, plan, report, series
from cladec_utils.app.cli_user_study import add_user_study
from cladec_utils.claims import scorecard
from cladec_utils.data.sources import is_named
from cladec_utils.engine import clusters, grid, paths, store
from cladec_utils.errors import CladecError
from cladec_utils.models import layers
from cladec_utils.models.architectures import make_classifier
from cladec_utils.models.autoencoders import as_float
from cladec_utils.plots import charts, images
from cladec_utils.study import profiles
from cladec_utils.study.study import Study, open_study

USER_ERROR, FAILURE, INTERRUPTED = 2, 1, 130


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise CladecError(f"{message[0].upper()}{message[1:]}. `{self.prog} --help` explains the options.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0, 1 for a failed notebook, 2 for what the user can put right."""
    try:
        options = _parser().parse_args(arguments)
        with _terminated_like_interrupted():
            options.command(options)
    except execute.NotebookError as error:
        print(f"\ncladec: {error}", file=sys.stderr)
        return FAILURE
    except CladecError as error:
        print(f"\ncladec: {error}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        print("\ncladec: stopped; what was finished is kept, run the same again to go on.", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        where = f" ({error.filename})" if error.filename else ""
        print(f"\ncladec: {error.strerror}{where}; free some space or write elsewhere.", file=sys.stderr)
        return USER_ERROR
    return 0


@contextlib.contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM, which batch systems send before they pre-empt, stops a command as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="cladec", description="Explain classifiers by decoding their layers.")
    commands = parser.add_subparsers(required=True, metavar="command")

    study = commands.add_parser("study", help="train what is missing, run the notebooks, build the report")
    _add_choices(study, several=True)
    where = study.add_mutually_exclusive_group()
    where.add_argument("--scheduler", default="", metavar="ADDRESS", help="compute on that Dask cluster")
    where.add_argument("--slurm", type=_positive, default=0, metavar="JOBS", help="compute in SLURM jobs")
    study.add_argument("--force", action="store_true", help="run notebooks whose last run is current, too")
    study.set_defaults(command=_study)

    explain = commands.add_parser("explain", help="write explanation triplets of one layer as a PNG")
    _add_choices(explain)
    explain.add_argument("--count", type=_positive, default=8, help="number of test images (default 8)")
    explain.add_argument("--out", type=Path, default=Path("triplets.png"), help="the file to write")
    explain.set_defaults(command=_explain)

    show = commands.add_parser("layers", help="list the layers that can be explained")
    _add_choices(show)
    show.set_defaults(command=_layers)

    add_user_study(commands, _add_choices, _choices)

    artifacts = commands.add_parser("artifacts", help="list what the store holds and how to remove it")
    artifacts.add_argument("--remove", nargs="+", metavar="NAME", help="remove these (all: everything)")
    artifacts.set_defaults(command=_artifacts)

    card = commands.add_parser("scorecard", help="decide on the claims from everything recorded so far")
    card.add_argument("--profile")
    card.set_defaults(command=_scorecard)

    rebuild = commands.add_parser("report", help="rebuild the report from the executed notebooks")
    rebuild.add_argument("--profile")
    rebuild.set_defaults(command=lambda options: _say_report(profiles.get_profile(options.profile).name))

    write = commands.add_parser(
        "notebooks", help="for maintainers: store the quick profile's outputs in notebooks/"
    )
    write.set_defaults(command=_notebooks)
    return parser


def _add_choices(parser: argparse.ArgumentParser, several: bool = False) -> None:
    """The options that name a study, or with `several` a grid of them."""
    data = "fashion-mnist (default), mnist, cifar10, cifar100, planted-tint-stripes, a folder, an .npz"
    parser.add_argument("--profile", help="smoke, quick (default) or paper")
    if several:
        parser.add_argument("--datasets", "--dataset", type=_words, help=f"comma-separated: {data}")
        parser.add_argument(
            "--classifiers", "--architectures", "--architecture", type=_words,
            help="comma-separated: vgg (default), resnet",
        )  # fmt: skip
        parser.add_argument("--alphas", type=_words, help="comma-separated; those of the sweep (notebook 03)")
    else:
        parser.add_argument("--dataset", help=data)
        parser.add_argument("--architecture", help="vgg (default) or resnet")
    parser.add_argument("--layers", "--layer", type=_words, help="comma-separated names; see `cladec layers`")
    parser.add_argument("--alpha", default="0", help="0 (closest to the image) to 1 (to the classifier)")
    parser.add_argument("--neurons", type=_integers, help="comma-separated channels or units of the layers")
    parser.add_argument("--seeds", type=_integers, help="comma-separated; one repetition each")
    parser.add_argument("--image-size", type=_positive, help="side in pixels, a multiple of 8")


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _integers(text: str) -> list[int]:
    try:
        return [int(word) for word in _words(text)]
    except ValueError as error:
        raise CladecError(f"{text!r} is no comma-separated list of integers, such as 0,1,2.") from error


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise CladecError(f"{text!r} is not an integer above 0.")
    return int(text)


def _choices(options: argparse.Namespace) -> dict[str, object]:
    names = ("profile", "dataset", "architecture", "layers", "alpha", "neurons", "seeds", "image_size")
    choices = {name: getattr(options, name) for name in names if hasattr(options, name)}
    return choices | ({"dataset": _place(options.dataset)} if "dataset" in choices else {})


def _place(dataset: str | None) -> str | None:
    """Paths are made absolute, as notebooks run in another folder. A name is no path, whatever lies here."""
    is_path = dataset and not is_named(dataset) and Path(dataset).exists()
    return str(Path(dataset).resolve()) if is_path else dataset


def _study(options: argparse.Namespace) -> None:
    start = time.monotonic()
    datasets = [_place(name) for name in options.datasets or []]
    others = _choices(options) | {"alphas": options.alphas}
    chosen = plan.combinations(datasets, options.classifiers, others)
    profile = chosen[0].study.profile.name
    _check_writable(paths.results_dir(profile))
    notebooks = series.series()
    shown = [each for each in chosen if each.full]
    for each in shown:
        notebook.begin(each.study)
    with contextlib.ExitStack() as stack:
        stack.enter_context(clusters.computing_at(clusters.Place(options.scheduler, options.slurm)))
        plan.compute(chosen, notebooks)
        if clusters.elsewhere():
            stack.close()  # notebooks run on this machine
        for each in shown:
            series.run_series(each.study, each.choices, options.force)
    _say_report(profile)
    print(f"done in {time.monotonic() - start:.0f} s")


def _scorecard(options: argparse.Namespace) -> None:
    card, folder = scorecard.write(profiles.get_profile(options.profile).name)
    print(scorecard.readable(card).to_string(index=False))
    print(f"written to {folder}")


def _notebooks(_options: argparse.Namespace) -> None:
    """The scorecard among them reads what the whole study has recorded, so that is made first."""
    plan.compute(plan.combinations(None, None, {"profile": "quick"}), series.series())
    series.write_outputs(paths.home() / "notebooks")


def _check_writable(folder: Path) -> None:
    """Say before hours of training, not after, that results cannot be written."""
    probe = folder / f".partial-probe-{os.getpid()}"
    store.write_text(probe, "")
    probe.unlink(missing_ok=True)


def _say_report(profile: str) -> None:
    print(f"report: {report.build(profile)}")


def _explain(options: argparse.Namespace) -> None:
    out = options.out.resolve()
    if out.is_dir():
        raise CladecError(
            f"--out names the folder {out}; give the file to write, such as {out / 'triplets.png'}."
        )
    study = open_study(**_choices(options))
    _check_writable(out.parent)
    figure = triplets(study, options.count)
    partial = out.with_name(f".partial-{os.getpid()}-{out.name}.png")
    with store.writing_to(out.parent):
        try:
            figure.savefig(partial, dpi=110)
            partial.replace(out)
        finally:
            partial.unlink(missing_ok=True)
    print(f"wrote {options.out}")


def triplets(study: Study, count: int) -> charts.Figure:
    """The explanation triplets of the study's layers, first seed, for test images chosen by rule."""
    seed = study.seeds[0]
    pairs = [(layer, study.refae(layer, seed), study.cladec(layer, seed)) for layer in study.layers]
    grid.compute([spec for _, *both in pairs for spec in both], lines=True)
    indices = notebook.pick_images(study, count)
    rows = {"X": as_float(study.data.test.images[indices])}
    for layer, refae, cladec in pairs:
        rows[f"X_R {layer}"] = notebook.decode(refae, study, indices)
        rows[f"X_E {layer}"] = notebook.decode(cladec, study, indices)
    labels = [study.data.class_names[i] for i in study.data.test.labels[indices]]
    return images.image_rows(rows, labels)


def _layers(options: argparse.Namespace) -> None:
    study = open_study(**_choices(options))
    data = study.data
    network = make_classifier(
        study.architecture, data.image_shape, len(data.class_names), study.profile.width
    )
    print(f"{'layer':24}{'type':20}{'activation shape'}")
    for layer in layers.list_layers(network, data.image_shape):
        print(f"{layer.name:24}{layer.type:20}{' x '.join(map(str, layer.shape))}")


def _artifacts(options: argparse.Namespace) -> None:
    folder = paths.artifacts_dir()
    rows = store.listing()
    if options.remove:
        known = {row["name"] for row in rows}
        names = sorted(known) if options.remove == ["all"] else options.remove
        for name in names:
            if name not in known:
                raise CladecError(
                    f"There is no artifact {name!r} in {folder}; `cladec artifacts` lists them."
                )
        for name in names:
            shutil.rmtree(folder / name)
        print(f"removed {len(names)} artifacts")
        return
    for row in rows:
        print(
            f"{row['name']:40}{row['megabytes']:8.2f} MB{row['seconds']:9.1f} s  "
            f"{row['created']:26}{row['state']}"
        )
    print(f"{len(rows)} artifacts, {sum(r['megabytes'] for r in rows):.1f} MB in {folder}")
    print("remove some: cladec artifacts --remove NAME ...   all: cladec artifacts --remove all")
    print("(reading one verifies it; a damaged one is set aside, listed as damaged/NAME, and made again)")
