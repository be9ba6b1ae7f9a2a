"""The questionnaire: the public content of a user study, its page, and the key that only the researcher has.

Nothing that a participant gets says which arm is which, which classifier a main item belongs to, or what is
true of it: arms, items and pictures go by codes that are digests with a secret, and stand in the order of
their codes. What is true of the practice pictures is in the page, as the feedback that participants get. The
key, in `private/`, has all of it.
"""

import base64
import hashlib
import html
import io
import json
import math
import random as std_random
import re
from dataclasses import dataclass
from string import Template
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from cladec_utils.user_study.design import ARMS, CONCEPTS, Slot, UserStudySpec
from cladec_utils.user_study.edits import DESCRIPTIONS, TARGET_RMS
from cladec_utils.user_study.materials.address import policy_source
from cladec_utils.user_study.materials.settings import asset
from cladec_utils.user_study.materials.stimuli import UNUSED, USED, Item, Items
from cladec_utils.user_study.schema import NOBODYS, PARTICIPANT

FORMAT, VERSION = "cladec-user-study", 1


@dataclass(frozen=True)
class Content:
    """`study` is public (study.json), `pictures` are PNG files by code, `key` is private."""

    study: dict[str, Any]
    pictures: dict[str, bytes]
    key: dict[str, Any]


def png(image: Tensor) -> bytes:
    """A PNG file of an image (C, H, W) with floats in [0, 1], one or three channels."""
    pixels = image.mul(255).round().to(torch.uint8).permute(1, 2, 0).squeeze(-1).numpy()
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def blocks(markdown: str) -> list[dict[str, Any]]:
    """A text in a small part of Markdown as blocks for the page, line by line, so that no word is lost.

    `# ` begins a heading of one line, `- ` or `* ` a point, a number as in `1. ` a paragraph; any other line
    goes on with the point or paragraph before it, and an empty line ends that.
    """
    found: list[dict[str, Any]] = []
    going_on = False  # whether the next plain line belongs to the last block
    for line in map(str.strip, markdown.splitlines()):
        mark, _, rest = line.partition(" ")
        if line and not mark.strip("#"):
            found += [{"h": rest.strip()}] if rest else []
            going_on = False
        elif mark in ("-", "*") and rest:
            if not (found and "li" in found[-1]):
                found.append({"li": []})
            found[-1]["li"].append(rest.strip())
            going_on = True
        elif line and going_on and not re.fullmatch(r"\d+[.)]", mark):
            if "li" in found[-1]:
                found[-1]["li"][-1] += f" {line}"
            else:
                found[-1]["p"] += f" {line}"
        else:
            found += [{"p": line}] if line else []
            going_on = bool(line)
    return found


def content(
    spec: UserStudySpec,
    items: Items,
    slots: list[Slot],
    settings: dict[str, str],
    texts: dict[str, str],
    build: str,
) -> Content:
    """Public study, pictures and key. `texts` are those of `settings.participants_texts`."""
    codes = _Codes(spec)
    pictures: dict[str, bytes] = {}
    main = {codes.of("item", i): item for i, item in enumerate(items.main)}
    practice = dict(sorted((codes.of("practice", i), item) for i, item in enumerate(items.practice)))
    pairs = {code: _pair(item, codes.of("pair", code)) for code, item in (main | practice).items()}
    order = codes.shuffled("x_e", "sham") if spec.shams else ["x_e"]
    arms = {codes.of("arm", arm): arm for arm in spec.arms}

    def public(code: str, item: Item) -> dict[str, Any]:
        names = [codes.picture(item.pictures[name], pictures) for name in ("x", "x_r", *order)]
        label = None if spec.planted else item.class_name
        return {"id": code, "pictures": names, "label": label, "pair": pairs.get(code)}

    study = {
        "format": FORMAT,
        "version": VERSION,
        "build": build,
        "title": settings["title"],
        "concepts": [[concept, CONCEPTS[concept].label] for concept in spec.concepts],
        "arms": {code: _panels(arms[code], order) for code in sorted(arms)},
        "slots": _coded(slots, arms, list(main)),
        "items": {code: public(code, main[code]) for code in sorted(main)},
        "practice": [public(c, i) | {"feedback": _feedback(i)} for c, i in practice.items()],
        "example": public("example", items.example),
        "post_url": settings["post_url"],
        "completion_code": settings["completion_code"],
        **_texts(texts),
    }
    study["hash"] = _digest(json.dumps(study, sort_keys=True))[:16]
    key = _key(spec, study["hash"], arms, main | practice, pairs)
    return Content(study, dict(sorted(pictures.items())), key)


def _panels(arm: str, order: list[str]) -> list[int]:
    """Which of an item's pictures an arm shows: X, X_R, and its own third one."""
    third = {"explained": "x_e", "sham": "sham"}.get(arm)
    return [0, 1] if third is None else [0, 1, 2 + order.index(third)]


