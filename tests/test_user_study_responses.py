"""Files that participants might send: the broken ones are named and set aside, the good ones analysed."""

import copy
import json
import os
import re

import pandas as pd
import pytest

from cladec_utils.errors import CladecError, CladecNote
from cladec_utils.user_study.analysis.responses import open_generated, read_responses
from cladec_utils.user_study.analysis.results import NAMED, analyse, write
from cladec_utils.user_study.analysis.simulation import respondents


@pytest.fixture(scope="module")
def good(asked):
    """Four sound responses as dictionaries, two an arm of the first two arms."""
    found = respondents(asked["launched"], 2, {"control": 0.5, "explained": 0.7}, "b")
    return [r for r in found if "sham" not in r["participant"]]


def text(response, **changes):
    return json.dumps(copy.deepcopy(response) | changes).encode()


def edited(response, change):
    damaged = copy.deepcopy(response)
    change(damaged)
    return json.dumps(damaged).encode()


def answer_of(response):
    return next(iter(response["items"][0]["answers"].values()))


BROKEN = {
    "empty": (lambda r: b"", "the file is empty"),
    "not JSON": (lambda r: b"participant,arm\n1,2\n", "not valid JSON"),
    "cut off": (lambda r: text(r)[:-200], "perhaps cut off"),
    "not UTF-8": (lambda r: b"\xff\xfe" + text(r), "not a text file"),
    "a picture": (lambda r: b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "not a text file"),
    "a list": (lambda r: b"[" + text(r) + b"]", "a list of 1 responses; save each as a file of its own"),
    "a list of two": (lambda r: b"[" + text(r) + b"," + text(r) + b"]", "a list of 2 responses; save each"),
    "a list of none": (lambda r: b"[]", "not a response of a user study"),
    "a line each": (
        lambda r: text(r) + b"\n" + text(r) + b"\n",
        "several responses, one after the other; save",
    ),
    "two objects": (lambda r: text(r) + text(r), "several responses, one after the other; save each"),
    "something behind": (lambda r: text(r) + b"}", "not valid JSON, perhaps cut off: Extra data"),
    "a number": (lambda r: b"7", "not a response of a user study"),
    "another format": (lambda r: text(r, format="jspsych"), "not a response of a user study"),
    "nested without end": (lambda r: b"[" * 100_000, "nested too deeply"),
    "far too large": (lambda r: text(r) + b" " * 300_000, "more than any response"),
    "NaN": (lambda r: text(r).replace(b'"reloads": 0', b'"reloads": NaN'), "it holds NaN"),
    "a field twice": (lambda r: text(r).replace(b'"reloads": 0', b'"reloads": 0, "reloads": 1'), "twice"),
    "another version": (lambda r: text(r, version=2), "version 2 of the format"),
    "a version without end": (lambda r: text(r, version="9\n" * 5000), "in version '9"),
    "a version of lists": (
        lambda r: text(r).replace(b'"version": 1', b'"version": ' + b"[" * 600 + b"]" * 600),
        "in version [[",
    ),
    "a study's hash without end": (lambda r: text(r, study_hash="\x1b[31m" + "f" * 5000), "of another study"),
    "a build without end": (lambda r: text(r, build={"x" * 5000: "\u202e"}), "from a {'xxx"),
    "a name without end": (
        lambda r: text(r, comprehension=[{"q" * 5000: 7}]),
        "comprehension[0].qqq",
    ),
    "a name of two lines": (lambda r: text(r, comprehension=[{"q\n\x07q": 7}]), "is not of type"),
    "another study": (lambda r: text(r, study_hash="0" * 16), "of another study"),
    "a draft": (lambda r: text(r, build="draft"), "from a 'draft' build"),
    "partial": (lambda r: text(r, items=r["items"][:3]), "partial: 3 of 6"),
    "not finished": (lambda r: text(r, finished=None), "did not reach the last page"),
    "a missing field": (lambda r: edited(r, lambda d: d.pop("attention")), "'attention' is a required"),
    "an unknown field": (lambda r: text(r, score=9), "'score' was unexpected"),
    "no consent": (lambda r: text(r, consented=False), "consented: True was expected"),
    "an arm of no study": (lambda r: text(r, arm="treatment"), "arm: 'treatment' is not one of"),
    "the arm of another slot": (lambda r: text(r, slot=(r["slot"] + 1) % 9), "is not that of slot"),
    "a slot that is none": (lambda r: text(r, slot=99_999), "slot: 99999 is greater"),
    "the order changed": (lambda r: text(r, items=r["items"][::-1]), "not those of slot"),
    "a picture twice": (lambda r: text(r, items=[r["items"][0]] * 6), "not those of slot"),
    "an unknown answer": (lambda r: edited(r, lambda d: answer_of(d).update(answer="maybe")), "'maybe'"),
    "an unknown concept": (
        lambda r: edited(r, lambda d: d["items"][0]["answers"].update(size=answer_of(d))),
        "'size' was unexpected",
    ),
    "a concept left out": (
        lambda r: edited(r, lambda d: d["items"][0]["answers"].pop("colour")),
        "'colour' is a required",
    ),
    "confidence off the scale": (
        lambda r: edited(r, lambda d: answer_of(d).update(answer="used", confidence=9)),
        "9 is greater than the maximum",
    ),
    "no confidence": (
        lambda r: edited(r, lambda d: answer_of(d).update(answer="used", confidence=None)),
        "needs a confidence",
    ),
    "a number as text": (
        lambda r: edited(r, lambda d: d["items"][0].update(seconds="12")),
        "'12' is not of type 'number'",
    ),
    "negative time": (
        lambda r: edited(r, lambda d: d["items"][0].update(seconds=-1)),
        "less than the minimum",
    ),
    "a date that is none": (lambda r: text(r, finished="2026-13-45T00:00:00.000Z"), "no date that exists"),
    "a path as a name": (lambda r: text(r, participant="../../etc"), "does not match"),
    "a name with a line break": (lambda r: text(r, participant="abc\n"), "does not match"),
    "a fraction as a slot": (lambda r: text(r, slot=float(r["slot"])), "is not of type 'integer'"),
    "infinite time": (
        lambda r: text(r).replace(b'"hidden_seconds": 0', b'"hidden_seconds": 1e999', 1),
        "the number 1e999 is too large",
    ),
    "endless digits": (
        lambda r: text(r).replace(b'"reloads": 0', b'"reloads": ' + b"9" * 400),
        "is too large",
    ),
    "half a character": (
        lambda r: edited(r, lambda d: d["items"][0].update(text="\ud83d")),
        "half a character",
    ),
    "half a character in a field's name": (lambda r: text(r, **{"\ud83d": 1}), "half a character"),
    "deeply nested": (
        lambda r: text(r).replace(b'"reloads": 0', b'"reloads": ' + b"[" * 700 + b"]" * 700),
        "reloads: ",
    ),
}


