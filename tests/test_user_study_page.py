"""The participants' page in a real browser, from consent to a file that the analysis accepts."""

import json
import re
import socket
import subprocess
import sys

import pytest
from participant import FLAGS, Participant, browser_path

from cladec_utils import open_study
from cladec_utils.user_study.analysis import judgements
from cladec_utils.user_study.analysis.responses import open_generated
from cladec_utils.user_study.analysis.results import analyse
from cladec_utils.user_study.design import design
from cladec_utils.user_study.materials.folder import generate
from cladec_utils.user_study.materials.settings import asset
from cladec_utils.user_study.schema import response_schema

pytestmark = pytest.mark.skipif(
    browser_path() is None,
    reason="no Chromium found: install it (apt-get install chromium) or name one in CLADEC_CHROMIUM",
)
SETTINGS = {
    "researcher": "R. Searcher", "institution": "Institute", "contact": "r@example.org",
    "ethics_reference": "Board 12/3", "duration": "about 15 minutes", "payment": "3 euros.",
    "data_storage": "Five years, by us.", "withdrawal": "Write to us.", "sample_size": "60",
    "completion_code": "CODE42",
}  # fmt: skip
BLOCKED = """Object.defineProperty(window, 'localStorage',
{ get() { throw new DOMException('blocked', 'SecurityError'); } });"""
PHONE, DESK = {"width": 360, "height": 740}, {"width": 1280, "height": 800}
FORM = "Object.fromEntries(new FormData(document.forms[0]))"


def arms(test):
    """Every arm of the study for the test of that name: the fullest one, and slowly the others."""
    slow = pytest.mark.slow(instead=f"tests/test_user_study_page.py::{test}")
    others = [pytest.param("control", 2, marks=slow), pytest.param("sham", 3, marks=slow)]
    return pytest.mark.parametrize(("arm", "pictures"), [("explained", 3), *others])


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    """A launch build with all three arms."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLADEC_ARTIFACTS", str(folder / "artifacts"))
        patch.setenv("CLADEC_WORKERS", "1")
        spec = design(open_study("smoke"), images=4, shown=2, arms=("control", "explained", "sham"))
        (folder / "study").mkdir()
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


def findings(page):
    """What axe-core finds on the page as it is, at any level."""
    from axe_playwright_python.base import AXE_SCRIPT

    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    return [v["id"] for v in page.evaluate("axe.run({ resultTypes: ['violations'] })")["violations"]]


def slot_of(launched, arm, which=0):
    codes = {entry["name"]: code for code, entry in launched.key["arms"].items()}
    return [i for i, slot in enumerate(launched.study["slots"]) if slot[0] == codes[arm]][which]


@pytest.fixture(scope="module")
def handed_in(tmp_path_factory):
    """The folder of all participants' files: what one arm's test leaves is analysed with the next."""
    return tmp_path_factory.mktemp("responses")


@pytest.fixture
def accepted(launched, handed_in, monkeypatch):
    """A function response -> the same as the analysis has it: valid, not excluded, in the tables."""
    monkeypatch.setattr(judgements, "FASTEST", 0)  # a script is hasty

    def accepted(response):
        (handed_in / f"{response['participant']}.json").write_text(json.dumps(response))
        results = analyse(launched, handed_in, replicates=10)
        assert results.responses.set_aside.empty, results.responses.set_aside["reason"].tolist()
        assert results.tables["excluded"].empty and not results.mark
        arm = launched.key["arms"][response["arm"]]["name"]
        mine = results.judgements.query("participant == @response['participant']")
        assert set(mine["arm"]) == {arm} and len(mine) == 2 * len(launched.key["concepts"])
        assert len(results.tables["coding_key"]) == len(results.tables["coding_sheet"])
        return next(r for r in results.responses.valid if r["participant"] == response["participant"])

    return accepted


@arms("test_a_participant_by_keyboard_on_a_phone_with_a_reload")
def test_a_participant_by_keyboard_on_a_phone_with_a_reload(launched, visit, accepted, arm, pictures):
    """Every page by keyboard, focus on its heading, no finding of axe-core (in the fullest arm at a
    desk's width, too), no request to anywhere; a half-filled page is the same after a reload."""
    slot = slot_of(launched, arm)
    query = f"?slot={slot}&PROLIFIC_PID={arm}123&SESSION_ID=s1"
    page, study, requests = visit(query, viewport=PHONE, reduced_motion="reduce")
    seen, found, counts, filled = set(), [], set(), {}

    def look(title):
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], title
        counts.add(page.locator("figure img").count())
        kind = re.sub(r"\d+", "n", title)
        if kind not in seen:
            seen.add(kind)
            for size in (DESK, PHONE) if arm == "explained" else (PHONE,):
                page.set_viewport_size(size)
                found.extend((title, size["width"], finding) for finding in findings(page))
            assert page.evaluate("document.getAnimations().length") == 0
        if title == "Picture 2 of 2" and not filled:
            participant.fill(stop_after=5)
            filled.update(page.evaluate(FORM))
            picture = participant.item()
            page.reload()
            assert participant.title() == title and participant.item() == picture
            assert page.evaluate(FORM) == filled and len([v for v in filled.values() if v]) >= 3

    participant = Participant(page, study, look)
    response = participant.take_part()
    assert found == [] and counts == {0, pictures} and len(seen) == 10 and filled
    assert all(url.startswith(("file:", "data:", "blob:")) for url in requests)
    assert not [t for t in participant.titles if t.startswith("ERROR")]
    kept = accepted(response)
    assert (kept["participant"], kept["session"], kept["slot"]) == (f"{arm}123", "s1", slot)
    assert kept["reloads"] == 1 and kept["storage"] == "kept"
    assert launched.key["arms"][kept["arm"]]["name"] == arm
    assert kept["attention"] == {c["id"]: c["right"] for c in study["attention"]}
    for item in kept["items"]:
        for concept, given in item["answers"].items():
            wanted = ("used", "unused", "unknown")[(len(f"answer:{concept}") + int(item["item"], 16)) % 3]
            assert given == {"answer": wanted, "confidence": None if wanted == "unknown" else 3}
        assert item["text"] == '=1+1; "quoted", <b>bold</b>' and item["seconds"] > 0
    table = participant.download("Download CSV").splitlines()
    assert table[0].startswith('\ufeff"study_hash"')  # Excel would take it for another encoding
    assert len(table) == 1 + len(kept["items"]) * len(study["concepts"]) and '"\'=1+1; ""quoted' in table[1]
    last = page.locator("main").inner_text()
    assert "CODE42" in last and f"{arm}123" in last  # the number is needed to withdraw


