"""What participants get: texts, a page, nothing that tells the truth; and what hosts it and keeps answers."""

import contextlib
import io
import json
import re
import resource
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

from cladec_utils.user_study.design import slots
from cladec_utils.user_study.materials.documents import all_documents
from cladec_utils.user_study.materials.questionnaire import blocks, content, page
from cladec_utils.user_study.materials.settings import REQUIRED, asset, blank, participants_texts
from cladec_utils.user_study.materials.stimuli import Items
from cladec_utils.user_study.schema import RESPONSE_LIMIT

SETTINGS = blank() | dict.fromkeys(REQUIRED, "filled in")


# --- texts --------------------------------------------------------------------------------------


def words_of(parts):
    return " ".join(p if isinstance(p, str) else " ".join(p) for b in parts for p in b.values()).split()


def test_no_word_of_a_document_is_lost():
    """Any mix of headings, points, numbers, plain and empty lines keeps every word, in order."""
    random = np.random.default_rng(0)
    marks = ["# ", "### ", "- ", "* ", "  - ", "", "  ", "\t", "1. ", "#", "-", "> "]
    for _ in range(300):
        lines = []
        for i in range(random.integers(1, 9)):
            mark = str(random.choice(marks))
            lines.append(
                mark + f"w{i}a w{i}b" if random.random() < 0.8 else str(random.choice(["", " ", mark]))
            )
        text = "\n".join(lines)
        wanted = [w for w in re.findall(r"w\d[ab]", text)]
        assert [w.lstrip("#->") for w in words_of(blocks(text)) if "w" in w] == wanted, text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("# Head\nYou may stop.\n- a", [{"h": "Head"}, {"p": "You may stop."}, {"li": ["a"]}]),
        ("Text:\n- one\n- two\n  more", [{"p": "Text:"}, {"li": ["one", "two more"]}]),
        ("one\ntwo\n\n \nthree", [{"p": "one two"}, {"p": "three"}]),
        ("- one\n\n- two\n\nafter", [{"li": ["one", "two"]}, {"p": "after"}]),
        ("1. one\n2. two", [{"p": "1. one"}, {"p": "2. two"}]),
        ("#1 of 3\n#\n-5 degrees", [{"p": "#1 of 3"}, {"p": "-5 degrees"}]),
        ("", []),
    ],
)
def test_documents_become_blocks(text, found):
    assert blocks(text) == found


def test_the_consent_says_what_is_kept_and_sent():
    plain_text = participants_texts(SETTINGS, {})["consent"]
    assert "kept in this browser's storage" in plain_text and "your answers are not sent" in plain_text
    posting = participants_texts(SETTINGS | {"post_url": "https://c.example:8443/responses"}, {})["consent"]
    assert "your answers are sent to c.example:8443." in posting and "not sent" not in posting
    own = participants_texts(SETTINGS, {"consent": "At the end, [[ sending ]]"})["consent"]
    assert own.startswith("At the end, your answers")


# --- no secrets ---------------------------------------------------------------------------------


def test_no_participant_gets_a_secret(asked):
    made = asked["content"]
    html, study, key = page(made), json.dumps(made.study), made.key
    around = all_documents(asked["spec"], made, SETTINGS)
    exports = [text for name, text in around.items() if name.startswith("exports/")]
    public = [html, study, " ".join(made.pictures), around["counterbalance.csv"], *exports]
    secrets = ["truth_a", "truth_b", "pair_truth", "total_variation", "edit_rms", "sham", "planted", "warm"]
    secrets += [asked["spec"].hash, *(e.classifier.hash for e in asked["spec"].explained)]
    for text in public:
        # The debriefing, on the last page, says in words that one group's picture may be a control.
        assert [s for s in secrets if s in text] == []
    assert set(made.study["items"]) <= set(key["items"]) and "truth_a" in json.dumps(key)
    assert all(set(i) == {"id", "pictures", "label", "pair"} for i in made.study["items"].values())
    practice = {p["id"] for p in made.study["practice"]}
    assert practice.isdisjoint(made.study["items"]) and study.count('"feedback": {') == len(practice)
    assert {p["label"] for p in made.study["items"].values()} == {
        None
    }  # planted class names tell the factors


def test_codes_and_orders_tell_nothing(asked):
    """Codes are sorted, so their order is no key; where a pair's used concept stands is a toss-up."""
    made = asked["content"]
    codes = list(made.study["items"])
    classifier = [made.key["items"][c]["classifier"] for c in codes]
    assert codes == sorted(codes) and sum(a != b for a, b in pairwise(classifier)) >= 3
    first = [made.key["items"][c]["pair"][0] == made.key["items"][c]["pair_truth"]["b"] for c in codes]
    assert 6 <= sum(first) <= 18
    for png in made.pictures.values():
        image = Image.open(io.BytesIO(png))
        assert image.info == {} and image.size == (32, 32)
    ranks = [tuple(s[0] for s in made.study["slots"][i : i + 3]) for i in range(0, 9, 3)]
    assert all(rank == tuple(sorted(rank)) for rank in ranks)