@pytest.fixture(scope="module")
def all_kinds(asked, good, tmp_path_factory):
    """One folder with a file of every broken kind and four good ones: (folder, results of its analysis)."""
    folder = tmp_path_factory.mktemp("responses")
    for kind, (damage, _) in BROKEN.items():
        (folder / f"{kind}.json").write_bytes(damage(good[0]))
    for i, response in enumerate(good):
        (folder / f"good{i}.json").write_bytes(text(response))
    return folder, analyse(asked["launched"], folder, replicates=10)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_named_with_its_reason(all_kinds, good, kind):
    folder, results = all_kinds
    damage, reason = BROKEN[kind]
    aside = results.responses.set_aside.set_index("file")["reason"]
    assert reason in aside[f"{kind}.json"]
    assert aside[f"{kind}.json"].isprintable() and len(aside[f"{kind}.json"]) <= 160
    assert (folder / f"{kind}.json").read_bytes() == damage(good[0])


def test_the_good_files_beside_broken_ones_are_analysed(all_kinds, good, tmp_path):
    _, results = all_kinds
    assert len(results.responses.set_aside) == len(BROKEN) >= 20
    assert [r["participant"] for r in results.responses.valid] == [r["participant"] for r in good]
    assert len(pd.read_csv(write(results, tmp_path) / "set_aside.csv")) == len(BROKEN)


def test_a_file_whose_name_is_no_text_is_named_in_the_tables(asked, good, tmp_path):
    folder = tmp_path / "responses"
    folder.mkdir()
    (folder / "good.json").write_bytes(text(good[0]))
    (folder / os.fsdecode(b"\xff\xfe.json")).write_bytes(b"{")
    results = analyse(asked["launched"], folder, replicates=10)
    aside = pd.read_csv(write(results, tmp_path / "out") / "set_aside.csv")
    assert aside["file"].tolist() == [r"\xff\xfe.json"] and len(results.responses.valid) == 1


@pytest.mark.parametrize(
    "name", [b"\x1b[31mred.json", b"a\nb.json", b"\x9b2J.json", "\u202egnp.json".encode()]
)
def test_a_files_name_cannot_write_to_the_terminal(asked, good, tmp_path, name):
    (tmp_path / os.fsdecode(name)).write_bytes(b"{")
    (tmp_path / "good.json").write_bytes(text(good[0]))
    (tmp_path / "z.json").write_bytes(text(good[0]))
    (tmp_path / os.fsdecode(b"a" + name)).write_bytes(text(good[0]))
    aside = read_responses(asked["launched"], tmp_path).set_aside
    assert (
        len(aside) == 3
        and all(aside["file"].map(str.isprintable))
        and all(aside["reason"].map(str.isprintable))
    )