@arms("test_a_participant_without_storage")
def test_a_participant_without_storage(launched, visit, accepted, arm, pictures):
    page, study, _ = visit(f"?slot={slot_of(launched, arm, 1)}", blocked=True, viewport=PHONE)

    def fits(title):
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], title
        assert page.locator("figure img").count() in (0, pictures)
        assert "does not let the page save" in page.locator("#storage").inner_text()
        if title == "Picture 1 of 2":  # the notice is the same on every page
            assert findings(page) == []

    kept = accepted(Participant(page, study, fits, by_script=True).take_part())
    assert kept["storage"] == "memory" and re.fullmatch(r"p-\w{8,}", kept["participant"])
    assert kept["participant"] in page.locator("main").inner_text()


@pytest.fixture(scope="module")
def begun(chromium, launched):
    """What a fresh page knows of who comes by an address: a function of its query."""
    page = chromium.new_page()
    page.goto((launched.folder / "index.html").as_uri())
    script = asset("state.js")

    def begun(query):
        address = json.dumps({"search": f"?slot=0&{query}"})
        return page.evaluate(f"(() => {{ const location = {address}; {script}; return state }})()")

    yield begun
    page.close()


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("PROLIFIC_PID={{%25PROLIFIC_PID%25}}&SESSION_ID={{%25SESSION_ID%25}}", None),
        ("PROLIFIC_PID={{%PROLIFIC_PID%}}", None),
        ("PROLIFIC_PID=%7B%7B%25PROLIFIC_PID%25%7D%7D", None),
        ("participant=[[participant]]", None),
        ("participant=${e://Field/PROLIFIC_PID}", None),
        ("participant=%25UID%25", None),
        ("participant=%UID%", None),
        ("participant=undefined", None),
        ("participant=NULL", None),
        ("participant=", None),
        ("participant=ASSIGNMENT_ID_NOT_AVAILABLE", None),
        ("PROLIFIC_PID={{%PROLIFIC_PID%}}&participant=7", "7"),
        ("PROLIFIC_PID=5f2a9c0e1b", "5f2a9c0e1b"),
        ("participant=NA", None),
        ("participant=N/A", None),
        ("participant=YOUR_ID", None),
        ("PROLIFIC_PID=PROLIFICPID", None),
        ("PROLIFIC_PID=your-prolific-id-here", None),
        ("participant=%ADID%", None),
        ("PANEL=7&STUDY_ID=7&id=7", None),
        ("prolific_id=7", "7"),
        ("Prolific-PID=7&participant=8", "7"),
        ("participant=8&PROLIFIC_PID=7", "7"),
        ("participant-id=7", "7"),
        ("ExternalReference=7", "7"),
        ("workerId=7", "7"),
        ("participant=&participant=NA&participant=7", "7"),
        (f"participant={'a' * 64}", "a" * 64),
        ("participant=Anna", "Anna"),
        ("participant=RESPID", None),
        ("participant=resp_id", None),
        ("participant=rid_value", None),
        ("participant=mturk_worker_id", None),
        ("participant=CINT_ID", None),
        ("participant=Lucid", "Lucid"),
        ("participant=sample", "sample"),
    ],
)
def test_an_unfilled_placeholder_is_nobodys_number(begun, query, wanted):
    """Two people who come by the same link are two."""
    states = [begun(query), begun(query)]
    names = [state["participant"] for state in states]
    if wanted is None:
        assert names[0] != names[1] and all(re.fullmatch(r"p-\w{8,}", name) for name in names)
    else:
        assert names == [wanted] * 2
    assert {state["session"] for state in states} == {""}


