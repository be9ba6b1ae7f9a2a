"""The participants' page in a real browser, from consent to a file that the analysis accepts."""

import json
import re
import socket
import subprocess
import sys

import pytest
from participant import FLAGS, Participant, browser_path

from cladec_utils import open_study
from cladec_utils.user_study_package import generate
from cladec_utils.user_study_responses import open_generated, read_responses
from cladec_utils.user_study_spec import design

pytestmark = pytest.mark.skipif(
    browser_path() is None,
    reason="no Chromium found: install it (apt-get install chromium) or name one in CLADEC_CHROMIUM",
)
SETTINGS = {
    "researcher": "R. Searcher", "institution": "Institute", "contact": "r@example.org",
    "ethics_reference": "Board 12/3", "duration": "15 minutes", "payment": "3 euros.",
    "data_storage": "Five years, by us.", "withdrawal": "Write to us.", "sample_size": "60",
    "completion_code": "CODE42",
}  # fmt: skip
BLOCKED = """Object.defineProperty(window, 'localStorage',
{ get() { throw new DOMException('blocked', 'SecurityError'); } });"""


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    """A launch build with all three arms."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLADEC_ARTIFACTS", str(folder / "artifacts"))
        patch.setenv("CLADEC_WORKERS", "1")
        spec = design(open_study("smoke"), images=6, shown=3, arms=("control", "explained", "sham"))
        generate(spec, folder / "study")
        (folder / "study" / "settings.json").write_text(json.dumps(SETTINGS))
        generate(spec, folder / "study", launch=True)
        yield open_generated(folder / "study")


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=browser_path(), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, launched):
    """Open the page: a function (query, **context options) -> (page, study with pictures, requests)."""
    contexts = []

    def visit(query="", folder=None, blocked=False, **options):
        context = chromium.new_context(accept_downloads=True, **options)
        contexts.append(context)
        if blocked:
            context.add_init_script(BLOCKED)
        page, requests = context.new_page(), []
        page.set_default_timeout(5000)
        page.on("request", lambda request: requests.append(request.url))
        page.goto(((folder or launched.folder) / "index.html").as_uri() + query)
        return page, page.evaluate("STUDY"), requests

    yield visit
    for context in contexts:
        context.close()


def slot_of(launched, arm, which=0):
    codes = {entry["name"]: code for code, entry in launched.key["arms"].items()}
    return [i for i, slot in enumerate(launched.study["slots"]) if slot[0] == codes[arm]][which]


def accepted(launched, response, tmp_path):
    """The response as the analysis reads it from a folder."""
    folder = tmp_path / "responses"
    folder.mkdir(exist_ok=True)
    (folder / "response.json").write_text(json.dumps(response))
    found = read_responses(launched, folder)
    assert found.set_aside.empty, found.set_aside["reason"].tolist()
    return found.valid[0]


@pytest.mark.parametrize(("arm", "pictures"), [("control", 2), ("explained", 3), ("sham", 3)])
def test_a_participant_by_keyboard_in_each_arm(launched, visit, tmp_path, arm, pictures):
    """Every page by keyboard, focus on its heading, no finding of axe-core, no request to anywhere."""
    from axe_playwright_python.sync_playwright import Axe

    slot = slot_of(launched, arm)
    page, study, requests = visit(f"?slot={slot}&PROLIFIC_PID=abc123&SESSION_ID=s1", reduced_motion="reduce")
    seen, findings, counts = set(), [], []

    def look(title):
        kind = re.sub(r"\d+", "n", title)
        counts.append(page.locator("figure img").count())
        if kind not in seen:
            seen.add(kind)
            findings.extend((title, v["id"]) for v in Axe().run(page).response["violations"])
            assert page.evaluate("document.getAnimations().length") == 0

    participant = Participant(page, study, look)
    response = participant.take_part()
    assert findings == [] and set(counts) == {0, pictures}
    assert all(url.startswith(("file:", "data:", "blob:")) for url in requests)
    assert not [t for t in participant.titles if t.startswith("ERROR")]
    kept = accepted(launched, response, tmp_path)
    assert kept["participant"] == "abc123" and kept["session"] == "s1" and kept["slot"] == slot
    assert launched.key["arms"][kept["arm"]]["name"] == arm
    assert kept["attention"] == {c["id"]: c["right"] for c in study["attention"]}
    for item in kept["items"]:
        for concept, given in item["answers"].items():
            wanted = ("used", "unused", "unknown")[(len(f"answer:{concept}") + int(item["item"], 16)) % 3]
            assert given == {"answer": wanted, "confidence": None if wanted == "unknown" else 3}
        assert item["text"] == '=1+1; "quoted", <b>bold</b>' and item["seconds"] > 0
    table = participant.download("Download CSV").splitlines()
    assert len(table) == 1 + len(kept["items"]) * len(study["concepts"]) and '"\'=1+1; ""quoted' in table[1]
    assert "CODE42" in page.locator("main").inner_text()


def test_a_reload_loses_nothing(launched, visit, tmp_path):
    page, study, _ = visit(f"?slot={slot_of(launched, 'explained')}&participant=p1")
    states = {}

    def reload_half_way(title):
        if title == "Picture 2 of 3" and title not in states:
            participant.fill(stop_after=5)
            states[title] = page.evaluate("Object.fromEntries(new FormData(document.forms[0]))")
            picture = participant.item()
            page.reload()
            assert participant.title() == title and participant.item() == picture
            assert page.evaluate("Object.fromEntries(new FormData(document.forms[0]))") == states[title]

    participant = Participant(page, study, reload_half_way)
    kept = accepted(launched, participant.take_part(), tmp_path)
    assert len([v for v in states["Picture 2 of 3"].values() if v]) >= 3
    assert kept["reloads"] == 1 and len(kept["items"]) == 3
    page.reload()
    assert (
        participant.title() == "Thank you" and participant.download("Download JSON")["items"] == kept["items"]
    )
    page.goto(page.url + "&restart=1")
    assert participant.title() == study["title"]


def test_phone_width_without_storage(launched, visit, tmp_path):
    query = f"?slot={slot_of(launched, 'explained', 1)}"
    page, study, _ = visit(query, blocked=True, viewport={"width": 360, "height": 740})

    def fits(title):
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, title
        assert "does not let the page save" in page.locator("#storage").inner_text()

    kept = accepted(launched, Participant(page, study, fits).take_part(), tmp_path)
    assert kept["storage"] == "memory" and kept["participant"].startswith("p-")


def test_nothing_can_be_skipped_and_mistakes_are_named(launched, visit):
    from axe_playwright_python.sync_playwright import Axe

    page, study, _ = visit(f"?slot={slot_of(launched, 'explained')}")
    page.get_by_role("button").click()
    assert "Please answer: your consent" in page.get_by_role("alert").inner_text()
    assert page.evaluate("document.activeElement.name") == "consent"
    assert Axe().run(page).response["violations"] == []
    page.keyboard.press("Space")
    participant = Participant(page, study)
    participant.fill()
    participant.fill()
    for question in study["comprehension"]:  # all wrong: the task is explained once more, and asked again
        wrong = next(o for o, _ in question["options"] if o != question["right"])
        page.check(f"input[name={question['id']}][value={wrong}]")
    page.get_by_role("button").click()
    assert participant.title() == "Please read this once more"
    assert Axe().run(page).response["violations"] == []
    response = participant.take_part()
    assert len(response["comprehension"]) == 2 and response["comprehension"][0]["b"] != "copy"


def test_answers_are_posted_to_the_collector(launched, visit, tmp_path):
    """A page opened from file:// sends to the stand-alone collector, which keeps a file that is valid."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    responses = tmp_path / "collected"
    page_file = launched.folder / "index.html"
    process = subprocess.Popen(
        [sys.executable, "-I", launched.folder / "exports" / "collector.py", "--page", page_file,
         "--responses", responses, "--port", str(port)], stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert "collecting at" in process.stdout.readline()
        posting = tmp_path / "posting"
        posting.mkdir()
        address = f"http://127.0.0.1:{port}"
        html = page_file.read_text().replace("connect-src 'none'", f"connect-src {address}")
        html = html.replace('"post_url":""', f'"post_url":"{address}/responses"')
        (posting / "index.html").write_text(html)
        page, study, requests = visit("?slot=0&participant=me", folder=posting)
        assert study["post_url"] == f"{address}/responses"
        Participant(page, study).take_part()
        page.get_by_text("Your answers were sent").wait_for()
        assert [u for u in requests if u.startswith("http")] == [f"{address}/responses"]
    finally:
        process.terminate()
        process.wait()
    kept = read_responses(launched, responses)
    assert [r["participant"] for r in kept.valid] == ["me"] and kept.set_aside.empty


def test_a_preview_on_mechanical_turk_takes_no_answers(launched, visit):
    page, _, _ = visit("?assignmentId=ASSIGNMENT_ID_NOT_AVAILABLE")
    assert "This is a preview" in page.locator("main").inner_text() and page.locator("form").count() == 0
