"""Stimuli, truths, orders and the generated folder of a user study."""

import contextlib
import hashlib
import io
import json
import re
import shlex
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import xml.etree.ElementTree as ET
import zlib
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cladec_utils import data as datasets
from cladec_utils import open_study, store
from cladec_utils.cli import main
from cladec_utils.errors import CladecError
from cladec_utils.planted import render
from cladec_utils.sources import read_source
from cladec_utils.user_study_content import blocks, content, documents
from cladec_utils.user_study_edits import EDITS, TARGET_RMS, edit, object_mask
from cladec_utils.user_study_exports import MTURK_LIMIT, RESPONSE_LIMIT, exports, mturk_question
from cladec_utils.user_study_forms import form, instructors_key
from cladec_utils.user_study_items import Items, flips_shown, interventional, items
from cladec_utils.user_study_orders import slots, williams
from cladec_utils.user_study_package import KeptError, generate, refresh
from cladec_utils.user_study_page import page
from cladec_utils.user_study_settings import REQUIRED, blank, unfilled
from cladec_utils.user_study_spec import DEFAULT, design

SETTINGS = blank() | dict.fromkeys(REQUIRED, "filled in")


@pytest.fixture(scope="module")
def draft(planted, tmp_path_factory):
    """A generated draft of the small planted study; to be copied, not changed."""
    folder = tmp_path_factory.mktemp("draft") / "study"
    generate(planted[0], folder)
    return folder


@pytest.fixture
def folder(draft, tmp_path):
    """A draft of one's own."""
    return Path(shutil.copytree(draft, tmp_path / "study"))


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A store with the stimuli of a small planted study: its spec and its items."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLADEC_ARTIFACTS", str(tmp_path_factory.mktemp("store")))
        patch.setenv("CLADEC_WORKERS", "1")
        first, second = (open_study("smoke", name) for name in DEFAULT)
        spec = design(first, second, images=4, shown=2)
        yield spec, items(spec, progress=False)


# --- truths -------------------------------------------------------------------------------------


