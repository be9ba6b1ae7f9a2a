"""A participant who drives the page by keyboard or by script, and a browser to do it in."""

import json
import os
import shutil

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # nothing ever leaves this machine
]  # fmt: skip
FOCUSED = """() => { const e = document.activeElement;
return [e.tagName, e.type || '', e.name || '', e.value || '', Boolean(e.checked)]; }"""
CONTROLS = "[...document.forms[0].elements].map(e => [e.name, e.value]).filter(([name]) => name)"
ANSWER = """(wanted) => {
const form = document.forms[0];
for (const control of form.elements) {
  if (!(control.name in wanted) || control.disabled) continue;
  if (control.type === 'radio') control.checked = control.value === wanted[control.name];
  else if (control.type === 'checkbox') control.checked = true;
  else control.value = wanted[control.name];
  control.dispatchEvent(new Event('change', { bubbles: true }));
}
form.requestSubmit();
}"""


def browser_path():
    named = os.environ.get("CLADEC_CHROMIUM")
    names = ("chromium", "chromium-browser", "google-chrome")
    return named or next((found for n in names if (found := shutil.which(n))), None)


def answer_to(study, name, kind, item):
    """What this participant answers to the control `name`: the same for the same question."""
    for question in study["comprehension"]:
        if question["id"] == name:
            return question["right"]
    if name == "check":
        return "unused" if 'choose "Not used"' in kind else "unknown"
    if name.startswith("answer:"):
        return ("used", "unused", "unknown")[(len(name) + int(item, 16)) % 3]
    fixed = {"experience": "some", "consent": "yes", "sure": "3"}
    return fixed.get(name.split(":")[0])


class Participant:
    """Answers every page with Tab, Space, arrows and Enter, or with `by_script`, which takes a tenth of the
    time; `on_page(title)` is called on each page."""

    def __init__(self, page, study, on_page=lambda title: None, by_script=False):
        self.page, self.study, self.on_page = page, study, on_page
        self.answer = self.answer_by_script if by_script else self.fill
        self.titles = []
        page.on("pageerror", lambda error: self.titles.append(f"ERROR {error}"))

    def title(self):
        return self.page.locator("h1").inner_text()

    def item(self):
        """The code of the picture that is shown: the page's own record has it after it was answered."""
        source = self.page.locator("figure img").first.get_attribute("src")
        for item in [*self.study["items"].values(), *self.study["practice"]]:
            if self.study["images"][item["pictures"][0]] == source:
                return item["id"]
        return "0"

    def fill(self, stop_after=None):
        """Answer the page that is shown; returns when its button was pressed, or after some controls."""
        item = self.item() if self.page.locator("figure img").count() else "0"
        kind = self.page.locator("main").inner_text()
        for done in range(1, 200):
            self.page.keyboard.press("Tab")
            tag, sort, name, value, checked = self.page.evaluate(FOCUSED)
            if tag == "BUTTON":
                self.page.keyboard.press("Enter")
                return
            wanted = answer_to(self.study, name, kind, item)
            if sort == "radio":
                self._choose(name, wanted, value, checked)
            elif sort == "checkbox" and not checked:
                self.page.keyboard.press("Space")
            elif tag == "SELECT" and value != wanted:
                self.page.keyboard.press("f")  # fairly sure
            elif tag == "TEXTAREA" and not value:
                self.page.keyboard.insert_text('=1+1; "quoted", <b>bold</b>')
            if done == stop_after:
                return
        raise AssertionError(f"no button could be reached on {self.title()!r}")

    def answer_by_script(self):
        """The same answers, given by a script."""
        item = self.item() if self.page.locator("figure img").count() else "0"
        kind = self.page.locator("main").inner_text()
        wanted = {}
        for name, value in self.page.evaluate(CONTROLS):
            wanted.setdefault(name, answer_to(self.study, name, kind, item) or value)
        self.page.evaluate(ANSWER, wanted)

    def _choose(self, name, wanted, value, checked):
        if not checked:
            self.page.keyboard.press("Space")
        for _ in range(4):
            if wanted in (None, value):
                return
            self.page.keyboard.press("ArrowDown")
            value = self.page.evaluate(FOCUSED)[3]
        raise AssertionError(f"cannot reach {wanted!r} of {name}")

    def take_part(self):
        """From the first page to the last; returns the response that was downloaded."""
        for _ in range(60):
            title = self.title()
            assert self.page.evaluate("document.activeElement === document.querySelector('h1')"), title
            self.titles.append(title)
            self.on_page(title)
            if title == "Thank you":
                return self.download("Download JSON")
            self.answer()
        raise AssertionError("the study does not end")

    def download(self, label):
        with self.page.expect_download() as waiting:
            self.page.get_by_role("button", name=label).click()
        text = waiting.value.path().read_text("utf-8")
        return json.loads(text) if "JSON" in label else text
