"""All results of a user study from one folder of responses: tables, verdict rows, files."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pandas as pd

from cladec_utils.claims.effects import record_effects
from cladec_utils.claims.interval import Effect
from cladec_utils.engine import store, tables
from cladec_utils.errors import CladecError
from cladec_utils.study.study import Study
from cladec_utils.user_study.analysis.inference import (
    REPLICATES,
    Comparison,
    agreement,
    balanced,
    c5_choices,
    c5_judgements,
    compare,
    diversity,
    per_concept,
)
from cladec_utils.user_study.analysis.judgements import (
    choices,
    coding_key,
    coding_sheet,
    exclusions,
    filled,
    judgements,
    wrong_in_their_arm,
)
from cladec_utils.user_study.analysis.persons import UNNAMED
from cladec_utils.user_study.analysis.responses import Launched, Responses, read_responses
from cladec_utils.user_study.analysis.simulation import MARK
from cladec_utils.user_study.design import asked_about, compared

OUT, EFFECTS = "analysis", "user_study"
NAMED = 10  # files and participants that an error names
TRUTHS = {"a": "A, interventional", "b": "B, planted"}
CANNOT_TELL = {"missing": None, "wrong": 0.0, "at chance": 0.5}
"""What "cannot tell" counts as, and how far that is correct: by the rule, and the two bounds beside it."""


@dataclass(frozen=True)
class Results:
    """Everything found: `tables` by name, the `choices` and `judgements` behind them, the `truths` that are
    known."""

    launched: Launched
    responses: Responses
    choices: pd.DataFrame
    judgements: pd.DataFrame
    truths: tuple[str, ...]
    tables: dict[str, pd.DataFrame]

    @property
    def against(self) -> str:
        """The arm that X_E is held against."""
        return _against(self.launched)

    @property
    def mark(self) -> str:
        """What every table and figure says if the respondents are simulated; else empty."""
        return MARK if self.responses.simulated else ""


def analyse(
    launched: Launched, responses_folder: Path | None = None, replicates: int = REPLICATES
) -> Results:
    """Read, exclude and analyse the responses of a study by the rules of `rules`.

    `replicates` is how often the bootstrap draws. Raises CladecError if nothing is left to analyse.
    """
    responses = read_responses(launched, responses_folder)
    left_out = exclusions(launched, responses.valid)
    table = judgements(launched, responses.valid, left_out)
    if table.empty:
        raise CladecError(_nothing_left(responses, left_out))
    truths = tuple(t for t in TRUTHS if table[f"truth_{t}"].notna().any())
    pairs, against = choices(launched, responses.valid, left_out), _against(launched)
    tables = {
        "counts": _counts(launched, responses, left_out, table),
        "set_aside": responses.set_aside,
        "excluded": left_out,
        "choices": _arms(pairs, truths, against, replicates),
        "arms": _arms(table, truths, against, replicates),
        "abstention": _abstention(table, against, replicates),
        "sensitivity": _sensitivity(table, truths, against),
        "concepts": pd.concat(
            [_labelled(per_concept(table, t, launched.key["concepts"]), t) for t in truths]
        ),
        "agreement": agreement(table),
        "diversity": pd.concat([_labelled(diversity(table, t), t) for t in truths]),
        "judgements": table,
        "coding_sheet": coding_sheet(responses.valid, left_out),
        "coding_key": coding_key(launched, responses.valid, left_out),
    }
    kind = "simulated" if responses.simulated else "participants"
    return Results(
        launched, responses, pairs, table, truths,
        {name: each.assign(respondents=kind) for name, each in tables.items()},
    )  # fmt: skip


def _nothing_left(responses: Responses, left_out: pd.DataFrame) -> str:
    """Why there is nothing to analyse: each file and each participant by name, the first NAMED of them."""
    lines = [
        f"Of {len(responses.valid) + len(responses.set_aside)} files none is left to analyse: "
        f"{len(responses.set_aside)} set aside, {len(left_out)} excluded."
    ]
    excluded = left_out[["participant", "rule"]]
    reasons = [*responses.set_aside.itertuples(index=False), *excluded.itertuples(index=False)]
    lines += [f"  {who}: {why}" for who, why in reasons[:NAMED]]
    if len(reasons) > NAMED:
        lines.append(f"  and {len(reasons) - NAMED} more")
    return "\n".join(lines)


def _labelled(table: pd.DataFrame, truth: str) -> pd.DataFrame:
    table.insert(0, "truth", truth.upper())
    return table


def _counts(
    launched: Launched, responses: Responses, left_out: pd.DataFrame, table: pd.DataFrame
) -> pd.DataFrame:
    rows = [
        ("files", len(responses.valid) + len(responses.set_aside)),
        ("set aside", len(responses.set_aside)),
        ("excluded", len(left_out)),
    ]
    unnamed = sum(r["participant"].startswith(UNNAMED) for r in responses.valid)
    rows += [("without a number: the panel's placeholder was unfilled", unnamed)] * bool(unnamed)
    against = _against(launched)
    arms = sorted((arm["name"] for arm in launched.key["arms"].values()), key=lambda n: n != against)
    numbers = {
        "excluded": left_out["arm"].value_counts(),
        "analysed": table.groupby("arm")["participant"].nunique(),
    }
    rows += [(f"{what}, {arm}", int(n.get(arm, 0))) for what, n in numbers.items() for arm in arms]
    wrong = wrong_in_their_arm(launched, responses.valid, left_out).groupby(["question", "arm"]).size()
    rows += [(f"analysed although wrong on question '{q}', {arm}", n) for (q, arm), n in wrong.items()]
    return pd.DataFrame(rows, columns=["what", "number"])


def _against(launched: Launched) -> str:
    return compared([arm["name"] for arm in launched.key["arms"].values()])


def _others(table: pd.DataFrame, against: str) -> list[str]:
    return sorted(set(table["arm"]) - {against})


def _arms(table: pd.DataFrame, truths: Iterable[str], against: str, replicates: int) -> pd.DataFrame:
    """Every arm against the other, per truth; with balanced accuracy where there are concepts."""
    rows = []
    for truth in truths:
        for arm in _others(table, against):
            row = {"truth": truth.upper()}
            row |= asdict(compare(table, f"correct_{truth}", arm, against, replicates))
            if f"truth_{truth}" in table:
                row["balanced"] = balanced(table, truth, arm)[0]
                row["balanced_against"] = balanced(table, truth, against)[0]
            rows.append(row)
    columns = ["truth", *(field.name for field in fields(Comparison))]
    columns += ["balanced", "balanced_against"] * any(c.startswith("truth_") for c in table)
    return pd.DataFrame(rows, columns=columns)  # there, too, while nobody has been in another arm


def _abstention(table: pd.DataFrame, against: str, replicates: int) -> pd.DataFrame:
    """The share of "cannot tell" of every arm, and how it differs from the other's, as `_arms` has it."""
    said = table.assign(unknown=(table["answer"] == "unknown").astype(float))
    rows = [asdict(compare(said, "unknown", arm, against, replicates)) for arm in _others(table, against)]
    names = {"accuracy": "cannot_tell", "accuracy_against": "cannot_tell_against"}
    found = pd.DataFrame(rows, columns=[field.name for field in fields(Comparison)]).rename(columns=names)
    return found.replace({"note": {"all answers of an arm are right, or all wrong": "always or never said"}})


