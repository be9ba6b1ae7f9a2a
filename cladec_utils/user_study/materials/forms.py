"""A study on paper, for use in class: one form per arm to print, and the instructor's key.

All copies of an arm's form have one order of pictures, and the analysis reads no paper: what a class writes
on forms is to be talked about, and is no data of the study.
"""

import io
from datetime import UTC, datetime
from typing import Any

from fpdf import FPDF
from PIL import Image

from cladec_utils.user_study.materials.questionnaire import Content

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # a fixed date, so that the same study gives the same file
MARGIN, WIDE, LINE = 18.0, 174.0, 5.5  # mm
CAPTIONS = ("A: original", "B: copy by a general-purpose network", "C: what the classifier kept")
ANSWERS = ("used", "not used", "cannot tell", "how sure (1-4)")
COLUMN = 28.0  # mm
IN_CLASS = (
    "For use in class, not for data collection: all forms of a group have the pictures in one order, and "
    "answers on paper are not analysed with those from the page."
)


class _Form(FPDF):
    def __init__(self, title: str, foot: str) -> None:
        super().__init__(format="A4")
        self.foot = foot
        self.set_creation_date(_EPOCH)
        self.set_title(_latin(title))
        self.set_margins(MARGIN, MARGIN)
        self.set_auto_page_break(True, margin=20)
        self.add_page()
        self.heading(title, 15)

    def footer(self) -> None:
        self.set_y(-14)
        self.set_font("Helvetica", size=8)
        self.cell(0, 5, f"{_latin(self.foot)}   page {self.page_no()}")

    def heading(self, text: str, size: float = 12) -> None:
        self.set_font("Helvetica", "B", size)
        self.multi_cell(WIDE, size * 0.5, _latin(text), new_x="LMARGIN", new_y="NEXT")
        self.ln(1.5)

    def text_block(self, text: str, size: float = 10) -> None:
        self.set_font("Helvetica", size=size)
        self.multi_cell(WIDE, LINE, _latin(text), align="L", new_x="LMARGIN", new_y="NEXT")
        self.ln(1)

    def blocks(self, parts: list[dict[str, Any]]) -> None:
        for part in parts:
            if "h" in part:
                self.heading(part["h"], 11)
            for text in [part["p"]] if "p" in part else [f"- {point}" for point in part.get("li", [])]:
                self.text_block(text)


def _latin(text: str) -> str:
    """What the built-in fonts can print; everything else becomes a question mark."""
    for fancy, plain in (("\u2019", "'"), ("\u201c", '"'), ("\u201d", '"'), ("\u2013", "-"), ("\u2014", "-")):
        text = text.replace(fancy, plain)
    return text.encode("latin-1", "replace").decode("latin-1")


def form(content: Content, slot: int) -> bytes:
    """The printable form of one line of the counter-balance table, as PDF."""
    study = content.study
    arm, items, rotation = study["slots"][slot]
    panels = study["arms"][arm]
    concepts = study["concepts"][rotation:] + study["concepts"][:rotation]
    pdf = _Form(study["title"], f"study {study['hash']}, form {slot}")
    if study["build"] == "draft":
        pdf.heading("Draft: not for data collection")
    pdf.text_block(IN_CLASS)
    pdf.blocks(content.paper)
    pdf.text_block(f"[  ]  {study['texts']['agree']}     Participant number: ______________")
    pdf.add_page()
    pdf.heading("What you will do")
    pdf.blocks(study["texts"]["task"] + (study["texts"]["explained"] if len(panels) > 2 else []))
    pdf.text_block(
        "How sure: 1 guessing, 2 unsure, 3 fairly sure, 4 certain; leave it empty if you cannot tell."
    )
    pdf.heading("An example")
    _pictures(pdf, content, study["example"], panels)
    for number, code in enumerate(items, 1):
        pdf.add_page()
        _item(
            pdf,
            content,
            study["items"][code],
            panels,
            concepts,
            f"Picture {number} of {len(items)}  ({code})",
        )
    return _bytes(pdf)


def _pictures(pdf: _Form, content: Content, item: dict[str, Any], panels: list[int]) -> None:
    side, top = 52.0, pdf.get_y()
    pdf.set_font("Helvetica", size=8)
    for i, panel in enumerate(panels):
        left = MARGIN + i * (side + 6)
        # As many pixels as the printer shows: enlarged here, because readers smooth small pictures.
        pdf.image(_enlarged(content.pictures[item["pictures"][panel]]), x=left, y=top, w=side, h=side)
        pdf.set_xy(left, top + side + 1)
        pdf.cell(side, 4, CAPTIONS[i])
    pdf.set_xy(MARGIN, top + side + 7)


def _enlarged(png: bytes) -> Any:
    image = Image.open(io.BytesIO(png))
    return image.resize((image.width * 8, image.height * 8), Image.Resampling.NEAREST)


def _item(
    pdf: _Form,
    content: Content,
    item: dict[str, Any],
    panels: list[int],
    concepts: list[list[str]],
    title: str,
) -> None:
    pdf.heading(title)
    _pictures(pdf, content, item, panels)
    if item["label"]:
        pdf.text_block(f"The classifier's answer: {item['label']}")
    pdf.heading("For each feature: does the classifier use it for its answer?", 10)
    pdf.set_font("Helvetica", size=9)
    first = WIDE - COLUMN * len(ANSWERS)
    pdf.cell(first, 7, "", border="B")
    for answer in ANSWERS:
        pdf.cell(COLUMN, 7, answer, border="B", align="C")
    pdf.ln()
    for _, label in concepts:
        pdf.cell(first, 8, _latin(label), border="B")
        for _ in ANSWERS:
            pdf.cell(COLUMN, 8, "[    ]", border="B", align="C")
        pdf.ln()
    pdf.ln(3)
    labels = dict(map(tuple, content.study["concepts"]))
    choice = "      ".join(f"[    ]  {labels[key]}" for key in item["pair"])
    pdf.text_block(f"Which of these two matters more to the classifier?\n{choice}")
    pdf.text_block("In your own words: what does the classifier go by?\n" + ("_" * 84 + "\n") * 2)


def instructors_key(content: Content) -> bytes:
    """What is true of every item under both truths, and what the arms are: for the instructor only."""
    study, key = content.study, content.key
    pdf = _Form("Instructor's key: do not hand out", f"study {study['hash']}, key")
    arms = ", ".join(f"{code} = {arm['name']} ({arm['shows']})" for code, arm in key["arms"].items())
    pdf.text_block(f"Arms: {arms}")
    pdf.text_block("A: by editing the image; B: planted. + used, - not used, blank: not scored.")
    pdf.text_block("Concepts: " + ", ".join(f"{i} {c}" for i, c in enumerate(key["concepts"], 1)))
    pdf.set_font("Helvetica", size=8)
    header = ["item", "answer", *(f"{i} {t}" for i in range(1, len(key["concepts"]) + 1) for t in "AB")]
    with pdf.table(
        width=WIDE, col_widths=[14, 30, *[9] * (2 * len(key["concepts"]))], line_height=4
    ) as table:
        table.row(header)
        for code in study["items"]:
            entry = key["items"][code]
            marks = [_mark(entry[f"truth_{t}"][c]) for c in key["concepts"] for t in "ab"]
            table.row([code, _latin(entry["class_name"]), *marks])
    return _bytes(pdf)


def _mark(truth: bool | None) -> str:
    return "" if truth is None else "+" if truth else "-"


def _bytes(pdf: FPDF) -> bytes:
    return bytes(pdf.output())
