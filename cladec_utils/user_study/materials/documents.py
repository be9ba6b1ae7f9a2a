"""Everything to read around a user study: codebook, ethics checklist, preregistration, read-me, tables."""

import csv
import hashlib
import io
import json
import shlex
from string import Template
from typing import Any

from cladec_utils.study.explainers import ClaDecSpec
from cladec_utils.user_study.design import ARMS, UserStudySpec, profile_of
from cladec_utils.user_study.materials.edits import TARGET_RMS
from cladec_utils.user_study.materials.questionnaire import Content, asset
from cladec_utils.user_study.materials.settings import fill, unfilled
from cladec_utils.user_study.materials.stimuli import UNUSED, USED
from cladec_utils.user_study.rules import EXCLUSIONS, SMALLEST
from cladec_utils.user_study.schema import RESPONSE_LIMIT


def papers(spec: UserStudySpec, content: Content, settings: dict[str, str]) -> dict[str, str]:
    """Read-me, ethics checklist and preregistration by file name, numbers and settings filled in."""
    facts = _facts(spec, content)
    found = {}
    for name in ("ethics_checklist", "preregistration", "README"):
        text = Template(asset(f"documents/{name}.md")).substitute(facts)
        found["README.md" if name == "README" else f"documents/{name}.md"] = fill(text, settings)
    return found


def command(spec: UserStudySpec) -> str:
    """The command line that generates this study, but for `--launch`, `--out` and `--documents`.

    The profile is the one whose classifiers are trained like these; without one its place is held by
    PROFILE.
    """
    first = spec.explained[0]
    c, data = first.classifier, first.classifier.data
    options = {
        "profile": profile_of(c.train.to_json()) or "PROFILE",
        "dataset": None if len(spec.explained) > 1 else data.path or data.dataset,
        "image-size": data.image_size if data.path else None,
        "architecture": c.architecture,
        "layers": first.layer,
        "alpha": f"{first.alpha:g}",
        "neurons": ",".join(map(str, first.neurons)) if first.neurons else None,
        "seeds": first.seed,
        "images": spec.images,
        "shown": spec.shown,
        "arms": ",".join(spec.arms),
        "concepts": ",".join(spec.concepts),
        "study-seed": spec.seed,
    }
    given = [f"--{name} {shlex.quote(str(v))}" for name, v in options.items() if v is not None]
    return " ".join(["cladec user-study generate", *given])


def _facts(spec: UserStudySpec, content: Content) -> dict[str, Any]:
    items = [entry for code, entry in content.key["items"].items() if code in content.study["items"]]
    truths = [t for entry in items for t in entry["truth_a"].values()]
    factors = [
        e.classifier.data.dataset.removeprefix("planted-").replace("-", " and ") for e in spec.explained
    ]
    by_construction = "; ".join(f"classifier {k + 1} uses {names}" for k, names in enumerate(factors))
    untrained = "; one group's third picture comes from an untrained classifier"
    return {
        "build": content.study["build"],
        "command": command(spec),
        "hash": content.study["hash"],
        "arms": "; ".join(f"`{arm}` ({ARMS[arm]})" for arm in spec.arms),
        "items": len(items),
        "shown": spec.shown,
        "slots": len(content.study["slots"]),
        "explained": "; ".join(_explained(e) for e in spec.explained),
        "concepts": ", ".join(spec.concepts),
        "target": TARGET_RMS,
        "used": USED,
        "unused": UNUSED,
        "judgements": len(truths),
        "scored_a": sum(t is not None for t in truths),
        "used_a": sum(t is True for t in truths),
        "truth_b": by_construction + "." if spec.planted else "none: the data are not planted.",
        "exclusions": " ".join(f"({i}) {rule}." for i, rule in enumerate(EXCLUSIONS.values(), 1)),
        "smallest": SMALLEST,
        "sham_note": untrained if spec.shams else "",
    }


def _explained(spec: ClaDecSpec) -> str:
    c = spec.classifier
    return f"{c.architecture} on {c.data.dataset}, layer {spec.layer}, alpha {spec.alpha:g}, seed {spec.seed}"


def counterbalance(study: dict[str, Any]) -> str:
    """The table as CSV: slot, arm (its code), position, item (its code), rotation of the concepts."""
    rows = [
        [slot, arm, position, item, rotation]
        for slot, (arm, items, rotation) in enumerate(study["slots"])
        for position, item in enumerate(items, 1)
    ]
    return _csv([["slot", "arm", "position", "item", "rotation"], *rows])