def test_other_numbers_are_never_one(begun, launched):
    """Whatever characters they have, and however many; each is the same with every visit."""
    letters = ["p%C3%A9ter", "p%C3%A8ter", "p%E9ter", "p%E8ter", "pter", "%E9a", "%E8a"]
    signs = ["a.bc", "ab.c", "a%20b.c", "abc", "a@b.org", "a@borg", "%E6%97%A5", "%E6%9C%AC"]
    long = ["a" * 65, "a" * 66, "a" * 64, f"{'a' * 64}b"]
    queries = [f"participant={text}" for text in (*letters, *signs, *long)]
    names = [begun(query)["participant"] for query in queries]
    assert len(set(names)) == len(names)
    assert [begun(query)["participant"] for query in queries] == names
    pattern = re.compile(response_schema(launched.study)["properties"]["participant"]["pattern"])
    assert all(pattern.fullmatch(name) for name in names)
    assert names[0].startswith("pter-") and names[4] == "pter" and names[15].startswith("a" * 40 + "-")
    assert begun("Session_Id=a%20b")["session"].startswith("ab-")


@pytest.mark.parametrize("name", ["<b>a</b>", "</script><script>x()</script>", "$a_$ *b* &amp;"])
def test_the_name_of_a_class_is_shown_as_text(launched, visit, tmp_path, name):
    """As the pages' own script puts it there, from the study that it was given."""
    html = (launched.folder / "index.html").read_text()
    coded = json.dumps(name).replace("<", "\\u003c")
    (tmp_path / "index.html").write_text(re.sub(r'"label":"[^"]*"', lambda _: f'"label":{coded}', html))
    page, study, _ = visit("?slot=0", folder=tmp_path)
    participant = Participant(page, study, by_script=True)
    while participant.title() != "Picture 1 of 2":
        participant.answer()
    assert page.locator("main strong", has_text=name).inner_text() == name
    assert page.locator("main b, main script").count() == 0


