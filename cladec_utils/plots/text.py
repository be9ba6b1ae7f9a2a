"""The texts of a figure as they are. Names of classes and data sets are the user's: a `$` in them begins no
formula, a letter that the usual font lacks is taken from any installed one that has it, what shows nothing is
left out, and a line that no figure has room for loses its middle."""

import functools
import unicodedata

from matplotlib import font_manager
from matplotlib.axis import Axis
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text
from matplotlib.ticker import Formatter, LogFormatter

from cladec_utils.errors import note

BOXES_ONLY = "last resort"
"""A font of matplotlib's that has a box for every letter."""
CJK = {"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC", "FULLWIDTH", "HALFWIDTH"}
"""How Unicode's names of Chinese, Japanese and Korean letters begin."""
LONGEST = 72
"""Letters of a line that fit beside or above what is drawn."""
WIDEST = 125
"""Letters of a line, small ones, that fit below all that is drawn: those of a figure's own label there."""


class PlainFigure(Figure):
    """A figure that draws every text as it is, whoever put it there. Powers on a logarithmic axis are
    matplotlib's own formulas and stay."""

    def draw(self, renderer: RendererBase) -> None:
        powers: set[Text] = set()
        for axis in (axis for axes in self.axes for axis in (axes.xaxis, axes.yaxis)):
            labels = [*axis.get_majorticklabels(), *axis.get_minorticklabels(), axis.get_offset_text()]
            if isinstance(axis.get_major_formatter(), LogFormatter):
                powers.update(labels)
            else:
                _spell_ticks(axis)
        for text in self.findobj(Text):
            if text not in powers:
                text.set_parse_math(False)
                text.set_text(_shown(text.get_text(), WIDEST if text is self._supxlabel else LONGEST))
                text.set_fontfamily(_families(text))
                text.set_text(_spelt(text.get_text(), _path(text)))
        super().draw(renderer)


class _Spelt(Formatter):
    """Another formatter's labels as they are shown, letters that no font has spelt out."""

    def __init__(self, inner: Formatter, path: str) -> None:
        self.inner, self.path = inner, path

    def __call__(self, value: float, position: int | None = None) -> str:
        return _spelt(_shown(self.inner(value, position)), self.path)

    def format_ticks(self, values: list[float]) -> list[str]:
        return [_spelt(_shown(label), self.path) for label in self.inner.format_ticks(values)]


def in_legend(name: object) -> str:
    """A name as the label of what is drawn. matplotlib leaves out of legends what has none or `_` in front,
    as names of layers may; the mark before it shows nothing (see `_shown`)."""
    text = str(name)
    return f"\u200b{text}" if text.startswith("_") else text or "(no name)"


def _spell_ticks(axis: Axis) -> None:
    """Labels of ticks are asked for anew with every drawing, so their formatter has to spell them."""
    labels = [label for label in axis.get_majorticklabels() if label.get_text()]
    if any(_spelt(_shown(label.get_text()), _path(label)) != label.get_text() for label in labels):
        axis.set_major_formatter(_Spelt(axis.get_major_formatter(), _path(labels[0])))


def _shown(text: str, longest: int = LONGEST) -> str:
    """The text without what shows nothing (and which not every format of figures can hold): control and
    format characters. Tabs and line ends within a name are spaces; long lines lose their middle."""
    kept = (
        c if c == "\n" or unicodedata.category(c) not in ("Cc", "Cf", "Zl", "Zp") else " " * c.isspace()
        for c in text.replace("\r\n", "\n")
    )
    lines = "".join(kept).split("\n")
    return "\n".join(
        f"{line[: longest - 23]}...{line[-20:]}" if len(line) > longest else line for line in lines
    )


def _path(text: Text) -> str:
    return font_manager.findfont(text.get_fontproperties())


def _lacking(text: str, path: str) -> list[str]:
    return [c for c in dict.fromkeys(text) if not c.isspace() and ord(c) not in _letters(path)]


def _families(text: Text) -> list[str]:
    """The text's fonts, and those that have what these lack."""
    more = (_family_with(letter) for letter in _lacking(text.get_text(), _path(text)))
    return list(dict.fromkeys([*text.get_fontfamily(), *(family for family in more if family)]))


def _spelt(text: str, path: str) -> str:
    """The text with the Unicode number in place of each letter that no installed font has, with a warning."""
    missing = [letter for letter in _lacking(text, path) if not _family_with(letter)]
    if not _told.issuperset(missing):
        _told.update(missing)
        _warn(missing)
    return "".join(f"[{ord(c):X}]" if c in missing else c for c in text)


_told: set[str] = set()


def _warn(missing: list[str]) -> None:
    note(
        f"No installed font has {', '.join(map(ascii, missing))}: figures show Unicode numbers such as "
        f"[{ord(missing[0]):X}] instead. Install {_font_for(missing)} and start again."
    )


def _font_for(missing: list[str]) -> str:
    """What to install so that these letters are drawn."""
    scripts = {unicodedata.name(letter, "").split(" ")[0] for letter in missing}
    which = "Noto Sans CJK" if scripts <= CJK else "the Noto fonts cover nearly all scripts"
    return f"a font that has them ({which})"


@functools.cache
def _letters(path: str) -> frozenset[int]:
    try:
        font = FT2Font(path)
    except (OSError, RuntimeError):
        return frozenset()
    return frozenset(font.get_charmap() if font.scalable else ())  # not of coloured pictures


@functools.cache
def _family_with(letter: str) -> str:
    """The first installed family that has a letter; empty if there is none."""
    fonts = (font for font in font_manager.fontManager.ttflist if BOXES_ONLY not in font.name.lower())
    return next((font.name for font in fonts if ord(letter) in _letters(font.fname)), "")
