"""What participants get: texts, nothing that tells the truth, and the forms of every platform."""

import contextlib
import io
import json
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from participant import plain
from PIL import Image

from cladec_utils.engine import paths
from cladec_utils.user_study.design import slots
from cladec_utils.user_study.materials.documents import MTURK_LIMIT, exports, mturk_question
from cladec_utils.user_study.materials.forms import form, instructors_key
from cladec_utils.user_study.materials.questionnaire import blocks, content, documents, page
from cladec_utils.user_study.materials.settings import REQUIRED, blank
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
    plain_text = documents(SETTINGS, {})["consent"]
    assert "kept in this browser's storage" in plain_text and "your answers are not sent" in plain_text
    posting = documents(SETTINGS | {"post_url": "https://c.example:8443/responses"}, {})["consent"]
    assert "your answers are sent to c.example:8443." in posting and "not sent" not in posting
    own = documents(SETTINGS, {"consent": "At the end, [[ sending ]]"})["consent"]
    assert own.startswith("At the end, your answers")


def test_a_paper_form_has_its_own_consent_and_says_what_it_is_for(asked):
    """Nothing on it is of a browser or of sending, and it is not to be taken for data."""
    made = asked["content"]
    words = " ".join(re.findall(r"\((.*?)(?<!\\)\) Tj", plain(form(made, 0)).decode("latin-1")))
    assert "For use in class, not for data collection" in words and "not analysed" in words
    assert "filled in" in words and "Your answers stay on this paper" in words
    assert not [w for w in ("browser", "Finish", "are sent", "reload") if w in _before_task(words)]
    page_text = json.dumps(made.study["texts"]["consent"])
    assert "browser" in page_text and "on this paper" not in page_text
    own = documents(SETTINGS, {"consent_paper": "Our class: [[contact]]"})
    assert own["consent_paper"] == "Our class: filled in" and "browser" in own["consent"]


def _before_task(words):
    return words[: words.index("What you will do")]


# --- no secrets ---------------------------------------------------------------------------------


def test_no_participant_gets_a_secret(asked):
    made = asked["content"]
    html, study, key = page(made), json.dumps(made.study), made.key
    forms = [plain(form(made, slot)).decode("latin-1") for slot in range(3)]
    public = [html, study, *forms, " ".join(made.pictures), *exports(made, html, SETTINGS).values()]
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
        documents(SETTINGS, {}),
        "launch",
    )
    assert len(made.study["items"]) == 48 and len(page(made).encode()) < 1_000_000


# --- exports ------------------------------------------------------------------------------------


def test_mechanical_turk_gets_the_page_or_its_address():
    small, kind = mturk_question("<html>]]></html>", "https://x.org/?a=1&b=2")
    assert kind.startswith("an HTML") and ET.fromstring(small)[0].text.strip() == "<html>]]></html>"
    large, kind = mturk_question("x" * MTURK_LIMIT, "https://x.org/?a=1&b=2")
    assert kind.startswith("an External") and ET.fromstring(large)[0].text == "https://x.org/?a=1&b=2"
    assert len(large.encode()) < MTURK_LIMIT


def test_platform_files_come_with_their_settings(asked):
    made, html = asked["content"], "x" * 100_000
    assert set(exports(made, html, SETTINGS)) == {"hosting.md", "collector.py"}
    whole = exports(made, 'a small page with [["lists", "of lists"]]', SETTINGS)
    assert {"mturk_question.xml", "mturk.md"} <= set(whole) and "prolific.md" not in whole
    settings = SETTINGS | {"page_url": "https://x.org/study", "completion_code": "C1"}
    found = exports(made, html, settings)
    link = "https://x.org/study?PROLIFIC_PID={{%PROLIFIC_PID%}}&STUDY_ID={{%STUDY_ID%}}"
    assert link in found["prolific.md"] and "`C1`" in found["prolific.md"]
    assert "ExternalURL>https://x.org/study<" in found["mturk_question.xml"]


def test_the_instructors_key_has_the_truth_and_the_forms_have_not(asked):
    key = plain(instructors_key(asked["content"])).decode("latin-1")
    assert "do not hand out" in key and all(code in key for code in asked["content"].study["items"])
    assert "sham" in key


@pytest.fixture
def collector(tmp_path):
    """The stand-alone collector, by its address, with nothing but the standard library."""
    source = paths.home() / "cladec_utils/user_study/materials/page/collector.py"
    (tmp_path / "page.html").write_text("<p>page</p>")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", source, "--page", tmp_path / "page.html",
         "--responses", tmp_path / "kept", "--port", str(port)], stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    process.stdout.readline()
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait()


def ask(address, body=None, method=None):
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as reply:
            return reply.status, reply.headers, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def test_the_collector_keeps_responses_and_nothing_else(collector, tmp_path):
    kept = tmp_path / "kept"
    sound = json.dumps({"format": "cladec-user-study-response", "participant": "../../a b"}).encode()
    status, headers, _ = ask(f"{collector}/responses", sound)
    assert status == 201 and headers["Access-Control-Allow-Origin"] == "*"
    assert ask(f"{collector}/responses", sound)[0] == 201 and len(list(kept.iterdir())) == 1
    assert next(kept.iterdir()).read_bytes() == sound and next(kept.iterdir()).name.startswith("response-ab-")
    other = sound.replace(b"}", b', "x": 1}')
    assert ask(f"{collector}/responses", other)[0] == 201 and len(list(kept.iterdir())) == 2
    for body in (b"", b"{", b"[]", b'{"format": "x"}', b"[" * 50_000):
        assert ask(f"{collector}/responses", body)[0] == 400
    assert ask(f"{collector}/elsewhere", sound)[0] == 404
    assert ask(f"{collector}/responses", method="OPTIONS")[0] == 204
    assert ask(collector)[2] == b"<p>page</p>" and ask(f"{collector}/kept/x.json")[0] == 404
    with contextlib.suppress(urllib.error.URLError, ConnectionError):  # it may hang up in the middle
        assert ask(f"{collector}/responses", b"x" * (RESPONSE_LIMIT + 1))[0] == 413
    assert len(list(kept.iterdir())) == 2


def test_collector_and_analysis_agree_on_the_limit():
    text = (paths.home() / "cladec_utils/user_study/materials/page/collector.py").read_text()
    assert int(re.search(r"^LIMIT = ([\d_]+)$", text, re.MULTILINE)[1]) == RESPONSE_LIMIT


def test_the_page_may_send_to_its_own_address_only_and_escapes_texts(asked):
    made = asked["content"]
    study = made.study | {"post_url": "https://c.example:8443/responses", "title": "</script><b>&"}
    html = page(replace(made, study=study))
    assert "connect-src https://c.example:8443; " in html and "connect-src 'none'; " in page(made)
    assert "default-src 'none'" in html and html.count("</script>") == 2
    assert "<title>&lt;/script&gt;&lt;b&gt;&amp;</title>" in html
    assert not re.search(r"(src|href)=[\"']?(?!data:)https?:", html)