def test_nothing_is_recorded_before_consent_and_the_end_stays(launched, visit):
    page, study, _ = visit(f"?slot={slot_of(launched, 'explained')}&participant=p1")
    participant = Participant(page, study, by_script=True)
    for word in ("storage", "While you take part", "not sent", "about 15 minutes"):
        assert word in page.locator("main").inner_text()
    assert "about about" not in page.locator("main").inner_text()
    page.check("input[name=consent]")
    assert page.evaluate("localStorage.length") == 0
    page.reload()
    assert page.evaluate("localStorage.length") == 0 and not page.is_checked("input[name=consent]")
    participant.answer()
    stored = json.loads(page.evaluate("localStorage.getItem(localStorage.key(0))"))
    assert stored["participant"] == "p1" and stored["started"] and len(stored["records"]) == 1
    first = participant.take_part()
    page.reload()
    again = participant.download("Download JSON")
    assert participant.title() == "Thank you" and again["items"] == first["items"]
    assert "p1" in printed(page).inner_text("main")  # no form: what one may need later
    page.goto(page.url + "&restart=1")
    assert participant.title() == study["title"] and "restart" not in page.url


def test_nothing_can_be_skipped_and_mistakes_are_named(launched, visit):
    page, study, _ = visit(f"?slot={slot_of(launched, 'explained')}")
    page.get_by_role("button").click()
    assert "Please answer: your consent" in page.get_by_role("alert").inner_text()
    assert page.evaluate("document.activeElement.name") == "consent" and findings(page) == []
    participant = Participant(page, study, by_script=True)
    participant.answer()
    participant.answer()
    page.keyboard.press("Tab")
    for question in study["comprehension"]:  # all wrong: the task is explained once more, and asked again
        wrong = next(o for o, _ in question["options"] if o != question["right"])
        page.check(f"input[name={question['id']}][value={wrong}]")
    page.get_by_role("button").click()
    assert participant.title() == "Please read this once more" and findings(page) == []
    response = participant.take_part()
    assert len(response["comprehension"]) == 2 and response["comprehension"][0]["b"] != "copy"


def stored(page):
    return json.loads(page.evaluate("localStorage.getItem(localStorage.key(0))"))


def until(participant, title):
    while participant.title() != title:
        assert participant.title() != "Thank you"
        participant.answer()
    return participant


def second_tab(page, study):
    other = page.context.new_page()
    other.set_default_timeout(5000)
    other.goto(page.url)
    return Participant(other, study, by_script=True)


HERE = "This study is open in another tab; go on there."


@pytest.mark.parametrize("before", ["What you will do", "Picture 1 of 2", "About you"])
def test_only_the_tab_that_was_used_last_keeps_answers(visit, before):
    page, study, _ = visit("?slot=0&participant=twice")
    first = until(Participant(page, study, by_script=True), before)
    second = second_tab(page, study)
    assert second.title() == before
    page.get_by_text(HERE).wait_for()
    second.answer()
    kept, reached = stored(page), second.title()
    assert page.locator("main form").count() == 0
    page.reload()  # who goes on here goes on where the other tab was
    assert first.title() == reached != before
    assert stored(page)["records"] == kept["records"]


def test_a_tab_that_missed_the_other_ones_news_writes_nothing(visit):
    """As a frozen tab does, which is told of no change."""
    page, study, _ = visit("?slot=0&participant=frozen")
    page.evaluate("addEventListener('storage', (event) => event.stopImmediatePropagation(), true)")
    deaf = (
        "const own = addEventListener; window.addEventListener = (n, ...a) => n !== 'storage' && own(n, ...a)"
    )
    page.context.add_init_script(deaf)
    page.reload()
    first = until(Participant(page, study, by_script=True), "Picture 1 of 2")
    second = second_tab(page, study)
    second.take_part()
    kept = stored(page)
    assert first.title() == "Picture 1 of 2" and kept["finished"]
    page.keyboard.press("Tab")  # or the click might pass for the second one of a double click
    page.locator("input[type=radio]").first.click()
    page.get_by_text(HERE).wait_for()
    assert HERE in page.locator("main").inner_text() and stored(page) == kept
    second.page.reload()
    assert second.title() == "Thank you"


