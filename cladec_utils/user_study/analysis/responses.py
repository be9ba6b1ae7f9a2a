"""Read a folder of responses: every file is either a sound response to this study or set aside by name.

No file of the researcher is moved or changed, and no file stops the others from being read.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import best_match

from cladec_utils.engine.paths import read_text
from cladec_utils.errors import CladecError, note
from cladec_utils.user_study.analysis.persons import of_people, told_apart, unnamed, without_duplicates
from cladec_utils.user_study.schema import (
    RESPONSE_FORMAT,
    RESPONSE_LIMIT,
    RESPONSE_VERSION,
    RESPONSES,
    is_placeholder,
    response_schema,
)


@dataclass(frozen=True)
class Launched:
    """A generated study as it lies in its folder: public content and key."""

    folder: Path
    study: dict[str, Any]
    key: dict[str, Any]


@dataclass(frozen=True)
class Responses:
    """`valid` responses in the order of their file names, `set_aside` (file, reason), and whether the
    respondents are `simulated`."""

    valid: list[dict[str, Any]]
    set_aside: pd.DataFrame
    simulated: bool


class _UnsoundError(Exception):
    """Why a file is no response to this study."""


# JSON Schema takes 3.0 for an integer; what indexes a list must be one.
_Validator = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int),
)
SEPARATE = "save each as a file of its own"
LARGEST = 2**53  # what a page's own numbers cannot exceed


STUDY_PARTS = dict.fromkeys(("hash", "build"), str) | dict.fromkeys(("arms", "items"), dict)
STUDY_PARTS |= dict.fromkeys(
    ("concepts", "slots", "practice", "comprehension", "attention", "experience"), list
)
KEY_PARTS = {"study_hash": str, "concepts": list} | dict.fromkeys(("arms", "items", "spec"), dict)
"""What the analysis reads of a generated study, none of it empty."""


def open_generated(folder: Path) -> Launched:
    """The study in `folder`; raises CladecError if it is not whole or no study, or has the key of another."""
    found = []
    for name, parts in (("study.json", STUDY_PARTS), ("private/key.json", KEY_PARTS)):
        try:
            found.append(_whole(json.loads(read_text(folder / name)), parts))
        except (OSError, ValueError, RecursionError) as error:
            raise CladecError(
                f"{folder / name} cannot be read ({error}); generate the study first, or bring back the "
                "former file."
            ) from error
    study, key = found
    if study.get("hash") != key.get("study_hash"):
        raise CladecError(f"study.json and private/key.json in {folder} are of different studies.")
    return Launched(folder, study, key)


def _whole(found: object, parts: Mapping[str, type]) -> dict[str, Any]:
    """What was read, if it is an object with these parts; raises ValueError for others."""
    if not isinstance(found, dict):
        raise ValueError(f"it holds a {type(found).__name__}, not an object of a study")
    for name, kind in parts.items():
        if not isinstance(found.get(name), kind) or not found[name]:
            raise ValueError(f"its {name!r} is missing, or not what the kit writes there")
    return found


def read_responses(launched: Launched, folder: Path | None = None) -> Responses:
    """All files of `folder` (None: the study's `responses`), subfolders included, hidden ones left out.

    Where there are responses of people, simulated ones are set aside. Raises CladecError if there is no such
    folder.
    """
    folder = folder or launched.folder / RESPONSES
    if not folder.is_dir():
        raise CladecError(f"There is no folder {folder}; put the participants' JSON files there.")
    validator = _Validator(response_schema(launched.study))
    sound: list[tuple[str, dict[str, Any], str]] = []
    aside: list[tuple[str, str]] = []
    for path in _files(folder):
        # Names need not be UTF-8; what cannot be decoded is shown as \xff.
        name = _plain(os.fsencode(path.relative_to(folder)).decode("utf-8", "backslashreplace"))
        try:
            content = _content(path)
            sound.append(
                (name, _checked(content, launched.study, validator), hashlib.sha256(content).hexdigest())
            )
        except _UnsoundError as error:
            aside.append((name, str(error)))
    simulated = all(response["simulated"] for _, response, _ in sound)
    if not simulated:
        sound = list(of_people(sound, aside))
    valid = list(without_duplicates(list(told_apart(sound)), aside))
    if back := sum(_moment(response, "finished") < _moment(response, "started") for response in valid):
        note(
            f"{back} responses were finished before they were started, as the clock was set back meanwhile; "
            "they are kept, as times of pages do not depend on it."
        )
    table = pd.DataFrame([(name, _short(why)) for name, why in sorted(aside)], columns=["file", "reason"])
    return Responses(valid, table, simulated and bool(valid))


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir() and not path.is_symlink() and path.suffix != ".json":
            yield from _files(path)
        else:
            yield path


def _content(path: Path) -> bytes:
    if path.suffix.lower() != ".json":
        raise _UnsoundError("not a .json file; the JSON file of the last page is needed")
    try:
        if not path.is_file():
            raise _UnsoundError("not a file that can be read")
        size = path.stat().st_size
        if size == 0:
            raise _UnsoundError("the file is empty")
        if size > RESPONSE_LIMIT:
            raise _UnsoundError(f"the file has {size:,} bytes, more than any response ({RESPONSE_LIMIT:,})")
        return path.read_bytes()
    except OSError as error:
        raise _UnsoundError(f"it cannot be read: {error.strerror}") from error


def _checked(content: bytes, study: dict[str, Any], validator: Draft202012Validator) -> dict[str, Any]:
    response = _parsed(content)
    if isinstance(response, list) and any(isinstance(r, dict) and r.get("format") for r in response):
        raise _UnsoundError(f"a list of {len(response)} responses; {SEPARATE}")
    if not isinstance(response, dict) or response.get("format") != RESPONSE_FORMAT:
        raise _UnsoundError("not a response of a user study")
    if response.get("version") != RESPONSE_VERSION:
        raise _UnsoundError(
            f"written in version {response.get('version')!r} of the format, not {RESPONSE_VERSION}"
        )
    if response.get("study_hash") != study["hash"]:
        raise _UnsoundError(f"of another study or another build of it ({response.get('study_hash')!r})")
    if response.get("build") != study["build"]:
        raise _UnsoundError(f"from a {response.get('build')!r} build; this is the {study['build']} build")
    items = response.get("items")
    shown = len(study["slots"][0][1])
    if isinstance(items, list) and len(items) < shown:
        raise _UnsoundError(f"partial: {len(items)} of {shown} pictures were judged")
    if "finished" in response and response["finished"] is None:
        raise _UnsoundError("partial: the participant did not reach the last page")
    try:
        error = best_match(validator.iter_errors(response))
    except RecursionError:
        raise _UnsoundError("not a response: nested too deeply") from None
    if error is not None:
        raise _UnsoundError(f"{error.json_path.removeprefix('$.')}: {_short(error.message)}")
    _check_consistency(response, study)
    return _named(response)


def _named(response: dict[str, Any]) -> dict[str, Any]:
    """The response under a name of its own if it has only a placeholder, which all others would have, too."""
    return unnamed(response) if is_placeholder(response["participant"]) else response


def _parsed(content: bytes) -> Any:
    def refuse(constant: str) -> None:
        raise _UnsoundError(f"not valid JSON: it holds {constant}")

    def number(text: str) -> float:
        value = float(text) if set(text) & set(".eE") else int(text)
        if abs(value) > LARGEST:
            raise _UnsoundError(f"not valid: the number {_short(text)} is too large")
        return value

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise _UnsoundError("not valid: a field is there twice")
        return found

    try:
        text = content.decode("utf-8").lstrip("\ufeff")  # some editors put marks at the beginning
        found = json.loads(
            text, parse_constant=refuse, parse_float=number, parse_int=number, object_pairs_hook=once
        )
        json.dumps(found, ensure_ascii=False).encode()
        return found
    except UnicodeDecodeError:
        raise _UnsoundError("not a text file (UTF-8)") from None
    except UnicodeEncodeError:
        raise _UnsoundError("it holds half a character (a lone surrogate)") from None
    except RecursionError:
        raise _UnsoundError("not a response: nested too deeply") from None
    except ValueError as error:
        raise _UnsoundError(_no_json(error, text)) from None


def _no_json(error: ValueError, text: str) -> str:
    if getattr(error, "msg", "") == "Extra data" and f'"{RESPONSE_FORMAT}"' in text[error.pos :]:
        return f"several responses, one after the other; {SEPARATE}"
    return f"not valid JSON, perhaps cut off: {error}"


def _short(message: str) -> str:
    message = _plain(" ".join(message.split()))
    return message if len(message) <= 160 else f"{message[:100]} ... {message[-55:]}"


def _plain(text: str) -> str:
    """The text as it can be printed: control characters from outside could rewrite the terminal's line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _moment(response: dict[str, Any], which: str) -> datetime:
    return datetime.fromisoformat(response[which])


def _check_consistency(response: dict[str, Any], study: dict[str, Any]) -> None:
    """What a schema cannot say."""
    arm, order, _ = study["slots"][response["slot"]]
    if response["arm"] != arm:
        raise _UnsoundError(f"arm {response['arm']} is not that of slot {response['slot']}")
    if [item["item"] for item in response["items"]] != order:
        raise _UnsoundError(f"the pictures are not those of slot {response['slot']} in their order")
    try:
        _moment(response, "started"), _moment(response, "finished")
    except ValueError:
        raise _UnsoundError("started or finished is no date that exists") from None
    for item in response["items"]:
        if item["choice"] not in study["items"][item["item"]]["pair"]:
            raise _UnsoundError(f"picture {item['item']}: the choice is none of the two concepts")
        for concept, given in item["answers"].items():
            if (given["confidence"] is None) != (given["answer"] == "unknown"):
                raise _UnsoundError(
                    f"picture {item['item']}: {concept} needs a confidence unless it is unknown"
                )
