"""The one error meant for people, a sentence that names the value, what is allowed and the way out, and
notes, which are no errors."""

import difflib
import warnings
from collections.abc import Iterable


class CladecError(Exception):
    """Something the user can put right. Notebooks show its sentence alone, the command line exits with 2."""

    exit_code = 2

    def __init__(self, sentence: object) -> None:
        super().__init__(printable(str(sentence)))

    def _render_traceback_(self) -> list[str]:
        """IPython calls this in place of printing a traceback."""
        return [f"{type(self).__name__}: {self}"]


class CladecNote(UserWarning):
    """Something that the user should know: what was left out, or understood in some way."""


def note(sentence: str) -> None:
    """Say something that is no error, once."""
    warnings.warn(printable(sentence), CladecNote, stacklevel=3)


def printable(text: str) -> str:
    r"""Text as UTF-8 can hold it: a byte of a file's name that is no UTF-8 becomes \xff, and so on."""
    spelt = (f"\\x{ord(c) - 0xDC00:02x}" if "\udc80" <= c <= "\udcff" else c for c in text)
    return "".join(spelt).encode("utf-8", "backslashreplace").decode()


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
