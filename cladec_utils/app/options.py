"""What all commands share on the command line: a parser that says what was meant, and the options that name
a study. Imports nothing that takes long, as `--help` and a mistyped option should not have to wait."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from cladec_utils.errors import CladecError, choose, did_you_mean

Commands = argparse._SubParsersAction
"""Where commands are added to a parser."""

NO_PICTURES = {"pgf", "raw", "rgba"}
"""Endings that matplotlib knows, but with a LaTeX of one's own, or of files that no viewer opens."""
DATA = "mnist, cifar10, cifar100, planted-tint-stripes, a folder, an .npz"
OWN = "mymodule:load (or file.py:load), a function of yours that gives a trained torch module"
PROFILES = "smoke, quick (default), standard, paper or the path of a .toml of your own"


class Parser(argparse.ArgumentParser):
    """Raises CladecError for whatever it does not understand, with the nearest command or option."""

    def __init__(self, **settings: Any) -> None:
        settings = {"formatter_class": argparse.RawDescriptionHelpFormatter} | settings
        super().__init__(allow_abbrev=False, **settings)
        self._commands: Commands | None = None

    def commands(self, what: str) -> Commands:
        """Where commands are added (see `command`); `what` they are called."""
        self._commands = self.add_subparsers(required=True, metavar=what, title=f"{what}s")
        return self._commands

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        given = list(sys.argv[1:] if args is None else args)
        if self._commands is not None:
            self._check_command(given[0] if given else "", self._commands)
        found, unknown = super().parse_known_args(given, namespace)
        if unknown:
            self._refuse(unknown[0].split("=")[0])
        return found, unknown

    def error(self, message: str) -> NoReturn:
        message = message.removeprefix("argument ").removesuffix(".")
        raise CladecError(f"{message[0].upper()}{message[1:]}. {self._help()}")

    def _check_command(self, first: str, commands: Commands) -> None:
        what, names = commands.metavar, list(commands.choices)
        if not first:
            raise CladecError(f"Name the {what}, one of: {', '.join(names)}. {self._help()}")
        if first.startswith("-"):
            if first not in self._option_string_actions:
                raise CladecError(f"Name the {what} before its options, such as {first!r}. {self._help()}")
        else:
            choose(first, names, what)

    def _refuse(self, word: str) -> NoReturn:
        if not word.startswith("-"):
            raise CladecError(f"`{self.prog}` does not know what to do with {word!r}. {self._help()}")
        options = list(self._option_string_actions)
        longer = [option for option in options if word.startswith("--") and option.startswith(word)]
        hint = did_you_mean(word, longer, 0.0) if longer else did_you_mean(word, options, 0.75)
        raise CladecError(f"`{self.prog}` has no option {word!r}.{hint} {self._help()}")

    def _help(self) -> str:
        return f"`{self.prog} --help` says more."


def command(commands: Commands, name: str, summary: str, description: str, *examples: str) -> Parser:
    """Add a command: `summary` for the list of commands, `description` and `examples` for its own help."""
    title = "example" if len(examples) == 1 else "examples"
    epilog = "\n  ".join([f"{title}:", *examples]) if examples else None
    return commands.add_parser(name, help=summary, description=description, epilog=epilog)


# --- values ---------------------------------------------------------------------------------------


def word(text: str) -> str:
    """A name or an address: `--dataset "$DATA"` with nothing in DATA is no choice of the default."""
    if not text.strip():
        raise argparse.ArgumentTypeError("a value is empty; give one, or leave the option out")
    return text.strip()


def words(text: str) -> list[str]:
    """A comma-separated list."""
    return [word(part) for part in text.split(",")]


def integers(text: str) -> list[int]:
    """A comma-separated list of integers."""
    try:
        return [int(part) for part in words(text)]
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no comma-separated list of integers, such as 0,1,2"
        ) from error


def one_word(text: str) -> list[str]:
    """A list of one name, for what is called with one but kept as several."""
    return _one(words(text), text)


def one_integer(text: str) -> list[int]:
    """A list of one integer."""
    return _one(integers(text), text)


def _one(found: list[Any], text: str) -> list[Any]:
    if len(found) > 1:
        raise argparse.ArgumentTypeError(f"{text!r} names {len(found)}; this command takes one")
    return found


def positive(text: str) -> int:
    """An integer above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer above 0")
    return int(text)


def natural(text: str) -> int:
    """An integer from 0 up."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer from 0 up")
    return int(text)