def test_who_consents_in_two_tabs_takes_part_in_one(visit):
    page, study, _ = visit("?slot=0")
    second = second_tab(page, study)
    Participant(page, study, by_script=True).answer()
    second.page.get_by_text(HERE).wait_for()
    assert len(stored(page)["records"]) == 1


@pytest.mark.parametrize("size", [PHONE, {"width": 1280, "height": 2600}], ids=["phone", "high"])
def test_a_double_click_answers_one_page(visit, size):
    page, study, _ = visit("?slot=0&participant=double", viewport=size)
    participant, before = Participant(page, study, by_script=True), 0
    while (title := participant.title()) != "Thank you":
        page.evaluate("document.forms[0].requestSubmit = () => {}")
        participant.answer()  # but for its button
        page.keyboard.press("Tab")
        page.locator("form button").dblclick(delay=20)
        assert len(stored(page)["records"]) == before + 1, title
        assert participant.title() == "Thank you" or page.locator("input:checked").count() == 0, title
        before += 1
    assert before == len(stored(page)["records"])


def test_a_click_after_a_while_counts_and_enter_twice_answers_one_page(visit):
    page, *_ = visit("?slot=0&participant=slow")
    page.check("input[name=consent]")
    page.locator("form button").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    page.locator("form button").focus()  # as some do who move by other keys than Tab
    page.keyboard.press("Enter")
    assert len(stored(page)["records"]) == 1
    page.wait_for_timeout(600)
    page.get_by_role("button").click()
    assert len(stored(page)["records"]) == 2


@pytest.mark.parametrize("size", ["150%", "200%"])
def test_larger_letters_fit_a_phone(launched, visit, size):
    page, study, _ = visit(f"?slot={slot_of(launched, 'explained')}&participant=large", viewport=PHONE)
    grow = f"addEventListener('DOMContentLoaded', () => document.documentElement.style.fontSize = '{size}')"
    page.context.add_init_script(grow)
    page.reload()
    wide = {}
    look = "document.documentElement.scrollWidth"
    Participant(
        page, study, lambda title: wide.update({title: page.evaluate(look)}), by_script=True
    ).take_part()
    assert {title: width for title, width in wide.items() if width > PHONE["width"]} == {}


FULL = """let left = 9; const set = Storage.prototype.setItem; Storage.prototype.setItem = function (...a) {
if (--left < 0) throw new DOMException('full', 'QuotaExceededError'); return set.apply(this, a); };"""


@pytest.mark.parametrize("kind", ["blocked", "full", "kept"])
def test_the_browser_asks_before_answers_are_lost(visit, kind):
    page, study, _ = visit("?slot=0&participant=lost", blocked=kind == "blocked")
    if kind == "full":
        page.context.add_init_script(FULL)
        page.reload()
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.locator("h1").click()
    page.reload()
    assert asked == []  # nothing is there yet
    until(Participant(page, study, by_script=True), "Picture 2 of 2")
    page.keyboard.press("Tab")
    page.locator("input[type=radio]").first.click()
    assert ("do not go back" in page.locator("#storage").inner_text()) == (kind != "kept")
    page.reload()
    assert asked == ["beforeunload"] * (kind != "kept")
    if kind == "blocked":
        Participant(page, study, by_script=True).take_part()  # which downloads the answers
        page.reload()
        assert asked == ["beforeunload"]


def printed(page):
    """The page as it is while it is printed."""
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    return page