def _sensitivity(table: pd.DataFrame, truths: Iterable[str], against: str) -> pd.DataFrame:
    """Differences in accuracy by what "cannot tell" counts as: the rule and its two bounds."""
    columns = ["truth", "arm", "cannot_tell", "accuracy", "accuracy_against", "difference", "low", "high"]
    rows = []
    for truth in truths:
        for arm in _others(table, against):
            for counts_as in CANNOT_TELL:
                mine = _counting(table, truth, counts_as)
                found = asdict(compare(mine, f"correct_{truth}", arm, against, replicates=10))
                rows.append(found | {"truth": truth.upper(), "cannot_tell": counts_as})
    return pd.DataFrame(rows, columns=columns)


def _counting(table: pd.DataFrame, truth: str, counts_as: str) -> pd.DataFrame:
    value = CANNOT_TELL[counts_as]
    return table if value is None else filled(table, truth, value)


def effects(results: Results) -> list[tuple[str, str, Effect]]:
    """The rows of C5: (claim, what, effect). Per truth the primary one, of choices, and those of single
    judgements. None for simulated respondents, a draft, or without both arms."""
    if _undecided(results):
        return []
    rows = []
    for t in results.truths:
        rows.append(("C5", f"truth {TRUTHS[t]}", c5_choices(results.choices, t, results.against)))
        for counts_as in CANNOT_TELL:
            table = _counting(results.judgements, t, counts_as)
            what = f"truth {TRUTHS[t]}, 'cannot tell' {counts_as}"
            rows.append(("C5 judgements", what, c5_judgements(table, t, results.against)))
    return rows


def _undecided(results: Results) -> str:
    """Why these responses cannot decide C5; empty if they can."""
    if results.responses.simulated:
        return "these respondents are simulated."
    if results.launched.study["build"] != "launch":
        return "these are answers to a draft."
    both_arms = {"explained", results.against} <= set(results.judgements["arm"])
    return "" if both_arms else "an arm has no valid response."


def record(results: Results, study: Study) -> str:
    """Put C5's rows on the scorecard of what a user study of `study` asks about (see `design.asked_about`);
    returns a sentence on what was done.

    Rows that people once gave are replaced only by rows that people give: simulated respondents, answers to
    a draft, or an arm without a response leave them as they are.
    """
    rows, study = effects(results), asked_about(study)
    if not rows:
        why_not = _undecided(results)
        if _holds_effects(study):
            return f"C5's rows of an earlier analysis of people's responses were kept: {why_not}"
        return f"C5 still needs participants: {why_not}"
    layer = results.launched.key["spec"]["explained"][0]["layer"]
    record_effects(study, EFFECTS, [(claim, layer, detail, e) for claim, detail, e in rows])
    people = results.judgements["participant"].nunique()
    named = f"`cladec scorecard --profile {study.profile.name} --study {study.folder.name}`"
    where = f"the scorecard that {named} shows" if study.folder.differs else "the scorecard"
    return f"C5 has {len(rows)} rows on {where}, from {people} people."


def _holds_effects(study: Study) -> bool:
    path = study.folder.path / f"effects_{EFFECTS}.csv"
    return path.is_file() and len(path.read_text("utf-8").splitlines()) > 1


def write(results: Results, folder: Path | None = None) -> Path:
    """Write all tables as CSV to `folder` (None: `analysis` in the study's folder), marked with whether the
    respondents are simulated; returns the folder."""
    folder = folder or results.launched.folder / OUT
    for name, table in results.tables.items():
        store.write_text(folder / f"{name}.csv", tables.for_people(table))
    return folder