def picture(text: str) -> Path:
    """The file to write a picture to: what its ending says, of those that matplotlib can write."""
    from matplotlib.backend_bases import FigureCanvasBase  # noqa: PLC0415 - half a second

    path = Path(word(text))
    if path.is_dir():
        raise argparse.ArgumentTypeError(
            f"{path.resolve()} is a folder; give the file to write, such as {path / 'triplets.png'}"
        )
    endings = sorted(set(FigureCanvasBase.get_supported_filetypes()) - NO_PICTURES)
    if path.suffix[1:].lower() not in endings:
        raise argparse.ArgumentTypeError(
            f"{text!r} has {f'the ending {path.suffix!r}' if path.suffix else 'no ending'}, but a picture is "
            f"written as one of: {', '.join(f'.{ending}' for ending in endings)}"
        )
    return path


def folder(text: str) -> Path:
    """A folder, which need not be there yet."""
    path = Path(word(text))
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"{path.resolve()} is a file; give a folder")
    return path


# --- the options that name a study ------------------------------------------------------------------

_OPTIONS: dict[str, tuple[str, Callable[[str], Any], str, str]] = {
    "profile": ("--profile", word, "NAME", f"how much of everything: {PROFILES}"),
    "dataset": ("--dataset", word, "DATA", f"fashion-mnist (default), {DATA}"),
    "datasets": ("--datasets --dataset", words, "DATA", f"comma-separated: fashion-mnist (default), {DATA}"),
    "architecture": ("--architecture --classifier", word, "NAME", f"vgg (default), resnet or {OWN}"),
    "classifiers": (
        "--classifiers --classifier --architectures --architecture", words, "NAMES",
        f"comma-separated: vgg (default), resnet, {OWN}",
    ),
    "layers": (
        "--layers --layer", words, "NAMES", "comma-separated; default: the profile's; see `cladec layers`"
    ),
    "layer": (
        "--layer --layers", one_word, "NAME",
        "default: the profile's last before the logits; see `cladec layers`",
    ),
    "alpha": ("--alpha", word, "X", "0 (default; closest to the image) to 1 (to the classifier)"),
    "alphas": ("--alphas", words, "XS", "comma-separated; those of the sweep (notebook 03)"),
    "neurons": ("--neurons", integers, "NUMBERS", "comma-separated channels or units; default: all"),
    "seeds": (
        "--seeds --seed", integers, "NUMBERS", "comma-separated, one repetition each; default: the profile's"
    ),
    "seed": ("--seed --seeds", one_integer, "NUMBER", "which training to show; default: the first"),
    "study": ("--study", words, "FOLDERS", "comma-separated names of results folders to decide on instead"),
    "image_size": ("--image-size", positive, "PIXELS", "side of the images, a multiple of 8"),
}  # fmt: skip
"""Flags, type, what stands for the value, and help."""
_KEPT_AS = {"layer": "layers", "seed": "seeds"}


def add(parser: argparse.ArgumentParser, *names: str, **helps: str) -> None:
    """Add the options called so, some with another help than usual."""
    for name in names:
        flags, kind, metavar, usual = _OPTIONS[name]
        kept = {"dest": _KEPT_AS.get(name, name), "type": kind, "metavar": metavar}
        parser.add_argument(*flags.split(), **kept, help=helps.get(name, usual))


def choices(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `open_study` that were given."""
    names = ("profile", "dataset", "architecture", "layers", "alpha", "neurons", "seeds", "image_size")
    found = {name: getattr(options, name, None) for name in names}
    found["dataset"], found["architecture"] = place(found["dataset"]), everywhere(found["architecture"])
    return {name: value for name, value in found.items() if value is not None}


def place(dataset: str | None) -> str | None:
    """Paths are made absolute, as notebooks run in another folder. A name is no path, whatever lies here."""
    from cladec_utils.data.sources import is_named  # noqa: PLC0415 - it reads images with torch

    is_path = dataset and not is_named(dataset) and Path(dataset).exists()
    return str(Path(dataset).resolve()) if is_path else dataset


def everywhere(architecture: str | None) -> str | None:
    """An architecture's name; the loader of a classifier of one's own as other processes understand it."""
    if not architecture or ":" not in architecture:
        return architecture
    from cladec_utils.models import loaders  # noqa: PLC0415 - torch

    return loaders.absolute(architecture)
