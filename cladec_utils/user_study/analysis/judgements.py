"""From valid responses to one table of judgements, exclusions by rule, and a coding sheet for the texts."""

import hashlib
import statistics
from collections.abc import Iterator
from typing import Any

import pandas as pd

from cladec_utils.user_study.analysis.responses import Launched
from cladec_utils.user_study.rules import FASTEST

COLUMNS = [
    "participant", "arm", "position", "item", "image", "concept", "answer", "confidence",
    "truth_a", "truth_b", "correct_a", "correct_b",
]  # fmt: skip


def exclusions(launched: Launched, responses: list[dict[str, Any]]) -> pd.DataFrame:
    """Excluded participants with the first rule of EXCLUSIONS that applies: participant, arm, rule."""
    arms = launched.key["arms"]
    rows = [
        (r["participant"], arms[r["arm"]]["name"], rule)
        for r in responses
        if (rule := _rule(launched.study, r))
    ]
    return pd.DataFrame(rows, columns=["participant", "arm", "rule"])


def _rule(study: dict[str, Any], response: dict[str, Any]) -> str:
    # A question on the third picture must not decide: an arm without one could not lose anybody by it.
    common = [q for q in study["comprehension"] if q["panels"] <= _fewest_panels(study)]
    if not any(all(a.get(q["id"]) == q["right"] for q in common) for a in response["comprehension"]):
        return "comprehension"
    if all(response["attention"][c["id"]] != c["right"] for c in study["attention"]):
        return "attention"
    if statistics.median(item["seconds"] for item in response["items"]) < FASTEST:
        return "haste"
    answers = {given["answer"] for item in response["items"] for given in item["answers"].values()}
    # Always "cannot tell" is cautious, and the page calls it a proper answer.
    return "uniform" if len(answers) == 1 and answers != {"unknown"} else ""


def _fewest_panels(study: dict[str, Any]) -> int:
    return min(map(len, study["arms"].values()))


def wrong_in_their_arm(
    launched: Launched, responses: list[dict[str, Any]], leave_out: pd.DataFrame
) -> pd.DataFrame:
    """Who is analysed and was wrong, at the last attempt, on a question that only some arms are asked, which
    excludes nobody: participant, arm, question."""
    study, excluded = launched.study, set(leave_out["participant"])
    rows = []
    for response in responses:
        if response["participant"] in excluded:
            continue
        panels = range(_fewest_panels(study) + 1, len(study["arms"][response["arm"]]) + 1)
        last, arm = response["comprehension"][-1], launched.key["arms"][response["arm"]]["name"]
        rows += [
            (response["participant"], arm, q["id"])
            for q in study["comprehension"]
            if q["panels"] in panels and last.get(q["id"]) != q["right"]
        ]
    return pd.DataFrame(rows, columns=["participant", "arm", "question"])


def judgements(launched: Launched, responses: list[dict[str, Any]], leave_out: pd.DataFrame) -> pd.DataFrame:
    """One row per participant, picture and concept; the columns are COLUMNS.

    `truth_*` is True (used), False (not used) or None; `correct_*` is 1, 0, or NaN where that is not known or
    the answer was "cannot tell".
    `arm` is its name, decoded by the key; `image` is the picture without its classifier.
    """
    excluded, key = set(leave_out["participant"]), launched.key
    rows = []
    for response in responses:
        if response["participant"] in excluded:
            continue
        for position, item in enumerate(response["items"], 1):
            entry = key["items"][item["item"]]
            for concept, given in item["answers"].items():
                truths = entry["truth_a"][concept], entry["truth_b"][concept]
                rows.append([
                    response["participant"], key["arms"][response["arm"]]["name"], position, item["item"],
                    entry["image"], concept, given["answer"], given["confidence"], *truths,
                    *(_correct(given["answer"], truth) for truth in truths),
                ])  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS).astype({"correct_a": float, "correct_b": float})


def _correct(answer: str, truth: bool | None) -> float:
    if truth is None or answer == "unknown":
        return float("nan")
    return float(answer == ("used" if truth else "unused"))


def filled(table: pd.DataFrame, truth: str, value: float) -> pd.DataFrame:
    """The judgements with "cannot tell" correct by `value`, in [0, 1], where the truth is known."""
    missing = (table["answer"] == "unknown") & table[f"truth_{truth}"].notna()
    return table.assign(**{f"correct_{truth}": table[f"correct_{truth}"].mask(missing, value)})


def choices(launched: Launched, responses: list[dict[str, Any]], leave_out: pd.DataFrame) -> pd.DataFrame:
    """The two-alternative questions: participant, arm, item, image, correct_a, correct_b (NaN: not known)."""
    excluded, key = set(leave_out["participant"]), launched.key
    rows = []
    for response in responses:
        for item in response["items"] if response["participant"] not in excluded else []:
            entry = key["items"][item["item"]]
            right = [entry["pair_truth"][t] for t in "ab"]
            correct = [float("nan") if r is None else float(item["choice"] == r) for r in right]
            arm = key["arms"][response["arm"]]["name"]
            rows.append([response["participant"], arm, item["item"], entry["image"], *correct])
    return pd.DataFrame(rows, columns=["participant", "arm", "item", "image", "correct_a", "correct_b"])


def coding_sheet(responses: list[dict[str, Any]], leave_out: pd.DataFrame) -> pd.DataFrame:
    """Free texts for two coders who know neither arm nor participant, in an order that tells nothing.

    Columns: code, item, text, coder_1, coder_2 (both empty: the concepts named, separated by semicolons).
    """
    rows = [
        [code, item["item"], _no_formula(item["text"].strip()), "", ""]
        for code, _, item in _texts(responses, leave_out)
    ]
    return pd.DataFrame(sorted(rows), columns=["code", "item", "text", "coder_1", "coder_2"])


def coding_key(launched: Launched, responses: list[dict[str, Any]], leave_out: pd.DataFrame) -> pd.DataFrame:
    """Whose text a code of the coding sheet is, not for the coders: code, participant, arm, item."""
    arms = launched.key["arms"]
    rows = [
        [code, response["participant"], arms[response["arm"]]["name"], item["item"]]
        for code, response, item in _texts(responses, leave_out)
    ]
    return pd.DataFrame(sorted(rows), columns=["code", "participant", "arm", "item"])


def _texts(
    responses: list[dict[str, Any]], leave_out: pd.DataFrame
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Every text of participants who are not left out: (its code, the response, the item). The letter in
    front keeps spreadsheets from reading a code as a number; codes of before had none, else the same."""
    excluded = set(leave_out["participant"])
    for response in responses:
        for item in response["items"] if response["participant"] not in excluded else []:
            if item["text"].strip():
                source = f"{response['participant']}:{item['item']}:{item['text']}"
                yield f"t{hashlib.sha256(source.encode()).hexdigest()[:10]}", response, item


def _no_formula(text: str) -> str:
    """Spreadsheets run what begins with = + - @; a quotation mark before it makes it text."""
    return f"'{text}" if text[0] in "=+-@\t\r" else text