def test_the_page_is_small_even_for_pictures_of_noise(asked):
    """48 items with four pictures each, all different, as incompressible as pictures can be."""
    spec, found = replace(asked["spec"], images=48, explained=asked["spec"].explained[:1]), asked["items"]
    random = torch.Generator().manual_seed(1)
    noise = [
        replace(found.main[0], image=i, pictures={n: torch.rand(3, 32, 32, generator=random) for n in ("x", "x_r", "x_e", "sham")})  # noqa: E501
        for i in range(48)
    ]  # fmt: skip
    made = content(
        spec,
        Items(noise, found.practice, found.example),
        slots(spec),
        SETTINGS,
        participants_texts(SETTINGS, {}),
        "launch",
    )
    assert len(made.study["items"]) == 48 and len(page(made).encode()) < 1_000_000


# --- hosting ------------------------------------------------------------------------------------


def test_a_launch_has_files_for_prolific_once_its_settings_are_filled_in(asked):
    spec, made = asked["spec"], asked["content"]
    settings = SETTINGS | {"page_url": "https://x.org/study", "completion_code": "C1"}
    assert "exports/prolific.md" not in all_documents(spec, made, settings | {"completion_code": ""})
    found = all_documents(spec, made, settings)["exports/prolific.md"]
    assert "https://x.org/study?PROLIFIC_PID={{%PROLIFIC_PID%}}&STUDY_ID={{%STUDY_ID%}}" in found
    assert "`C1`" in found and "3 arms" in found
    draft = replace(made, study=made.study | {"build": "draft"})
    assert "[[completion_code]]" in all_documents(spec, draft, SETTINGS)["exports/prolific.md"]


PAGE = b'<script>\n"use strict";\nconst STUDY = {"a":"};","hash":"0123"};\nconst NAMES = {};\n</script>'


@pytest.fixture
def collector(tmp_path):
    """Start the stand-alone collector, with nothing but the standard library: options -> its address."""
    (tmp_path / "collector.py").write_text(asset("collector.py"))
    (tmp_path / "page.html").write_bytes(PAGE)
    processes = []

    def collector(*options, **settings):
        processes.append(subprocess.Popen(
            [sys.executable, "-I", "-S", tmp_path / "collector.py", "--page", tmp_path / "page.html",
             "--responses", tmp_path / "kept", "--port", "0", *options],
            stdout=subprocess.PIPE, text=True, **settings,
        ))  # fmt: skip
        return re.search(r"http://\S+(?=/responses)", processes[-1].stdout.readline())[0]

    yield collector
    for process in processes:
        process.terminate()
        process.wait()


def sound(participant="me", study="0123", **more):
    response = {"format": "cladec-user-study-response", "participant": participant, "study_hash": study}
    return json.dumps(response | more).encode()