def garment(channels):
    """A bright textured square on a dark ground."""
    image = torch.full((1, channels, 32, 32), 0.1)
    level = torch.linspace(0.4, 0.8, channels).view(-1, 1, 1)
    image[0, :, 8:24, 8:24] = level + 0.1 * (torch.arange(16) % 4 // 2)
    return image


@pytest.mark.parametrize("concept", EDITS)
def test_edits_have_the_same_size_and_keep_to_their_place(concept):
    x = garment(3)
    changed, reached = edit(x, concept)
    rms = (changed - x).square().mean().sqrt().item()
    assert rms == pytest.approx(reached.item(), abs=1e-6) and rms == pytest.approx(TARGET_RMS, rel=0.02)
    moved, mask = (changed - x).abs().amax(1) > 1e-6, object_mask(x)[:, 0].bool()
    assert mask.sum() == 256
    inside = {"background": ~mask, "shape": ~mask}.get(concept, mask)
    assert moved.any() and not (moved & ~inside).any()
    if concept.endswith("part"):
        rows = moved.any(2)[0].nonzero().squeeze()
        assert rows.max() < 15 if concept.startswith("upper") else rows.min() > 16


def test_an_edit_that_cannot_reach_its_size_says_so():
    grey = garment(1).repeat(1, 3, 1, 1)
    changed, reached = edit(grey, "colour")
    assert torch.equal(changed, grey) and reached.item() == 0
    assert interventional(0.0, reached.item()) is None and interventional(0.9, 0.02) is True
    assert interventional(0.05, TARGET_RMS) is False and interventional(0.1, TARGET_RMS) is None


def test_truth_a_is_what_the_classifier_does(planted):
    """Total variation, computed again from the networks for one concept of one item."""
    from cladec_utils import recipes

    spec, found = planted
    for item in found.main[:2]:
        network = recipes.classifier(spec.explained[item.classifier].classifier)
        x = datasets.load(spec.explained[0].classifier.data).test.images[item.image : item.image + 1] / 255
        assert torch.equal(item.pictures["x"], x[0])
        for concept in ("brightness", "background"):
            before, after = (recipes.predict(network, v).softmax(1) for v in (x, edit(x, concept)[0]))
            assert item.shift[concept] == pytest.approx((before - after).abs().sum().item() / 2, abs=1e-4)


def test_truth_b_is_opposite_under_the_two_classifiers(planted):
    spec, found = planted
    assert [i.classifier for i in found.main] == [0, 1] * 4
    for one, two in zip(found.main[::2], found.main[1::2], strict=True):
        assert one.image == two.image and torch.equal(one.pictures["x"], two.pictures["x"])
        assert one.truth_b == {
            "colour": True, "texture": True, "brightness": False, "background": False,
            "shape": None, "upper part": None,
        }  # fmt: skip
        assert all(two.truth_b[c] == (None if t is None else not t) for c, t in one.truth_b.items())
        assert {c for c, v in one.planted.items() if not np.isnan(v)} == {
            c for c, t in one.truth_b.items() if t is not None
        }
    data = spec.explained[0].classifier.data
    chosen = torch.tensor([i.image for i in found.main[::2]])
    scenes = read_source(data.dataset).test.scenes.subset(datasets.chosen_images(data)[2][chosen])
    assert torch.equal(render(scenes), datasets.load(data).test.images[chosen])


def test_practice_and_example_are_other_images(planted):
    spec, found = planted
    others = [*(i.image for i in found.practice), found.example.image]
    assert len(found.practice) == spec.practice and len(set(others)) == spec.practice + 1
    assert not set(others) & {i.image for i in found.main}
    assert [i.classifier for i in found.practice] == [0, 1]


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"concepts": ["color", "shape"]}, "Unknown concept 'color'. Did you mean 'colour'"),
        ({"concepts": ["colour", "shape"]}, "The images are grey"),
        ({"concepts": ["shape"]}, "at least two different"),
        ({"arms": ["explained", "sham"]}, "The arm 'control' is missing"),
        ({"arms": ["control", "placebo"]}, "Unknown arm 'placebo'"),
        ({"shown": 30}, "sees 30 of 24 images"),
        ({"layer": "block9"}, "Unknown layer of this study 'block9'"),
    ],
)
def test_a_bad_design_gets_a_sentence(choices, sentence):
    with pytest.raises(CladecError, match=sentence):
        design(open_study("smoke"), **choices)


def test_two_studies_must_share_their_images(npz):
    with pytest.raises(CladecError, match="must be on the same images"):
        design(open_study("smoke"), open_study("smoke", DEFAULT[0]))


def test_how_much_of_a_flip_a_picture_shows(planted, monkeypatch):
    """All of it by a decoder that copies, half by one that halves, nothing by a blank one."""
    from cladec_utils import recipes

    spec, _ = planted
    shown = flips_shown(spec)
    assert set(shown) == {"colour", "brightness", "texture", "background"}
    assert all(set(row) == {"x_r", "x_e_0", "x_e_1"} for row in shown.values())
    assert all(np.isfinite(list(row.values())).all() for row in shown.values())
    for share in (1, 0.5, 0):
        monkeypatch.setattr(recipes, "explainer", lambda _, share=share: share)
        monkeypatch.setattr(recipes, "predict", lambda share, images: share * images / 255)
        values = [v for row in flips_shown(spec).values() for v in row.values()]
        assert values == pytest.approx([share] * len(values))


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