def _coded(slots: list[Slot], arms: dict[str, str], items: list[str]) -> list[list[Any]]:
    """The slots in codes. Arms stand in the order of their codes, so that their order says nothing."""
    code_of = {arm: code for code, arm in arms.items()}
    rows = [[code_of[s.arm], [items[i] for i in s.order], s.rotation] for s in slots]
    ranks = [rows[i : i + len(arms)] for i in range(0, len(rows), len(arms))]
    return [row for rank in ranks for row in sorted(rank)]


class _Codes:
    """Codes that say nothing: digests with a secret made from the whole spec."""

    def __init__(self, spec: UserStudySpec) -> None:
        self.secret = _digest("private" + json.dumps(spec.to_json(), sort_keys=True))

    def of(self, *parts: object) -> str:
        return _digest(self.secret + json.dumps(parts))[:8]

    def picture(self, image: Tensor, found: dict[str, bytes]) -> str:
        content = png(image)
        code = _digest(self.secret + hashlib.sha256(content).hexdigest())[:10]
        found[code] = content
        return code

    def shuffled(self, *names: str) -> list[str]:
        return sorted(names, key=lambda name: self.of("order", name))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _pair(item: Item, seed: str) -> list[str]:
    """Two concepts to choose between: one used and one not, by truth B where there is one, else by A;
    any two where neither tells. Order and choice are random, given by the seed."""
    draw = std_random.Random(seed)
    for truth in (item.truth_b, item.truth_a):
        used, unused = ([c for c, t in truth.items() if t is value] for value in (True, False))
        if used and unused:
            pair = [draw.choice(used), draw.choice(unused)]
            break
    else:
        pair = draw.sample(list(item.truth_a), 2)
    draw.shuffle(pair)
    return pair


def _feedback(item: Item) -> dict[str, str]:
    """What participants are told about a practice picture: what is known, by construction or by editing."""
    known = {c: item.truth_a[c] if b is None else b for c, b in item.truth_b.items()}
    return {c: "used" if t else "unused" for c, t in known.items() if t is not None}


def _texts(own: dict[str, str]) -> dict[str, Any]:
    texts = json.loads(asset("texts.json"))
    checks = {name: texts.pop(name) for name in ("comprehension", "attention", "experience")}
    texts |= {name: blocks(text) for name, text in own.items()}
    return {**checks, "texts": texts}


def _key(
    spec: UserStudySpec,
    study_hash: str,
    arms: dict[str, str],
    items: dict[str, Item],
    pairs: dict[str, list[str]],
) -> dict[str, Any]:
    def entry(code: str, item: Item) -> dict[str, Any]:
        right_a, right_b = (_preferred(pairs[code], t) for t in (item.truth_a, item.truth_b))
        return {
            "image": item.image,
            "classifier": item.classifier,
            "class_name": item.class_name,
            "truth_a": item.truth_a,
            "truth_b": item.truth_b,
            "total_variation": {c: round(v, 4) for c, v in item.shift.items()},
            "edit_rms": {c: round(v, 4) for c, v in item.rms.items()},
            "planted_total_variation": {c: round(v, 4) for c, v in item.planted.items() if not math.isnan(v)},
            "pair": pairs[code],
            "pair_truth": {"a": right_a, "b": right_b},
        }

    return {
        "format": f"{FORMAT}-key",
        "version": VERSION,
        "study_hash": study_hash,
        "arms": {code: {"name": arm, "shows": ARMS[arm]} for code, arm in arms.items()},
        "concepts": list(spec.concepts),
        "rules": {"used_from": USED, "unused_to": UNUSED, "target_rms": TARGET_RMS, "edits": DESCRIPTIONS},
        "items": {code: entry(code, item) for code, item in items.items()},
        "spec": spec.to_json(),
    }


def _preferred(pair: list[str], truth: dict[str, bool | None]) -> str | None:
    """Of a pair the one that is used, if the truth tells the two apart."""
    values = [truth[c] for c in pair]
    return pair[values.index(True)] if {True, False} == set(values) else None


SCRIPTS = ("dom", "state", "steps", "forms", "views", "finish", "paper", "main")


def page(content: Content) -> str:
    """index.html for a study. The only address it may ever send to is the study's own `post_url`."""
    images = {
        code: "data:image/png;base64," + base64.b64encode(data).decode()
        for code, data in content.pictures.items()
    }
    study = json.dumps(content.study | {"images": images}, sort_keys=True, separators=(",", ":"))
    return Template(asset("questionnaire.html")).substitute(
        title=html.escape(content.study["title"]),
        connect=policy_source(content.study["post_url"]) or "'none'",
        style=asset("questionnaire.css").strip(),
        # In a script element `<` could begin an end tag; the other two are line ends to old parsers.
        study=study.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"),
        names=f"{{ participant: /{PARTICIPANT}/, nobodys: /{NOBODYS}/ }}",
        script="\n".join(asset(f"{name}.js").strip() for name in SCRIPTS),
    )