def ask(address, body=None, method=None):
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as reply:
            return reply.status, reply.headers, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ["--page", "{f}/none.html"],
            "--page .*none.html cannot be read .No such file or directory.; give the",
        ),
        (["--page", "{f}"], "--page .* cannot be read .Is a directory."),
        (["--page", "{f}/collector.py"], "--page is no study's page"),
        (
            ["--responses", "{f}/page.html"],
            "--responses .*page.html takes no files .File exists.; give a folder",
        ),
        (["--responses", "{f}/page.html/x"], "--responses .* takes no files .Not a directory."),
        (["--responses", "/proc/x"], "--responses /proc/x takes no files"),
        (["--port", "{used}"], r"--port \d+ is in use, perhaps by another collector; stop that one, or give"),
        (["--port", "65536"], "--port is 65536; it must be a number from 0 .takes a free one. to 65535"),
        (["--port", "-1"], "--port is -1; it must be"),
        (["--most", "-1"], "--most is -1; it must be a number of responses from 0 up"),
        (
            ["--host", "no.such.host.invalid"],
            "--host no.such.host.invalid is no name or address that is known",
        ),
        (["--host", "x" * 70], "--host x+ is no name or address"),
        (["--host", "a..b"], "--host a..b is no name or address"),
        (["--host", "::1"], "--host ::1 is an IPv6 address, which pages cannot send to; give 127.0.0.1"),
        (["--host", "192.0.2.1"], "Nothing can be served at --host 192.0.2.1 "),
    ],
)
def test_the_collector_says_in_a_sentence_why_it_does_not_start(tmp_path, options, sentence):
    (tmp_path / "collector.py").write_text(asset("collector.py"))
    (tmp_path / "page.html").write_bytes(PAGE)
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        given = [option.format(f=tmp_path, used=busy.getsockname()[1]) for option in options]
        usual = ["--page", tmp_path / "page.html", "--responses", tmp_path / "kept", "--port", "0"]
        found = subprocess.run(
            [sys.executable, "-I", "-S", tmp_path / "collector.py", *usual, *given],
            check=False, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert found.returncode == 2 and not found.stdout
    assert re.match(sentence, found.stderr) and found.stderr.count("\n") == 1


def test_the_collector_keeps_responses_and_nothing_else(collector, tmp_path):
    kept, address = tmp_path / "kept", collector()
    first = sound("../../a b")
    status, headers, _ = ask(f"{address}/responses", first)
    assert status == 201 and headers["Access-Control-Allow-Origin"] == "*"
    assert ask(f"{address}/responses", first)[0] == 201 and len(list(kept.iterdir())) == 1
    assert next(kept.iterdir()).read_bytes() == first and next(kept.iterdir()).name.startswith("response-ab-")
    assert ask(f"{address}/responses", sound("../../a b", x=1))[0] == 201 and len(list(kept.iterdir())) == 2
    for body in (b"", b"{", b"[]", b'{"format": "x"}', b"[" * 50_000):
        assert ask(f"{address}/responses", body)[0] == 400
    assert ask(f"{address}/elsewhere", first)[0] == 404
    assert ask(f"{address}/responses", method="OPTIONS")[0] == 204
    assert ask(address)[2] == PAGE and ask(f"{address}/kept/x.json")[0] == 404
    with contextlib.suppress(urllib.error.URLError, ConnectionError):  # it may hang up in the middle
        assert ask(f"{address}/responses", b"x" * (RESPONSE_LIMIT + 1))[0] == 413
    assert len(list(kept.iterdir())) == 2


@pytest.mark.parametrize("study", ["4567", "", None, 123, ["0123"]])
def test_the_collector_takes_its_own_study_alone(collector, tmp_path, study):
    address = collector()
    status, _, said = ask(f"{address}/responses", sound(study=study))
    assert (status, b"another study" in said) == (409, True) and not list((tmp_path / "kept").iterdir())
    assert ask(f"{address}/responses", sound())[0] == 201


def test_the_collector_says_when_there_are_as_many_as_were_wanted(collector, tmp_path):
    address = collector("--most", "3")
    for who in "abc":
        assert ask(f"{address}/responses", sound(who))[0] == 201
    for who in "de":
        status, _, said = ask(f"{address}/responses", sound(who))
        assert status == 507 and b"No more responses are collected" in said
    assert ask(f"{address}/responses", sound("a"))[0] == 201  # it is there
    assert len(list((tmp_path / "kept").iterdir())) == 3
    address = collector("--most", "4")  # those of before count
    assert [ask(f"{address}/responses", sound(who))[0] for who in "de"] == [201, 507]


def test_what_the_collector_cannot_write_is_answered_with_an_error(collector, tmp_path):
    """Nothing half-written stays, and the next response is kept."""
    most = (1000, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    address = collector(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, most))
    kept = tmp_path / "kept"
    status, _, said = ask(f"{address}/responses", sound(x="x" * 2000))
    assert status == 507 and b"cannot be kept at the moment" in said and not list(kept.iterdir())
    assert ask(f"{address}/responses", sound())[0] == 201
    kept.rename(tmp_path / "gone")
    assert ask(f"{address}/responses", sound("other"))[0] == 507
    (tmp_path / "gone").rename(kept)
    assert ask(f"{address}/responses", sound("other"))[0] == 201 and len(list(kept.iterdir())) == 2


@pytest.mark.parametrize("page", [b"", b"<p>page</p>", b"\nconst STUDY = {};\n", b"\nconst STUDY = {cut\n"])
def test_the_collector_needs_a_studys_page(tmp_path, page):
    (tmp_path / "collector.py").write_text(asset("collector.py"))
    (tmp_path / "index.html").write_bytes(page)
    done = subprocess.run(
        [sys.executable, "-I", "collector.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and done.stderr.startswith("--page is no study's page; give the index.html")
    assert not (tmp_path / "responses").exists()


def test_the_collector_finds_its_study_in_a_page_of_the_kit(asked, collector, tmp_path):
    (tmp_path / "page.html").write_text(page(asked["content"]))
    study = asked["content"].study["hash"]
    assert ask(f"{collector()}/responses", sound(study=study))[0] == 201


def test_collector_and_analysis_agree_on_the_limit():
    limit = re.search(r"^LIMIT = ([\d_]+)$", asset("collector.py"), re.MULTILINE)
    assert int(limit[1]) == RESPONSE_LIMIT


def test_the_page_may_send_to_its_own_address_only_and_escapes_texts(asked):
    made = asked["content"]
    study = made.study | {"post_url": "https://c.example:8443/responses", "title": "</script><b>&"}
    html = page(replace(made, study=study))
    assert "connect-src https://c.example:8443; " in html and "connect-src 'none'; " in page(made)
    assert "default-src 'none'" in html and "form-action 'none'" in html and html.count("</script>") == 2
    assert "<title>&lt;/script&gt;&lt;b&gt;&amp;</title>" in html
    assert not re.search(r"(src|href)=[\"']?(?!data:)https?:", html)