@pytest.mark.parametrize("back", ["2020-01-01T00:00:00.000Z", "1999-01-01T00:00:00Z"])
def test_a_clock_that_was_set_back_costs_no_response(asked, good, tmp_path, back):
    (tmp_path / "a.json").write_bytes(text(good[0], finished=back, started="2026-11-28T10:00:00.000Z"))
    (tmp_path / "b.json").write_bytes(text(good[1]))
    with pytest.warns(CladecNote, match="^1 responses were finished before they were started.*they are kept"):
        results = analyse(asked["launched"], tmp_path, replicates=10)
    assert len(results.responses.valid) == 2 and results.responses.set_aside.empty


def test_files_that_are_no_files(asked, good, tmp_path):
    (tmp_path / "good.json").write_bytes(text(good[0]))
    (tmp_path / "table.csv").write_text("a,b")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "gone.json").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / ".hidden.json").write_text("")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "second.json").write_bytes(
        b"\xef\xbb\xbf" + text(good[1])
    )  # as some editors write it
    found = read_responses(asked["launched"], tmp_path)
    assert len(found.valid) == 2
    assert found.set_aside["file"].tolist() == ["folder.json", "gone.json", "pipe.json", "table.csv"]


def test_of_duplicates_the_first_finished_is_kept(asked, good, tmp_path):
    later = copy.deepcopy(good[0]) | {"finished": "2030-01-01T00:00:00.000Z"}
    (tmp_path / "a_later.json").write_bytes(text(later))
    (tmp_path / "b_first.json").write_bytes(text(good[0]))
    (tmp_path / "c_copy.json").write_bytes(text(good[0]))
    found = read_responses(asked["launched"], tmp_path)
    assert [r["finished"] for r in found.valid] == [good[0]["finished"]]
    reasons = dict(found.set_aside.itertuples(index=False))
    assert "a copy of b_first.json" in reasons["c_copy.json"]
    assert "same participant finished before: b_first.json" in reasons["a_later.json"]


def test_simulated_and_real_responses_do_not_mix(asked, good, tmp_path):
    """Beside people's files simulated ones are set aside by name, even one of the same participant."""
    first = copy.deepcopy(good[1]) | {"simulated": False, "finished": "2030-01-01T00:00:00.000Z"}
    (tmp_path / "a.json").write_bytes(text(good[0]))
    (tmp_path / "b.json").write_bytes(text(first))
    (tmp_path / "c.json").write_bytes(text(good[1]))
    found = read_responses(asked["launched"], tmp_path)
    assert [r["participant"] for r in found.valid] == [good[1]["participant"]] and not found.simulated
    assert found.set_aside["file"].tolist() == ["a.json", "c.json"]
    assert found.set_aside["reason"].str.startswith("simulated").all()
    (tmp_path / "b.json").unlink()
    found = read_responses(asked["launched"], tmp_path)
    assert len(found.valid) == 2 and found.simulated and found.set_aside.empty


def test_nothing_to_analyse_and_no_study_get_a_sentence(asked, tmp_path):
    with pytest.raises(CladecError, match="Of 0 files none is left to analyse"):
        analyse(asked["launched"], tmp_path)
    with pytest.raises(CladecError, match="There is no folder"):
        analyse(asked["launched"], tmp_path / "none")
    with pytest.raises(CladecError, match="generate the study first"):
        open_generated(tmp_path)


def test_when_no_file_is_good_each_is_named_with_its_reason(asked, good, tmp_path):
    attentive = {c["id"]: c["right"] for c in asked["launched"].study["attention"]}
    careful = good[1] | {"attention": attentive}  # whatever was drawn for this one
    hasty = edited(careful, lambda d: [item.update(seconds=1) for item in d["items"]])
    (tmp_path / "hasty.json").write_bytes(hasty)
    (tmp_path / "cut.json").write_bytes(text(good[0])[:-9])
    with pytest.raises(CladecError) as raised:
        analyse(asked["launched"], tmp_path)
    lines = str(raised.value).splitlines()
    assert lines[0] == "Of 2 files none is left to analyse: 1 set aside, 1 excluded."
    assert lines[1].startswith("  cut.json: not valid JSON, perhaps cut off")
    assert lines[2:] == [f"  {good[1]['participant']}: haste"]
    for i in range(NAMED):
        (tmp_path / f"empty{i}.json").write_bytes(b"")
    with pytest.raises(CladecError, match="and 2 more") as raised:
        analyse(asked["launched"], tmp_path)
    assert len(str(raised.value).splitlines()) == NAMED + 2


