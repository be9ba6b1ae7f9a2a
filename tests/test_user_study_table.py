"""Exclusions, their counts, and the coding sheet of a user study."""

import copy
import json

import pandas as pd
import pytest

from cladec_utils.user_study.analysis import results
from cladec_utils.user_study.analysis.judgements import coding_key, coding_sheet, exclusions, judgements
from cladec_utils.user_study.analysis.simulation import respondents

ARMS = ("control", "explained", "sham")


@pytest.fixture(scope="module")
def simulated(asked):
    return respondents(asked["launched"], 30, dict.fromkeys(ARMS, 0.6), "b", seed=3)


def people(responses):
    """The same responses as if they came from people."""
    return [copy.deepcopy(r) | {"simulated": False} for r in responses]


def test_exclusions_by_rule(asked, simulated):
    launched, base = asked["launched"], people(simulated[:6])
    questions = {q["id"]: q["options"][0][0] for q in launched.study["comprehension"]}
    base[0]["comprehension"] = [questions, questions]
    base[1]["attention"] = dict.fromkeys(base[1]["attention"], "used")
    for item in base[2]["items"]:
        item["seconds"] = 2.0
    for item in base[3]["items"]:
        item["answers"] = {c: {"answer": "unused", "confidence": 1} for c in item["answers"]}
    for item in base[5]["items"]:  # who always says that they cannot tell answers properly
        item["answers"] = {c: {"answer": "unknown", "confidence": None} for c in item["answers"]}
    right = {q["id"]: q["right"] for q in launched.study["comprehension"]}
    base[5]["comprehension"] = [questions, right]  # the second attempt counts
    base[4]["attention"] |= {"a1": "used"}  # one of two checks is not enough
    for response in base[4:]:
        response["attention"] = {c["id"]: c["right"] for c in launched.study["attention"]}
    found = exclusions(launched, base)
    assert found["rule"].tolist() == ["comprehension", "attention", "haste", "uniform"]
    kept = judgements(launched, base, found)
    assert set(kept["participant"]) == {r["participant"] for r in base[4:]}
    assert len(kept) == 2 * 6 * len(launched.key["concepts"])


def test_arms_are_counted_with_their_own_exclusions(asked, simulated, tmp_path):
    """A question on the third picture is counted where it is asked, and excludes nobody."""
    base, names = people(simulated), {c: a["name"] for c, a in asked["launched"].key["arms"].items()}
    mine = [r for r in base if names[r["arm"]] == "explained"]
    for item in mine[0]["items"]:
        item["seconds"] = 1.0
    for response in mine[:3]:
        response["attention"] = {c["id"]: c["right"] for c in asked["launched"].study["attention"]}
    for response in mine[1:3]:
        response["comprehension"] = [response["comprehension"][0] | {"c": "kept"}] * 2
    for response in base:
        (tmp_path / f"{response['participant']}.json").write_text(json.dumps(response))
    found = results.analyse(asked["launched"], tmp_path, replicates=10)
    excluded = found.tables["excluded"]
    assert {mine[1]["participant"], mine[2]["participant"]}.isdisjoint(excluded["participant"])
    row = excluded.set_index("participant").loc[mine[0]["participant"]]
    assert (row["arm"], row["rule"]) == ("explained", "haste")
    numbers = found.tables["counts"].set_index("what")["number"]
    per_arm = {arm: numbers[f"excluded, {arm}"] for arm in ARMS}
    assert per_arm == {arm: (excluded["arm"] == arm).sum() for arm in ARMS}
    assert sum(per_arm.values()) == numbers["excluded"] == len(excluded)
    assert all(per_arm[arm] + numbers[f"analysed, {arm}"] == 30 for arm in ARMS)
    assert numbers["analysed although wrong on question 'c', explained"] == 2


def test_the_coding_sheet_is_blind_and_safe_and_its_key_is_another_file(asked, simulated):
    launched, base = asked["launched"], people(simulated)
    base[0]["items"][0]["text"] = '=HYPERLINK("http://x")'
    base[1]["items"][0]["text"] = "left out"
    out = pd.DataFrame({"participant": [base[1]["participant"]], "rule": ["haste"]})
    sheet, key = coding_sheet(base, out), coding_key(launched, base, out)
    assert list(sheet.columns) == ["code", "item", "text", "coder_1", "coder_2"]
    assert "'=HYPERLINK" in " ".join(sheet["text"]) and not sheet["text"].str.startswith("=").any()
    assert sheet["code"].is_monotonic_increasing and not sheet.to_csv().count("simulated-explained")
    assert "left out" not in set(sheet["text"]) and base[1]["participant"] not in set(key["participant"])
    assert key["code"].tolist() == sheet["code"].tolist() and sheet["code"].is_unique
    assert sheet["code"].str.fullmatch("t[0-9a-f]{10}").all()  # no number or date, as Excel would see some
    mine = key.merge(sheet, on=["code", "item"]).query("participant == @base[0]['participant']")
    assert set(mine["arm"]) == {launched.key["arms"][base[0]["arm"]]["name"]}
    assert "'=HYPERLINK" in " ".join(mine["text"])
