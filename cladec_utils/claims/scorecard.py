"""The scorecard for people: HTML, Markdown and CSV, beside an independent replication's figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cladec_utils.claims import effects, evidence, verdicts, wording
from cladec_utils.engine import paths, store, tables

# [R] in PAPER.md: independent, in Keras, github.com/tomtuamnuq/cladec-mnist (Apache-2.0), at alpha 0.
# MSE there is summed over 28 x 28 pixels; accuracies are the evaluation classifier's.
_REPLICATION = [
    ("fashion-mnist", "dense(128)", 0.9033, 0.8887, 21.84, 7.12),
    ("fashion-mnist", "last conv", 0.9045, 0.9080, 3.54, 1.13),
    ("mnist", "dense(128)", 0.9840, 0.9871, 20.52, 3.13),
    ("mnist", "last conv", 0.9893, 0.9914, 1.47, 0.36),
]
REPLICATION_PIXELS = 28 * 28
TEMPLATES = Path(__file__).with_name("templates")


def replication() -> pd.DataFrame:
    """What an independent replication found for C1 and C2: one seed, full data, another network.

    Columns: dataset, layer, C1 difference (evaluation accuracy, X_E minus X_R), C2 difference (MSE per
    pixel, X_E minus X_R).
    """
    rows = [
        (dataset, layer, acc_e - acc_r, (mse_e - mse_r) / REPLICATION_PIXELS)
        for dataset, layer, acc_e, acc_r, mse_e, mse_r in _REPLICATION
    ]
    return pd.DataFrame(rows, columns=["dataset", "layer", "C1 difference", "C2 difference"])


def readable(card: pd.DataFrame) -> pd.DataFrame:
    """The scorecard with numbers as text: effect and interval in one column, empty where there are none."""
    shown = card[["claim", *effects.WHERE, "row"]].copy()
    shown["effect [interval of the verdict]"] = [
        _interval(*row) for row in card[["effect", "low", "high"]].itertuples(index=False)
    ]
    return shown.join(card[["levels", "seeds", "verdict", "direction", "note"]])


def _interval(mean: float, low: float, high: float) -> str:
    if pd.isna(mean):
        return ""
    return f"{mean:+.4f}" if pd.isna(low) else f"{mean:+.4f} [{low:+.4f}, {high:+.4f}]"


def summary(card: pd.DataFrame) -> pd.DataFrame:
    """How many rows of each claim got which verdict, per data set and architecture."""
    counts = card.groupby(["claim", "dataset", "architecture", "verdict"], sort=False).size()
    return counts.unstack(fill_value=0).reset_index().rename_axis(columns=None)


def write(profile: str, these: Sequence[str] | None = None) -> tuple[pd.DataFrame, Path]:
    """Decide on what belongs together under a profile and write scorecard.csv, .md and .html; returns the
    scorecard and the folder, `results/<profile>/scorecard`.

    `these` names results folders to decide on instead (see `evidence.belonging`); the scorecard is then
    written to the first of them."""
    card, out = effects.scorecard(profile, these), left_out(profile, these)
    folder = paths.results_dir(profile) / (these[0] if these else "") / "scorecard"
    store.write_text(folder / "scorecard.csv", tables.for_people(card))
    store.write_text(folder / "scorecard.md", to_markdown(card, profile, out))
    store.write_text(folder / "scorecard.html", to_html(card, profile, out))
    return card, folder


def left_out(profile: str, these: Sequence[str] | None = None) -> str:
    """What was recorded under a profile that its scorecard does not decide on, and why; empty if nothing."""
    sentences = evidence.belonging(profile, these).left_out
    return " ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in sentences)


def to_markdown(card: pd.DataFrame, profile: str, out: str = "") -> str:
    """The scorecard as Markdown: the claims, the rows, what was left `out`, the independent replication."""
    parts = [f"# Scorecard, {profile} profile", _markdown_table(_claims()), "## Verdicts"]
    shown = readable(card)
    names = shown[["dataset", "architecture", "layer"]].map(wording.literal)
    parts += [_markdown_table(shown.assign(**names)), *[out] * bool(out), "## Independent replication", NOTE]
    parts += [_markdown_table(replication().round(4))]
    return "\n\n".join(parts) + "\n"


NOTE = (
    "github.com/tomtuamnuq/cladec-mnist, alpha 0, one seed, another network: compare signs, not sizes. "
    "Its dense layer corresponds most to our late layers, its conv layer to our early ones."
)


def _claims() -> pd.DataFrame:
    rows = [(claim, text, wording.MEASURES[claim]) for claim, text in wording.CLAIMS.items()]
    return pd.DataFrame(rows, columns=["claim", "what it says", "effect, positive for the claim"])


def _markdown_table(table: pd.DataFrame) -> str:
    rows = [list(table.columns), ["---"] * len(table.columns), *table.astype(str).to_numpy().tolist()]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def to_html(card: pd.DataFrame, profile: str, out: str = "") -> str:
    """The scorecard as a page of its own that fetches nothing."""
    return render("scorecard.html.j2", profile=profile, **parts(card, out))


def parts(card: pd.DataFrame, out: str = "") -> Mapping[str, object]:
    """What `scorecard_tables.html.j2` shows: claims, verdicts, their colours, what was left `out`, the
    replication, a note."""
    return {
        "claims": _claims(),
        "verdicts": readable(card),
        "colours": verdicts.COLOURS,
        "left_out": out,
        "note": NOTE,
        "replication": replication().round(4),
    }


def render(template: str, folder: Path = TEMPLATES, **values: object) -> str:
    """A page from a template of `folder`, which may build on those in TEMPLATES. All values are escaped."""
    environment = Environment(
        loader=FileSystemLoader([folder, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(values)