# --- orders -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 5, 6, 24])
def test_williams_designs_balance_places_and_neighbours(n):
    square = williams(n)
    assert all(sorted(row) == list(range(n)) for row in square.tolist())
    assert all(set(Counter(column).values()) == {len(square) // n} for column in square.T.tolist())
    pairs = Counter(p for row in square.tolist() for p in pairwise(row))
    assert len(pairs) == n * (n - 1) and set(pairs.values()) == {len(square) // n}


def test_slots_are_balanced_over_arms_places_and_classifiers(asked):
    spec = asked["spec"]
    found = slots(spec)
    places = Counter((s.arm, place, i) for s in found for place, i in enumerate(s.order))
    assert len(places) == len(spec.arms) * spec.shown * spec.images * 2 and set(places.values()) == {1}
    assert all(len({i // 2 for i in s.order}) == spec.shown for s in found)
    assert all(Counter(i % 2 for i in s.order) == {0: 3, 1: 3} for s in found)
    assert slots(spec) == found != slots(replace(spec, seed=1))


# --- no secrets ---------------------------------------------------------------------------------


def plain(pdf):
    """All text streams of a PDF."""
    parts = re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL)
    texts = []
    for part in parts:
        try:
            texts.append(zlib.decompress(part))
        except zlib.error:
            texts.append(part)
    return b"".join([pdf, *texts])


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


# --- the folder ---------------------------------------------------------------------------------


def checksums(folder):
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.glob("**/*") if p.is_file()
    }  # fmt: skip


def test_the_same_spec_gives_the_same_files(planted, draft, tmp_path):
    spec, _ = planted
    shutil.copytree(draft, tmp_path / "one")
    generate(spec, tmp_path / "two")
    assert checksums(tmp_path / "one") == checksums(tmp_path / "two")
    generate(spec, tmp_path / "one")  # untouched: written anew
    assert checksums(tmp_path / "one") == checksums(tmp_path / "two")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one", "two"]
    manifest = json.loads((tmp_path / "one/stimuli/manifest.json").read_text())["files"]
    for name, facts in manifest.items():
        file = (tmp_path / "one/stimuli" / name).read_bytes()
        assert facts == {"bytes": len(file), "sha256": hashlib.sha256(file).hexdigest()}
    study = json.loads((tmp_path / "one/study.json").read_text())
    assert {f"{c}.png" for i in study["items"].values() for c in i["pictures"]} <= set(manifest)
    pdf = next((tmp_path / "one/exports").glob("form_*.pdf")).read_bytes()
    assert pdf.startswith(b"%PDF") and b"Draft: not for data collection" in plain(pdf)


def test_a_launch_needs_every_placeholder(planted, folder, tmp_path):
    spec, _ = planted
    assert "[[contact]]" in (folder / "documents/consent.md").read_text()
    before = checksums(folder)
    with pytest.raises(CladecError, match=r"cannot be launched yet.*contact \(an address.*sample_size"):
        generate(spec, folder, launch=True)
    assert checksums(folder) == before
    (folder / "settings.json").write_text(json.dumps(SETTINGS))
    own = tmp_path / "own"
    own.mkdir()
    (own / "consent.md").write_text("Our own words.\n\n# Money\n\n[[payment]] and [[travel]]")
    with pytest.raises(CladecError, match=r"travel \(a placeholder in your text\)"):
        generate(spec, folder, launch=True, own_documents=own)
    (own / "consent.md").write_text("I am [[your name]].\n- [[e-mail]]")
    with pytest.raises(CladecError, match=r"e-mail \(a placeholder.*your name \(a placeholder"):
        generate(spec, folder, launch=True, own_documents=own)
    (own / "consent.md").write_text(" \n")
    with pytest.raises(CladecError, match="is empty"):
        generate(spec, folder, launch=True, own_documents=own)
    (own / "consent.md").write_text("Our own words.\n\n# Money\n\n[[payment]]")
    launched = generate(spec, folder, launch=True, own_documents=own)
    assert launched.study["texts"]["consent"] == [{"p": "Our own words."}, {"h": "Money"}, {"p": "filled in"}]
    assert unfilled(*(p.read_text() for p in folder.glob("**/*") if p.suffix in (".md", ".xml"))) == []
    public = [(folder / name).read_text() for name in ("index.html", "study.json")]
    assert not [name for name in REQUIRED for text in public if f"[[{name}]]" in text]
    assert refresh(spec, folder) == "The launch build that is there was kept."
    before = checksums(folder)
    with pytest.raises(KeptError, match="holds a launch build; a draft would replace it"):
        generate(replace(spec, seed=1), folder)
    assert checksums(folder) == before
    generate(spec, folder, launch=True, own_documents=own)
    assert checksums(folder) == before


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (lambda f: (f / "responses/a.json").write_text("{}"), "holds responses"),
        (lambda f: (f / "documents/consent.md").write_text("mine"), "consent.md was changed by hand"),
        (lambda f: (f / "notes.txt").write_text("mine"), "notes.txt is not the kit's"),
        (lambda f: (f / "checksums.json").unlink(), "no user study of the kit"),
    ],
)
def test_nothing_of_the_researchers_is_overwritten(planted, folder, tmp_path, harm, sentence):
    spec = planted[0]
    harm(folder)
    before = checksums(folder)
    with pytest.raises(KeptError, match=sentence):
        generate(spec, folder)
    assert re.search(sentence, refresh(spec, folder)) and checksums(folder) == before
    assert [p.name for p in tmp_path.iterdir()] == ["study"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "cannot be read as settings"),
        ("[]", "one JSON object"),
        ('{"reseacher": "me"}', "Did you mean 'researcher'"),
        ('{"payment": 3}', "must be text in quotes"),
        ('{"post_url": "ftp://x"}', "must begin with https://"),
    ],
)
def test_bad_settings_get_a_sentence(planted, folder, text, sentence):
    spec = planted[0]
    (folder / "settings.json").write_text(text)
    with pytest.raises(CladecError, match=sentence):
        generate(spec, folder)


