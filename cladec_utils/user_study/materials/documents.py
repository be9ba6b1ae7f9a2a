"""Everything around a questionnaire: read-me, documents, codebook, tables, and files for hosting it."""

import hashlib
import json
import shlex
from string import Template
from typing import Any

import pandas as pd

from cladec_utils.claims.wording import literal
from cladec_utils.study.explainers import ClaDecSpec
from cladec_utils.user_study.design import ARMS, UserStudySpec, compared, profile_of
from cladec_utils.user_study.edits import TARGET_RMS
from cladec_utils.user_study.materials.questionnaire import Content
from cladec_utils.user_study.materials.settings import asset, fill, unfilled
from cladec_utils.user_study.materials.stimuli import UNUSED, USED
from cladec_utils.user_study.rules import EXCLUSIONS, SMALLEST
from cladec_utils.user_study.schema import RESPONSE_LIMIT


def all_documents(spec: UserStudySpec, content: Content, settings: dict[str, str]) -> dict[str, str]:
    """All of it by place in the study's folder, settings filled in where they are given.

    A launch build has nothing for Prolific while `page_url` or `completion_code` is missing.
    """
    facts = _facts(spec, content)

    def text(name: str) -> str:
        return fill(Template(asset(f"documents/{name}.md")).substitute(facts), settings)

    found = {
        "README.md": text("README"),
        "codebook.md": codebook(content.study),
        "counterbalance.csv": counterbalance(content.study),
        "stimuli/manifest.json": manifest(content),
        "documents/ethics_checklist.md": text("ethics_checklist"),
        "documents/preregistration.md": text("preregistration"),
        "exports/hosting.md": text("hosting"),
        "exports/collector.py": asset("collector.py"),
        "exports/prolific.md": text("prolific"),
    }
    if content.study["build"] == "launch" and unfilled(found["exports/prolific.md"]):
        del found["exports/prolific.md"]
    return found


def command(spec: UserStudySpec) -> str:
    """The command line that generates this study, but for `--launch`, `--out` and `--documents`.

    The profile is the kit's that trains as these were; without one, as with a file of the user's, its place
    is held by PROFILE.
    """
    first = spec.explained[0]
    c, data = first.classifier, first.classifier.data
    options = {
        "profile": profile_of(first.to_json()) or "PROFILE",
        "dataset": None if len(spec.explained) > 1 else data.path or data.dataset,
        "image-size": data.image_size if data.path else None,
        "architecture": c.architecture,
        "layer": first.layer,
        "alpha": f"{first.alpha:g}",
        "neurons": ",".join(map(str, first.neurons)) if first.neurons else None,
        "seed": first.seed,
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
        "against": compared(spec.arms),
        "arms": "; ".join(f"`{arm}` ({ARMS[arm]})" for arm in spec.arms),
        "groups": len(spec.arms),
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
        "limit": f"{RESPONSE_LIMIT:,}",
    }


def _explained(spec: ClaDecSpec) -> str:
    c = spec.classifier
    on, layer = literal(c.data.dataset), literal(spec.layer)
    return f"{c.architecture} on {on}, layer {layer}, alpha {spec.alpha:g}, seed {spec.seed}"


def counterbalance(study: dict[str, Any]) -> str:
    """The table as CSV: slot, arm (its code), position, item (its code), rotation of the concepts."""
    rows = [
        (slot, arm, position, item, rotation)
        for slot, (arm, items, rotation) in enumerate(study["slots"])
        for position, item in enumerate(items, 1)
    ]
    table = pd.DataFrame(rows, columns=["slot", "arm", "position", "item", "rotation"])
    return table.to_csv(index=False, lineterminator="\n")


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
| `participant`, `session` | the platform's numbers, with a checksum at the end where they have more than 64 \
characters or others than a to z, A to Z, 0 to 9, - and _; or a random one |
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
