"""Who is who among sound responses: people and simulated ones, numbers that several have, duplicates."""

import functools
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from cladec_utils.errors import note
from cladec_utils.user_study.schema import looks_shared

UNNAMED = "unnamed-"
"""Begins the name that is given to who has none: the address had its panel's placeholder unfilled."""
Sound = tuple[str, dict[str, Any], str]
"""A file's name, the response in it and the sha256 of its content."""


def unnamed(response: dict[str, Any]) -> dict[str, Any]:
    """The response under a name of its own. One session is one person: its beginning, to a thousandth of a
    second, and its slot."""
    session = json.dumps([response[k] for k in ("started", "slot", "session", "participant")])
    return response | {"participant": UNNAMED + hashlib.sha256(session.encode()).hexdigest()[:10]}


def told_apart(
    sound: Sequence[Sound],
) -> Iterator[Sound]:
    """People who have one number, as their links had only a word for it: each gets a name of its own."""
    found = Counter(r["participant"] for _, r, _ in sound if looks_shared(r["participant"]))
    shared = [number for number, count in found.items() if count > 1 and _several_people(sound, number)]
    for number in shared:
        note(
            f"{found[number]} responses carry the number {number!r}, which looks like a placeholder, but "
            "differ in their slots, starts and answers: they are taken for those of different people."
        )
    for name, response, digest in sound:
        yield name, unnamed(response) if response["participant"] in shared else response, digest


def _several_people(sound: Sequence[Sound], number: str) -> bool:
    """Whether responses with one number differ in slot, in start and in what was answered."""
    mine = [response for _, response, _ in sound if response["participant"] == number]
    parts = ([r["slot"] for r in mine], [r["started"] for r in mine], [json.dumps(r["items"]) for r in mine])
    return all(len(set(part)) > 1 for part in parts)


def without_duplicates(sound: Sequence[Sound], aside: list[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    """Of one participant's responses the one that was finished first; the others are set aside."""
    kept: dict[str, tuple[str, str]] = {}
    several = functools.cache(lambda number: _several_people(sound, number))
    for name, response, digest in sorted(sound, key=lambda s: (s[1]["finished"], s[0])):
        first = kept.setdefault(response["participant"], (name, digest))
        if first[0] != name:
            if first[1] == digest:
                reason = f"a copy of {first[0]}"
            else:
                other = " (perhaps another person)" * several(response["participant"])
                reason = f"the same participant finished before: {first[0]}{other}"
            aside.append((name, f"duplicate: {reason}"))
    names = {name for name, _ in kept.values()}
    yield from (response for name, response, _ in sound if name in names)


def of_people(sound: Sequence[Sound], aside: list[tuple[str, str]]) -> Iterator[Sound]:
    """Responses of people; simulated ones beside them are set aside."""
    for name, response, digest in sound:
        if response["simulated"]:
            aside.append((name, "simulated, made to test the analysis; the others are people's"))
        else:
            yield name, response, digest
