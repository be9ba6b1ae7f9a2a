"""Where things lie and how many workers there are: all that the environment says but the profile. And how
text files are read that people may have edited."""

import os
from pathlib import Path


def home() -> Path:
    """The project's folder: $CLADEC_HOME, else the checkout this package lies in, else the working folder."""
    if os.environ.get("CLADEC_HOME"):
        return Path(os.environ["CLADEC_HOME"]).resolve()
    checkout = Path(__file__).resolve().parents[2]
    return checkout if (checkout / "notebooks").is_dir() else Path.cwd()


def data_dir() -> Path:
    """Where the embedded data lies: data/ beside the package."""
    return Path(__file__).resolve().parents[2] / "data"


def downloads_dir() -> Path:
    """Where torchvision puts what it downloads: downloads/ in the project's folder."""
    return home() / "downloads"


def artifacts_dir() -> Path:
    """The store: $CLADEC_ARTIFACTS, else artifacts/ in the project's folder."""
    return Path(os.environ.get("CLADEC_ARTIFACTS") or home() / "artifacts").resolve()


def results_dir(profile: str) -> Path:
    """A profile's results: $CLADEC_RESULTS, else results/ of the project, then the profile's name."""
    return Path(os.environ.get("CLADEC_RESULTS") or home() / "results").resolve() / profile


def with_home(path: str | Path) -> str | Path:
    """A path with the user's home in place of a `~` at its beginning, as shells do; others as they are."""
    try:
        return Path(path).expanduser() if str(path).startswith("~") else path
    except RuntimeError:  # no such user: there may be a folder of that name
        return path


def read_text(path: Path, newline: str | None = None) -> str:
    """The text of a UTF-8 file, `newline` as `open` has it, but for the marks that some editors put before
    it, one with every saving. Raises OSError, and UnicodeDecodeError (a ValueError) if it is not UTF-8."""
    with path.open(encoding="utf-8", newline=newline) as file:
        return file.read().lstrip("\ufeff")


def workers() -> int:
    """Worker processes for a study: $CLADEC_WORKERS, else one per core that this process may use, also
    within the limits of a container or a batch job (cgroups)."""
    asked = os.environ.get("CLADEC_WORKERS", "")
    if asked.isdecimal() and int(asked):
        return int(asked)
    from cladec_utils.engine.dasks import cpu_count  # noqa: PLC0415 - half a second, for those who compute only

    return cpu_count()