def _csv(rows: list[list[Any]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()


def codebook(study: dict[str, Any]) -> str:
    """What every field of a response means, in Markdown."""
    concepts = "\n".join(f"| `{key}` | {label} |" for key, label in study["concepts"])
    checks = "\n".join(
        f"| `attention.{c['id']}` | {c['text']} Right: `{c['right']}` |" for c in study["attention"]
    )
    questions = "\n".join(
        f"| `comprehension[].{q['id']}` | {q['text']} Right: `{q['right']}` |" for q in study["comprehension"]
    )
    return f"""# Codebook

One JSON file per participant, valid under `response.schema.json`. Times are UTC, durations seconds.

| field | meaning |
|---|---|
| `study_hash`, `build` | which study, and whether it was the `launch` build; others are set aside |
| `simulated` | true in files made by the kit to test the analysis, never in a participant's |
| `participant`, `session` | the platform's numbers, or a random one |
| `slot`, `arm` | line of `counterbalance.csv` and the code of the group (its meaning: `private/key.json`) |
| `consented`, `started`, `finished` | consent, the moment it was given, the last moment |
| `reloads`, `storage` | how often the page was loaded again; `memory` where the browser kept nothing |
{questions}
{checks}
| `items[]`, `practice[]` | judgements in the order in which they were made |
| `.answers.<concept>.answer` | `used`, `unused`, or `unknown` (cannot tell) |
| `.answers.<concept>.confidence` | 1 guessing, 2 unsure, 3 fairly sure, 4 certain; null after `unknown` |
| `.choice` | of two concepts the one said to matter more |
| `.text` | the participant's own words |
| `.seconds`, `.hidden_seconds` | time on the page, and how much of it the page was hidden |
| `about` | experience with machine learning, comments |

| concept | asked as |
|---|---|
{concepts}
"""


def manifest(content: Content) -> str:
    """The stimuli with sizes and checksums, as JSON."""
    files = {
        f"{code}.png": {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for code, data in content.pictures.items()
    }
    return json.dumps({"study_hash": content.study["hash"], "files": files}, indent=1) + "\n"


MTURK_LIMIT = 65_535  # bytes of a question's XML
_MTURK_HTML = """<?xml version="1.0" encoding="UTF-8"?>
<HTMLQuestion xmlns="http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2011-11-11/HTMLQuestion.xsd">
<HTMLContent><![CDATA[
{page}
]]></HTMLContent>
<FrameHeight>0</FrameHeight>
</HTMLQuestion>
"""
_MTURK_EXTERNAL = """<?xml version="1.0" encoding="UTF-8"?>
<ExternalQuestion xmlns="http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2006-07-14/ExternalQuestion.xsd">
<ExternalURL>{url}</ExternalURL>
<FrameHeight>0</FrameHeight>
</ExternalQuestion>
"""


def mturk_question(page: str, url: str) -> tuple[str, str]:
    """The question's XML and its kind: the page itself where it is small enough, else its address."""
    whole = _MTURK_HTML.format(page=page.replace("]]>", "]]]]><![CDATA[>"))
    if len(whole.encode()) <= MTURK_LIMIT:
        return whole, "an HTMLQuestion with the whole page in it"
    escaped = url.replace("&", "&amp;").replace("<", "&lt;")
    return _MTURK_EXTERNAL.format(url=escaped), "an ExternalQuestion that names the page's address"


def exports(content: Content, page: str, settings: dict[str, str]) -> dict[str, str]:
    """Files for `exports/` by name: collector, hosting, Prolific, Mechanical Turk.

    A launch build leaves out a platform whose settings (`page_url`, `completion_code`) are not filled in.
    """
    url = settings["page_url"] or "[[page_url]]"
    question, kind = mturk_question(page, url)
    external = kind.startswith("an External")
    facts = {
        "url": url,
        "code": settings["completion_code"] or "[[completion_code]]",
        "arms": len(content.study["arms"]),
        "kind": kind,
        "size": f"{len(page.encode()):,}",
        "limit": f"{MTURK_LIMIT:,}",
        "advice": f"Host the page over HTTPS at {url}." if external else "",
        "sites": "www.mturk.com and workersandbox.mturk.com",
    }
    found = {"mturk_question.xml": question, "collector.py": asset("collector.py")}
    for name in ("prolific", "mturk"):
        found[f"{name}.md"] = fill(Template(asset(f"documents/{name}.md")).substitute(facts), settings)
    hosting = Template(asset("documents/hosting.md")).substitute(limit=f"{RESPONSE_LIMIT:,}")
    if content.study["build"] == "launch":
        # Of what is no prose only the address is filled in; a script may well hold two brackets.
        filled = {"mturk_question.xml": url if external else "", "collector.py": ""}
        found = {name: text for name, text in found.items() if not unfilled(filled.get(name, text))}
    return {**found, "hosting.md": hosting}