PLACEHOLDERS = [  # as they were in the address, and as the page of before kept them
    "PROLIFIC_PID", "eFieldPROLIFIC_PID", "participant_id", "ASSIGNMENT_ID_NOT_AVAILABLE", "workerId", "RID",
    "undefined", "null", "NaN", "__ID__", "NA", "YOUR_ID", "PROLIFICPID",
    "enter-your-participant-id-here", "---", "RESPID", "resp_id", "rid_value", "mturk_worker_id", "CINT_ID",
    "participant_label", "UniqueID", "SURVEY_CODE",
]  # fmt: skip


@pytest.mark.parametrize("placeholder", PLACEHOLDERS)
def test_people_whose_panel_filled_in_no_number_are_as_many_as_they_are(asked, good, tmp_path, placeholder):
    """The same session twice is one of them, once as a copy."""
    for i, response in enumerate(good):
        (tmp_path / f"{i}.json").write_bytes(text(response, participant=placeholder, slot=response["slot"]))
    (tmp_path / "copy.json").write_bytes(text(good[0], participant=placeholder))
    (tmp_path / "again.json").write_bytes(text(good[0], participant=placeholder, reloads=1))
    results = analyse(asked["launched"], tmp_path, replicates=10)
    assert len({r["participant"] for r in results.responses.valid}) == len(good) == 4
    assert all(re.fullmatch("unnamed-[0-9a-f]{10}", r["participant"]) for r in results.responses.valid)
    assert results.responses.set_aside["file"].tolist() == ["again.json", "copy.json"]
    assert results.responses.set_aside["reason"].str.startswith("duplicate").all()
    counts = results.tables["counts"].set_index("what")["number"]
    assert counts["without a number: the panel's placeholder was unfilled"] == 4


SHARED = ["PREVIEW", "test", "TBD", "false", "True", "preview-mode", "survey_test", "guest", "EXAMPLE_ID"]


@pytest.mark.parametrize("number", SHARED)
def test_who_have_a_word_for_a_number_in_common_are_as_many_as_they_are(asked, good, tmp_path, number):
    for i, response in enumerate(good):
        began = f"1999-01-01T10:0{i}:00.000Z"
        (tmp_path / f"{i}.json").write_bytes(text(response, participant=number, started=began))
    first = text(good[0], participant=number, started="1999-01-01T10:00:00.000Z")
    (tmp_path / "copy.json").write_bytes(first)
    (tmp_path / "other.json").write_bytes(text(good[0], participant="5f2a"))
    words = f"^5 responses carry the number '{number}', which looks like a placeholder.*of different people"
    with pytest.warns(CladecNote, match=words):
        found = read_responses(asked["launched"], tmp_path)
    names = [r["participant"] for r in found.valid]
    assert len(set(names)) == 5 and sum(name.startswith("unnamed-") for name in names) == 4
    assert found.set_aside["file"].tolist() == ["copy.json"]


@pytest.mark.parametrize("number", ["test", "5f2a9c"])
def test_one_person_with_a_word_for_a_number_stays_one(asked, good, tmp_path, number):
    """Who reloaded or came back has the same slot, whatever the number is."""
    for i in range(3):
        began = f"1999-01-01T10:0{i}:00.000Z"
        (tmp_path / f"{i}.json").write_bytes(text(good[0], participant=number, started=began))
    found = read_responses(asked["launched"], tmp_path)
    assert [r["participant"] for r in found.valid] == [number] and len(found.set_aside) == 2
    assert not found.set_aside["reason"].str.contains("another person").any()


@pytest.mark.parametrize(
    "name", ["5f2a9c", "p-1x2y", "Anna", "id7", "nullarbor", "p1", "Nana", "Thea", "Nona", "user1"]
)
def test_a_number_is_kept_and_makes_one_participant(asked, good, tmp_path, name):
    for i, response in enumerate(good):
        (tmp_path / f"{i}.json").write_bytes(text(response, participant=name))
    found = read_responses(asked["launched"], tmp_path)
    assert [r["participant"] for r in found.valid] == [name] and len(found.set_aside) == 3
    assert not found.set_aside["reason"].str.contains("another person").any()  # they began at one moment
    for i, response in enumerate(good):
        began = f"1999-01-01T10:0{i}:00.000Z"
        (tmp_path / f"{i}.json").write_bytes(text(response, participant=name, started=began))
    found = read_responses(asked["launched"], tmp_path)
    assert [r["participant"] for r in found.valid] == [name] and len(found.set_aside) == 3
    assert found.set_aside["reason"].str.contains("(perhaps another person)", regex=False).all()