def test_the_command_line(planted, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("CLADEC_RESULTS", str(tmp_path / "results"))
    arguments = ["user-study", "generate", "--profile", "smoke", "--images", "4", "--shown", "2"]
    assert main(arguments) == 0 and "draft of study" in capsys.readouterr().out
    folder = tmp_path / "results/smoke/planted-tint-stripes-vgg/user_study"
    assert (folder / "index.html").is_file()
    assert main([*arguments, "--launch"]) == 2 and "cannot be launched yet" in capsys.readouterr().err
    [line] = [x for x in (folder / "README.md").read_text().splitlines() if x.strip().startswith("cladec ")]
    before, command = json.loads((folder / "private/key.json").read_text()), shlex.split(line)
    (folder / "settings.json").write_text(json.dumps(SETTINGS))
    assert command[:3] == ["cladec", "user-study", "generate"] and command[-1] == "--launch"
    assert main(command[1:]) == 0
    assert "made under the smoke profile" in capsys.readouterr().err
    assert json.loads((folder / "private/key.json").read_text())["spec"] == before["spec"]
    assert json.loads((folder / "study.json").read_text())["build"] == "launch"
    assert main(arguments) == 2 and "a draft would replace it" in capsys.readouterr().err
    assert main(["user-study", "analyse", "--profile", "smoke"]) == 2
    assert "none is left to analyse" in capsys.readouterr().err
    assert main(["user-study", "analyse", "--profile", "smoke", "--study", str(tmp_path)]) == 2
    assert "generate the study first" in capsys.readouterr().err
    assert main([*arguments, "--images", "x"]) == 2 and "invalid int" in capsys.readouterr().err


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
    source = store.config.home() / "cladec_utils/pages/collector.py"
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
    text = (store.config.home() / "cladec_utils/pages/collector.py").read_text()
    assert int(re.search(r"^LIMIT = ([\d_]+)$", text, re.MULTILINE)[1]) == RESPONSE_LIMIT


def test_the_page_may_send_to_its_own_address_only_and_escapes_texts(asked):
    made = asked["content"]
    study = made.study | {"post_url": "https://c.example:8443/responses", "title": "</script><b>&"}
    html = page(replace(made, study=study))
    assert "connect-src https://c.example:8443; " in html and "connect-src 'none'; " in page(made)
    assert "default-src 'none'" in html and html.count("</script>") == 2
    assert "<title>&lt;/script&gt;&lt;b&gt;&amp;</title>" in html
    assert not re.search(r"(src|href)=[\"']?(?!data:)https?:", html)
