"""`cladec`: run the study, explain images, ask people, list layers and artifacts, rebuild the report."""

import argparse
import errno
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from cladec_utils import (
    concept_study,
    config,
    evidence,
    figures,
    grid,
    layers,
    notebook,
    report,
    runner,
    saliency_limits,
    saliency_study,
    scorecard,
    store,
)
from cladec_utils.data import as_float
from cladec_utils.errors import CladecError
from cladec_utils.models import ARCHITECTURES, make_classifier
from cladec_utils.study import Study, open_study
from cladec_utils.user_study_cli import add_user_study
from cladec_utils.user_study_spec import design, subjects

USER_ERROR, FAILURE, INTERRUPTED = 2, 1, 130


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise CladecError(f"{message[0].upper()}{message[1:]}. `{self.prog} --help` explains the options.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0, 1 for a failed notebook, 2 for what the user can put right."""
    try:
        options = _parser().parse_args(arguments)
        options.command(options)
    except runner.NotebookError as error:
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


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="cladec", description="Explain classifiers by decoding their layers.")
    commands = parser.add_subparsers(required=True, metavar="command")

    study = commands.add_parser("study", help="train what is missing, run the notebooks, build the report")
    _add_choices(study)
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
    rebuild.set_defaults(command=lambda options: _say_report(config.get_profile(options.profile).name))

    write = commands.add_parser(
        "notebooks", help="for maintainers: store the quick profile's outputs in notebooks/"
    )
    write.set_defaults(command=lambda options: runner.write_outputs(config.home() / "notebooks"))
    return parser


def _add_choices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--profile", help="smoke, quick (default) or paper")
    parser.add_argument(
        "--dataset",
        help="fashion-mnist (default), mnist, cifar10, cifar100, planted-tint-stripes, a folder, an .npz",
    )
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
    choices = {name: getattr(options, name) for name in names}
    if choices["dataset"] and Path(str(choices["dataset"])).exists():
        choices["dataset"] = str(Path(str(choices["dataset"])).resolve())  # notebooks run in another folder
    return choices


def _study(options: argparse.Namespace) -> None:
    start = time.monotonic()
    choices = _choices(options)
    study = open_study(**choices)
    choices |= {"profile": study.profile.name, "alpha": study.alpha}
    results = config.results_dir(study.profile.name)
    _check_writable(results)
    runner.series()
    notebook.begin(study)
    evidence.gather(study)
    if not (options.architecture or options.layers or options.neurons):  # compare another architecture
        for other in sorted(set(ARCHITECTURES) - {study.architecture}):
            evidence.gather(open_study(**choices | {"architecture": other, "layers": None}), full=False)
    _compute_ahead(study, choices)
    runner.run_series(study, choices, options.force)
    _say_report(study.profile.name)
    print(f"done in {time.monotonic() - start:.0f} s")


def _compute_ahead(study: Study, choices: dict[str, object]) -> None:
    """What the later notebooks need and takes long, a line per task; only for notebooks that are there."""
    present = {path.stem for path in runner.series()}
    if "05_planted_concepts" in present:
        named = {name: choices[name] for name in ("profile", "architecture", "layers", "seeds")}
        concept_study.gather(concept_study.open_concepts(**named))
    if "06_saliency" in present:
        saliency_study.gather(study)
        grid.compute(saliency_limits.plan(saliency_limits.study_like(study)), lines=True)
    if "07_user_study_materials" in present:
        grid.compute(design(*subjects(choices)).needs(), lines=True)


def _scorecard(options: argparse.Namespace) -> None:
    card, folder = scorecard.write(config.get_profile(options.profile).name)
    print(scorecard.readable(card).to_string(index=False))
    print(f"written to {folder}")


def _check_writable(folder: Path) -> None:
    """Say before hours of training, not after, that results cannot be written."""
    probe = folder / ".partial-probe"
    store.write_text(probe, "")
    probe.unlink()


def _say_report(profile: str) -> None:
    print(f"report: {report.build(profile)}")


def _explain(options: argparse.Namespace) -> None:
    study = open_study(**_choices(options))
    _check_writable(options.out.resolve().parent)
    figure = triplets(study, options.count)
    with store.writing_to(options.out.resolve().parent):
        partial = options.out.with_name(f".partial-{options.out.name}.png")
        figure.savefig(partial, dpi=110)
        partial.replace(options.out)
    print(f"wrote {options.out}")


def triplets(study: Study, count: int) -> figures.Figure:
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
    return figures.image_rows(rows, labels)


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
    folder = config.artifacts_dir()
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
    print("(reading one verifies it; a damaged one is set aside in damaged/ and made again)")


if __name__ == "__main__":
    sys.exit(main())
