"""`cladec`: run the study, explain images, ask people, list layers and artifacts, rebuild the report.

Here are the commands and their options; what they do is in `commands` and `cli_user_study`, which import
what they need when they run, as most of it takes seconds.
"""

import contextlib
import errno
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from cladec_utils.app import commands
from cladec_utils.app.cli_user_study import add_user_study
from cladec_utils.app.options import Commands, Parser, add, command, picture, positive, word, words
from cladec_utils.errors import CladecError, CladecNote

INTERRUPTED, CLOSED_PIPE = 130, 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0, 1 for a failed notebook, 2 for what the user can put right."""
    try:
        try:
            return _run(arguments)
        finally:
            sys.stdout.flush()  # now, as Python would notice a closed pipe only when all has ended
    except BrokenPipeError:  # `cladec artifacts | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE


def _run(arguments: Sequence[str] | None) -> int:
    try:
        options = parser().parse_args(arguments)
        with _terminated_like_interrupted(), _plain_notes():
            options.command(options)
    except CladecError as error:
        print(f"\ncladec: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("\ncladec: stopped; what was finished is kept, run the same again to go on.", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        where = f" ({error.filename})" if error.filename else ""
        print(f"\ncladec: {error.strerror}{where}; free some space or write elsewhere.", file=sys.stderr)
        return CladecError.exit_code
    return 0


@contextlib.contextmanager
def _plain_notes() -> Iterator[None]:
    """Notes are sentences, without the place in the code that other warnings name."""
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, kind, *rest, **more: (
        f"cladec: {message}\n" if issubclass(kind, CladecNote) else before(message, kind, *rest, **more)
    )
    try:
        yield
    finally:
        warnings.formatwarning = before


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


def parser() -> Parser:
    """The parser of the whole command line; each command's function is in `command` of what it parses."""
    top = Parser(
        prog="cladec",
        description="Explain classifiers by decoding their layers.",
        epilog="`cladec COMMAND --help` explains a command and its options.",
    )
    under = top.commands("command")
    _add_study(under)
    _add_explain(under)
    show = command(
        under, "layers", "list the layers that can be explained",
        "List the layers of a classifier that can be explained, with the shapes of their activations.",
        "cladec layers --architecture resnet",
        "cladec layers --dataset photos --image-size 64 --classifier mymodule:load",
    )  # fmt: skip
    add(show, "profile", "dataset", "architecture", "image_size")
    show.set_defaults(command=commands.layers)
    add_user_study(under)
    _add_keeping(under)
    return top


def _add_study(under: Commands) -> None:
    study = command(
        under, "study", "train what is missing, run the notebooks, build the report",
        "Train and measure what is missing, run all notebooks, and build the report. Several data sets or\n"
        "classifiers make a grid of studies. It can be stopped at any time and goes on where it was.",
        "cladec study",
        "cladec study --datasets fashion-mnist,cifar10 --classifiers vgg,resnet --seeds 0,1,2",
        "cladec study --dataset photos --image-size 64 --classifier mymodule:load --layers layer1,layer4",
        "cladec study --only 02,03",
    )  # fmt: skip
    names = (
        "profile",
        "datasets",
        "classifiers",
        "layers",
        "alpha",
        "alphas",
        "neurons",
        "seeds",
        "image_size",
    )
    add(
        study, *names,
        alpha="of the decoders that are shown: 0 (default; closest to the image) to 1 (to the classifier)",
    )  # fmt: skip
    study.add_argument(
        "--only", type=words, metavar="NOTEBOOKS",
        help="comma-separated numbers or names, such as 02,03; default: all, of data or a classifier of your "
        "own those that are about them",
    )  # fmt: skip
    where = study.add_mutually_exclusive_group()
    where.add_argument("--scheduler", type=word, metavar="ADDRESS", help="compute on that Dask cluster")
    where.add_argument("--slurm", type=positive, default=0, metavar="JOBS", help="compute in SLURM jobs")
    study.add_argument("--force", action="store_true", help="run notebooks whose last run is current, too")
    study.set_defaults(command=commands.study)


def _add_explain(under: Commands) -> None:
    explain = command(
        under, "explain", "draw explanation triplets of layers as a picture",
        "Draw test images beside what RefAE (X_R) and ClaDec (X_E) make of each layer's code. What is\n"
        "missing is trained first.",
        "cladec explain --layer block4 --neurons 0,3,5 --alpha 0.1 --out triplets.pdf",
    )  # fmt: skip
    add(explain, "profile", "dataset", "architecture", "layers", "alpha", "neurons", "seed", "image_size")
    explain.add_argument(
        "--count", type=positive, default=8, metavar="N", help="number of test images (default 8)"
    )
    explain.add_argument(
        "--out", type=picture, default=Path("triplets.png"), metavar="FILE",
        help="the picture to write, as .png, .pdf, .svg, ... (default triplets.png)",
    )  # fmt: skip
    explain.set_defaults(command=commands.explain)


def _add_keeping(under: Commands) -> None:
    """The commands about what there is already."""
    stored = command(
        under, "artifacts", "list what the store holds and how to remove it",
        "List every trained network and measurement that the store holds, or remove some.",
        "cladec artifacts --remove all",
    )  # fmt: skip
    stored.add_argument("--remove", nargs="+", metavar="NAME", help="remove these (all: everything)")
    stored.set_defaults(command=commands.artifacts)
    card = command(
        under, "scorecard", "decide on the claims from everything recorded so far",
        "Decide on each claim from the evidence of all studies with a profile's own choices, or of some that "
        "you name.",
        "cladec scorecard --profile paper",
    )  # fmt: skip
    add(card, "profile", "study")
    card.set_defaults(command=commands.scorecard)
    rebuild = command(
        under, "report", "rebuild the report from the executed notebooks",
        "Make the pages of a profile's report from the notebooks that `cladec study` has run.",
        "cladec report",
    )  # fmt: skip
    add(rebuild, "profile")
    rebuild.set_defaults(command=commands.report)
    write = command(
        under, "notebooks", "for maintainers: store the quick profile's outputs in notebooks/",
        "Run the notebooks and solutions whose outputs are not those of the present code under the quick\n"
        "profile, and keep the outputs in notebooks/.",
        "cladec notebooks",
    )  # fmt: skip
    write.add_argument("--all", action="store_true", help="run those whose outputs are current, too")
    write.set_defaults(command=commands.notebooks)
