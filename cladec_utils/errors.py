"""The one error meant for people, a sentence that names the value, what is allowed and the way out, and
notes, which are no errors."""

import difflib
import warnings
from collections.abc import Iterable


class CladecError(Exception):
    """Something the user can put right. Notebooks show its sentence alone, the command line exits with 2."""

    exit_code = 2

    def _render_traceback_(self) -> list[str]:
        """IPython calls this in place of printing a traceback."""
        return [f"{type(self).__name__}: {self}"]


class CladecNote(UserWarning):
    """Something that the user should know: what was left out, or understood in some way."""


def note(sentence: str) -> None:
    """Say something that is no error, once."""
    warnings.warn(sentence, CladecNote, stacklevel=3)


def choose(value: str, allowed: Iterable[str], what: str) -> str:
    """Return `value` if it is one of `allowed`.

    Raises CladecError naming the nearest allowed value and the whole list otherwise.
    """
    names = list(allowed)
    if value in names:
        return value
    raise CladecError(
        f"Unknown {what} {value!r}.{did_you_mean(value, names)} Choose one of: {', '.join(names)}."
    )


def did_you_mean(value: str, allowed: Iterable[str], cutoff: float = 0.4) -> str:
    """A question that names the nearest of `allowed`; empty if none is as much alike as `cutoff` (0 to 1)."""
    near = difflib.get_close_matches(str(value), list(allowed), n=1, cutoff=cutoff)
    return f" Did you mean {near[0]!r}?" if near else ""
