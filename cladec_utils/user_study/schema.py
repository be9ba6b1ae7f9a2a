"""The JSON schema of a response to one study: what the page writes, and nothing else."""

import re
from typing import Any

_OF_PEOPLE = "prolific|participant|respondent|panell?ist|worker|subject|sona|external"
_NUMBER = "p?id|rid|uu?id|guid|number|no|nr|code|ref(erence)?"
PARTICIPANT = f"^(({_OF_PEOPLE})({_NUMBER})|participant|respondent|subject)$"
"""What a part of the address is called that says who takes part, in small letters and digits alone."""
_OF_PANELS = f"{_OF_PEOPLE}|panel|user|person|member|assignment|hit|session|study|survey|response"
_OF_OTHERS = "resp|mturk(worker)?|amazon(worker)?|cint|lucid|unique|transaction|click|sample"  # may be names
_CALLED = f"{_NUMBER}|name|token|key"
NOBODYS = (
    f"^((e?field)?(your|my|the|insert|enter)*(({_OF_PANELS})({_CALLED})?|({_OF_OTHERS})({_CALLED})|{_CALLED})"
    "(value|label)?(notavailable|here)?"
    "|undefined|null|none|nan|na|not(available|applicable)|unknown|missing|placeholder|anonymous|x{2,})$"
)
"""What a panel calls its numbers, and a program what is missing: nobody's number, but an address unfilled."""


_WORDS = (
    "prolific|participants?|respondent|resp|panell?ist|panel|worker|subject|sona|external|mturk|amazon|cint|lucid"
    "|user|person|member|assignment|session|study|survey|sample|unique|random|click|id|pid|rid|uid|guid|uuid"
    "|number|code|ref|reference|value|label|name|token|key|hash|email|mail|link|url|field|your|my|the|here|insert"
    "|enter|test|tester|testing|preview|mode|demo|example|guest|anon|anonymous|tbd|tba|todo|true|false|error|empty"
    "|nil|default|dummy|foo|bar|abc|xyz"
)
"""Of what those are made whom several people have in common, though a person might be called so."""


def looks_shared(participant: str) -> bool:
    """Whether a number is one or more words for what a number is, or is not: RESPID, mturk_worker_id, test.
    With that alone nobody's answers are told apart: somebody may have typed it."""
    return bool(re.fullmatch(f"({_WORDS})+", re.sub(r"[\W_]", "", participant.lower())))


def is_placeholder(participant: str) -> bool:
    """Whether what stands for a participant's number, brackets gone, is the name of one."""
    bare = re.sub(r"[\W_]", "", participant.lower())
    return not bare or bool(re.search(NOBODYS, bare))


ANSWERS = ("used", "unused", "unknown")
RESPONSE_FORMAT, RESPONSE_VERSION = "cladec-user-study-response", 1


def response_schema(study: dict[str, Any]) -> dict[str, Any]:
    """The schema (JSON Schema 2020-12) of responses to a study, given its public content."""
    shown = len(study["slots"][0][1])
    text = {"type": "string", "maxLength": 1000}
    # To Python `$` is also the place before a last line break, hence what follows it.
    name = {"type": "string", "pattern": r"^[A-Za-z0-9_-]{0,64}$(?!\n)"}
    moment = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$(?!\n)"}
    practice = [item["id"] for item in study["practice"]]
    fields = {
        "format": {"const": RESPONSE_FORMAT},
        "version": {"const": RESPONSE_VERSION},
        "study_hash": {"const": study["hash"]},
        "build": {"enum": ["draft", "launch"]},
        "simulated": {"type": "boolean"},
        "participant": name | {"minLength": 1},
        "session": name,
        "slot": {"type": "integer", "minimum": 0, "maximum": len(study["slots"]) - 1},
        "arm": {"enum": list(study["arms"])},
        "consented": {"const": True},
        "started": moment,
        "finished": moment,
        "reloads": {"type": "integer", "minimum": 0},
        "storage": {"enum": ["kept", "memory"]},
        "comprehension": {
            "type": "array",
            "minItems": 1,
            "maxItems": 2,
            "items": {"type": "object", "additionalProperties": text},
        },
        "attention": _object({check["id"]: {"enum": list(ANSWERS)} for check in study["attention"]}),
        "practice": _judgements(study, practice, len(practice)),
        "items": _judgements(study, list(study["items"]), shown),
        "about": _object({
            "experience": {"enum": [key for key, _ in study["experience"]]},
            "comments": text,
        }),
    }  # fmt: skip
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_object(fields)}


def _object(fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def _judgements(study: dict[str, Any], items: list[str], count: int) -> dict[str, Any]:
    concepts = [key for key, _ in study["concepts"]]
    answer = _object({
        "answer": {"enum": list(ANSWERS)},
        "confidence": {"type": ["integer", "null"], "minimum": 1, "maximum": 4},
    })  # fmt: skip
    seconds = {"type": "number", "minimum": 0}
    fields = {
        "item": {"enum": items},
        "answers": _object(dict.fromkeys(concepts, answer)),
        "choice": {"enum": concepts},
        "text": {"type": "string", "maxLength": 500},
        "seconds": seconds,
        "hidden_seconds": seconds,
    }
    return {"type": "array", "minItems": count, "maxItems": count, "items": _object(fields)}


RESPONSE_LIMIT = 262_144  # bytes; a response with 48 items and long texts has about 60,000


FOLDER, CHECKSUMS, RESPONSES = "user_study", "checksums.json", "responses"
