"""What only the researcher knows, settings and own words, and filling it into the texts of a user study.

Texts have placeholders such as [[contact]]; anything in double brackets is one. A draft shows those that
are unfilled as they stand; a launch build fails while there is one.
"""

import json
import re
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import Any

from cladec_utils.engine.paths import read_text
from cladec_utils.errors import CladecError, choose, printable
from cladec_utils.user_study.materials.address import host_shown, is_address, is_blocked, sendable

REQUIRED = {
    "researcher": "who is responsible, by name",
    "institution": "where they work",
    "contact": "an address for questions and withdrawal",
    "ethics_reference": "the board and the number of its decision",
    "duration": "how long it takes, such as 'about 15 minutes'",
    "payment": "what participants get, in a sentence",
    "data_storage": "how long the data are kept and who sees them, in a sentence",
    "withdrawal": "how data are withdrawn afterwards, in a sentence",
    "sample_size": "participants per arm (notebook 08 has a planning table)",
}
OPTIONAL = {
    "title": "what the page is called",
    "page_url": "where the page will be hosted, for the exports",
    "post_url": "where the page sends responses; empty: participants download a file",
    "completion_code": "shown on the last page; empty: none",
}
DEFAULTS = {"title": "How does a classifier see?"}
NAME = "settings.json"
DOCUMENTS = ("consent", "debriefing")
"""Texts for participants that the researcher may replace: the first page and the last."""
_PLACEHOLDER = re.compile(r"\[\[([^\[\]]+)\]\]")


def blank() -> dict[str, str]:
    """All settings, unfilled but for the defaults."""
    return {**dict.fromkeys((*REQUIRED, *OPTIONAL), ""), **DEFAULTS}


def read(path: Path) -> dict[str, str]:
    """The settings in a JSON file; raises CladecError for an unreadable or empty file, a name that is unknown
    or there twice, a value that is no text, and an address that is not http(s)."""
    try:
        text = read_text(path)
        given = json.loads(text, object_pairs_hook=_once)
    except UnicodeDecodeError as error:
        raise CladecError(f"{path} is not UTF-8 text; save it as UTF-8, what you filled in stays.") from error
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, json.JSONDecodeError) and not text.strip():
            raise CladecError(f"{path} is empty; delete it to get a new one, to be filled in.") from error
        raise CladecError(
            f"{path} cannot be read as settings: {error}. Mend that place; where nothing is filled in yet, "
            "you can delete the file to get a new one."
        ) from error
    if not isinstance(given, dict):
        raise CladecError(
            f'{path} must hold one JSON object of settings, {{"name": "text", ...}}, and nothing else.'
        )
    for name, value in given.items():
        choose(name, blank(), f"setting in {path.name}")
        if not isinstance(value, str):
            raise CladecError(f"Setting {name!r} in {path} is {value!r}; it must be text in quotes.")
    found = blank() | {name: printable(value.strip()) for name, value in given.items()}
    for name in ("post_url", "page_url"):
        if found[name] and not is_address(found[name]):
            raise CladecError(
                f"Setting {name!r} is {found[name]!r}; it must begin with https:// (or http://) and be an "
                "address without spaces, such as https://example.org/answers."
            )
    if not found["title"]:
        raise CladecError(
            f"Setting 'title' in {path} is empty; write the heading of the page, or take it out."
        )
    return found | {"post_url": _post_url(found)}


def _post_url(found: dict[str, str]) -> str:
    address = found["post_url"]
    try:
        ready = sendable(address) if address else ""
    except ValueError as error:
        raise CladecError(f"Setting 'post_url' is {address!r}; no page can send there: {error}.") from error
    if is_blocked(ready, found["page_url"]):
        raise CladecError(
            f"Setting 'post_url' is {address!r}, but 'page_url' begins with https://, and browsers let such "
            "a page send to https:// only; put the collector behind HTTPS, too."
        )
    return ready


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if twice := [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]:
        raise ValueError(f"{twice[0]!r} is there twice")
    return dict(pairs)


def asset(name: str) -> str:
    """A text file of the folder `page`."""
    return (resources.files(__package__) / "page" / name).read_text("utf-8")


def own_documents(folder: Path | None) -> dict[str, str]:
    """The texts of DOCUMENTS that a folder has as `<name>.md`, none for None; raises CladecError if it has
    none of them, or one that is empty or not UTF-8."""
    if folder is None:
        return {}
    found = {n: folder / f"{n}.md" for n in DOCUMENTS if (folder / f"{n}.md").is_file()}
    if not found:
        raise CladecError(
            f"{folder} has none of {', '.join(f'{n}.md' for n in DOCUMENTS)}; put one there, or leave it out."
        )
    try:
        texts = {name: read_text(path) for name, path in found.items()}
    except ValueError as error:
        raise CladecError(f"A document in {folder} is not UTF-8 text: {error}.") from error
    for name, text in texts.items():
        if not text.strip():
            raise CladecError(f"{found[name]} is empty; write your words, or delete it for the kit's.")
    return texts


def participants_texts(settings: dict[str, str], own: dict[str, str]) -> dict[str, str]:
    """The texts of DOCUMENTS, the researcher's own where given, with settings filled in."""
    return {name: fill(own.get(name) or asset(f"documents/{name}.md"), settings) for name in DOCUMENTS}


def fill(text: str, settings: dict[str, str]) -> str:
    """Put the filled settings into a text's placeholders, and for [[sending]] where answers go at the end;
    unfilled ones stay."""
    values = {**settings, "sending": _sending(settings)}
    return _PLACEHOLDER.sub(lambda m: values.get(m[1].strip()) or m[0], text)


def _sending(settings: dict[str, str]) -> str:
    if settings["post_url"]:
        return f"when you press Finish, your answers are sent to {host_shown(settings['post_url'])}."
    return "your answers are not sent; you can download them as a file and hand it in."


def unfilled(*texts: str) -> list[str]:
    """The placeholders left in texts, each once, sorted."""
    return sorted({name.strip() for text in texts for name in _PLACEHOLDER.findall(text)})


def check_filled(settings: dict[str, str], *texts: str) -> None:
    """Raises CladecError that names every required setting and every placeholder still unfilled."""
    empty = {name for name in REQUIRED if not settings[name]} | set(unfilled(*texts))
    if empty:
        lines = "; ".join(f"{n} ({REQUIRED.get(n, 'a placeholder in your text')})" for n in sorted(empty))
        raise CladecError(f"This study cannot be launched yet. Fill in, in {NAME}: {lines}.")