@arms("test_a_print_is_a_form_of_the_whole_slot")
def test_a_print_is_a_form_of_the_whole_slot(launched, visit, arm, pictures):
    """Consent, instructions and every picture, each on a sheet of its own, and the page is as before."""
    slot = slot_of(launched, arm)
    page, study, _ = visit(f"?slot={slot}")
    Participant(page, study, by_script=True).answer()
    before = page.inner_html("body")
    items = [study["items"][code] for code in study["slots"][slot][1]]
    for size in ("A4", "Letter"):
        assert len(re.findall(rb"/Type /Page\b", page.pdf(format=size))) == 2 + len(items)
    assert page.inner_html("body") == before
    assert not printed(page).is_visible("main") and not page.is_visible("header")
    consent, instructions, *sheets = page.locator("#paper > section").all()
    assert "does not read them" in consent.inner_text() and "about 15 minutes" in consent.inner_text()
    assert instructions.locator("img").count() == pictures
    for item, sheet in zip(items, sheets, strict=True):
        text = sheet.inner_text()
        words = [label[0].upper() + label[1:] for _, label in study["concepts"]]
        words += [
            "Not used",
            "Cannot tell",
            "fairly sure",
            "matters more",
            f"slot {slot}, picture {item['id']}",
        ]
        assert [word for word in words if word not in text] == []
        wanted = [study["images"][item["pictures"][i]] for i in study["arms"][study["slots"][slot][0]]]
        drawn = sheet.locator("img").evaluate_all("all => all.map(i => i.naturalWidth > 0 && i.src)")
        assert drawn == wanted and len(wanted) == pictures
        assert sheet.locator("input[type=radio]").count() == 7 * len(study["concepts"]) + 2
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.inner_html("body") == before


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_answers_are_posted_to_the_collector_at_a_second_try(launched, visit, tmp_path, accepted):
    """A page opened from file:// finds no collector, says so, and sends to it once it runs."""
    port, responses, page_file = free_port(), tmp_path / "collected", launched.folder / "index.html"
    address = f"http://127.0.0.1:{port}"
    html = page_file.read_text().replace("connect-src 'none'", f"connect-src {address}")
    (tmp_path / "index.html").write_text(html.replace('"post_url":""', f'"post_url":"{address}/responses"'))
    page, study, requests = visit("?slot=0&participant=me", folder=tmp_path)
    assert study["post_url"] == f"{address}/responses"
    participant = Participant(page, study, by_script=True)
    first = participant.take_part()
    page.get_by_text("Sending failed").wait_for()
    page.goto(f"{page.url}&restart=1")  # answers that were not sent are not lost by it
    page.get_by_text("Sending failed").wait_for()
    assert participant.download("Download JSON")["items"] == first["items"]
    assert page.url.endswith("?slot=0&participant=me")
    again = page.get_by_role("button", name="Send again")
    assert findings(page) == [] and again.is_visible()
    process = subprocess.Popen(
        [sys.executable, "-I", launched.folder / "exports" / "collector.py", "--page", page_file,
         "--responses", responses, "--port", str(port)], stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert "collecting at" in process.stdout.readline()
        again.click()
        page.get_by_text("Your answers were sent").wait_for()
        assert not again.is_visible()
        page.goto(f"{page.url}&restart=1")  # sent: now a new session may begin
        assert participant.title() == study["title"]
        assert {u for u in requests if u.startswith("http")} == {f"{address}/responses"}
    finally:
        process.terminate()
        process.wait()
    kept = [json.loads(p.read_text()) for p in responses.iterdir()]
    assert [accepted(r)["participant"] for r in kept] == ["me"]


def test_answers_that_the_collector_refuses_stay_in_the_page(launched, visit, tmp_path):
    """Its words are shown; after a reload the answers are there and can be sent again, or downloaded."""
    port, responses, page_file = free_port(), tmp_path / "collected", launched.folder / "index.html"
    address = f"http://127.0.0.1:{port}"
    html = page_file.read_text().replace("connect-src 'none'", f"connect-src {address}")
    (tmp_path / "index.html").write_text(html.replace('"post_url":""', f'"post_url":"{address}/responses"'))
    process = subprocess.Popen(
        [sys.executable, "-I", launched.folder / "exports" / "collector.py", "--page", page_file,
         "--responses", responses, "--port", str(port), "--most", "0"], stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert "at most 0 responses" in process.stdout.readline()
        page, study, _ = visit("?slot=0&participant=me", folder=tmp_path)
        participant = Participant(page, study, by_script=True)
        first = participant.take_part()
        for _ in range(2):
            page.get_by_text("No more responses are collected").wait_for()
            assert "Your answers are still in this page" in page.locator("main").inner_text()
            assert page.get_by_role("button", name="Send again").is_visible() and findings(page) == []
            page.reload()
        assert participant.download("Download JSON")["items"] == first["items"]
        assert not list(responses.iterdir())
    finally:
        process.terminate()
        process.wait()
