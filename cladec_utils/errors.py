"""The one error meant for people: a sentence that names the value, what is allowed and the way out."""

import difflib
from collections.abc import Iterable


class CladecError(Exception):
    """Something the user can put right. Notebooks show its sentence alone, the command line exits with 2."""

    def _render_traceback_(self) -> list[str]:
        """IPython calls this in place of printing a traceback."""
        return [f"{type(self).__name__}: {self}"]


def choose(value: str, allowed: Iterable[str], what: str) -> str:
    """Return `value` if it is one of `allowed`.

    Raises CladecError naming the nearest allowed value and the whole list otherwise.
    """
    names = list(allowed)
    if value in names:
        return value
    near = difflib.get_close_matches(str(value), names, n=1, cutoff=0.4)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise CladecError(f"Unknown {what} {value!r}.{hint} Choose one of: {', '.join(names)}.")
