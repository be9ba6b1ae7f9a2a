"""Simulated respondents: to test the pipeline and to plan sample sizes, never as evidence.

The model is that of the analysis' assumptions and a little worse: a participant, an item, and an item's
response to the treatment each shift the log-odds of a correct answer. How often somebody says "cannot tell"
has nothing to do with what they know.
"""

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import optimize, special

from cladec_utils.engine.store import write_text
from cladec_utils.errors import CladecError
from cladec_utils.user_study.analysis.responses import Launched
from cladec_utils.user_study.schema import RESPONSE_FORMAT, RESPONSE_VERSION

MARK = "SIMULATED RESPONDENTS"
_START = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
CARELESS = 0.04  # share of simulated participants who fail the checks
CANNOT_TELL = 0.2  # share of judgements, whether they would have been right or not
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(41)


@dataclass(frozen=True)
class Model:
    """Standard deviations, on the log-odds scale, of participants, items, and an item's treatment effect.

    The defaults are those of a first trial, which were guessed, not measured: no data exist yet.
    """

    participant: float = 0.5
    item: float = 0.6
    interaction: float = 0.4


def log_odds(accuracy: float, spread: float) -> float:
    """The mean log-odds at which the accuracy, averaged over normal shifts of that spread, is `accuracy`."""
    if not 0 < accuracy < 1:
        raise CladecError(f"A simulated accuracy is {accuracy}; it must lie between 0 and 1.")
    weights = _WEIGHTS / _WEIGHTS.sum()

    def excess(mean: float) -> float:
        return float(weights @ special.expit(mean + spread * _NODES)) - accuracy

    return float(optimize.brentq(excess, -30, 30))


def item_effects(random: np.random.Generator, count: int, model: Model) -> tuple[np.ndarray, np.ndarray]:
    """How easy each of `count` items is, and how much more X_E helps on it: log-odds, two of (count,)."""
    return random.normal(0, model.item, count), random.normal(0, model.interaction, count)


def correct_judgements(
    random: np.random.Generator,
    accuracies: tuple[float, float],
    treated: np.ndarray,
    items: np.ndarray,
    concepts: int,
    model: Model,
    effects: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """Whether judgements are correct: bool (participants, shown, concepts).

    `accuracies` are those of the untreated and the treated population, averaged over participants and
    items; `treated` bool (participants,); `items` int (participants, shown), the images each one sees.
    `effects` are the items' own (see `item_effects`); None draws them.
    """
    who = random.normal(0, model.participant, len(treated))
    what, response = effects or item_effects(random, int(items.max()) + 1, model)
    plain = float(np.hypot(model.participant, model.item))
    means = (
        log_odds(accuracies[0], plain),
        log_odds(accuracies[1], float(np.hypot(plain, model.interaction))),
    )
    shift = np.where(treated, means[1], means[0])[:, None] + who[:, None] + what[items]
    shift = shift + response[items] * treated[:, None]
    return random.random((*shift.shape, concepts)) < special.expit(shift)[..., None]


def respondents(
    launched: Launched,
    per_arm: int,
    accuracies: Mapping[str, float],
    truth: str = "a",
    seed: int = 0,
    cannot_tell: Mapping[str, float] | None = None,
) -> list[dict[str, Any]]:
    """Simulated responses to a study, every one marked as such.

    `accuracies` is the accuracy per arm under `truth` (`a` or `b`), one half for arms that it leaves out;
    where that truth is not known, answers are drawn at random. `cannot_tell` is the share of judgements
    withheld per arm, CANNOT_TELL for those left out. A few participants are careless, so that exclusions
    have something to do.
    """
    study, key = launched.study, launched.key
    random = np.random.default_rng(seed)
    images = sorted({entry["image"] for entry in key["items"].values()})
    place = {image: i for i, image in enumerate(images)}
    model, found = Model(), []
    effects = item_effects(np.random.default_rng([seed, 1]), len(images), model)  # the same in every arm
    for number, (code, arm) in enumerate(key["arms"].items()):
        mine = [i for i, slot in enumerate(study["slots"]) if slot[0] == code]
        slots = [mine[i % len(mine)] for i in range(per_arm)]
        items = np.array([[place[key["items"][c]["image"]] for c in study["slots"][s][1]] for s in slots])
        treated = np.full(per_arm, arm["name"] == "explained")
        levels = (accuracies.get(arm["name"], 0.5),) * 2
        withheld = (cannot_tell or {}).get(arm["name"], CANNOT_TELL)
        own = np.random.default_rng([seed, 2, number])  # each arm has its own people
        right = correct_judgements(own, levels, treated, items, len(study["concepts"]), model, effects)
        for i, slot in enumerate(slots):
            name = f"simulated-{arm['name']}-{i:03}"
            found.append(_response(launched, name, slot, right[i], truth, withheld, random))
    return found


def _response(
    launched: Launched,
    name: str,
    slot: int,
    right: np.ndarray,
    truth: str,
    withheld: float,
    random: np.random.Generator,
) -> dict[str, Any]:
    study = launched.study
    arm, order, _ = study["slots"][slot]
    careless = random.random() < CARELESS
    seconds = random.lognormal(3.2, 0.4, len(order) + len(study["practice"]))
    items = [
        _judge(launched, code, right[i], truth, withheld, random) | _time(seconds[i])
        for i, code in enumerate(order)
    ]
    practice = [
        _judge(launched, item["id"], right[0], truth, withheld, random) | _time(seconds[-1 - i])
        for i, item in enumerate(study["practice"])
    ]
    wrong = {"used": "unused", "unused": "used", "unknown": "used"}
    attention = {c["id"]: wrong[c["right"]] if careless else c["right"] for c in study["attention"]}
    questions = [q for q in study["comprehension"] if q["panels"] <= len(study["arms"][arm])]
    finished = _START + datetime.timedelta(seconds=float(seconds.sum()) + 60)
    return {
        "format": RESPONSE_FORMAT, "version": RESPONSE_VERSION, "study_hash": study["hash"],
        "build": study["build"], "simulated": True, "participant": name, "session": "", "slot": slot,
        "arm": arm, "consented": True, "started": _moment(_START), "finished": _moment(finished),
        "reloads": 0, "storage": "kept", "comprehension": [{q["id"]: q["right"] for q in questions}],
        "attention": attention, "practice": practice, "items": items,
        "about": {"experience": str(random.choice([e for e, _ in study["experience"]])), "comments": MARK},
    }  # fmt: skip


def _moment(time: datetime.datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _time(seconds: float) -> dict[str, float]:
    return {"seconds": round(float(seconds), 1), "hidden_seconds": 0}


def _judge(
    launched: Launched,
    code: str,
    right: np.ndarray,
    truth: str,
    withheld: float,
    random: np.random.Generator,
) -> dict[str, Any]:
    entry = launched.key["items"][code]
    answers, named = {}, []
    for (concept, label), correct in zip(launched.study["concepts"], right, strict=True):
        value = entry[f"truth_{truth}"][concept]
        known = bool(random.random() < 0.5) if value is None else value
        answer = ("used" if known else "unused") if correct else ("unused" if known else "used")
        if random.random() < withheld:
            answer = "unknown"
        confidence = None if answer == "unknown" else int(random.integers(1, 5))
        answers[concept] = {"answer": answer, "confidence": confidence}
        named += [label] if answer == "used" else []
    pair = entry["pair"]
    best = entry["pair_truth"][truth]
    # Right as often as the judgements on this picture are; any of the two where it is not known.
    other = [concept for concept in pair if concept != best]
    choice = best if best and right.mean() > random.random() else str(random.choice(other))
    text = f"({MARK.lower()}) it goes by {' and '.join(named[:2])}" if named and random.random() < 0.3 else ""
    return {"item": code, "answers": answers, "choice": choice, "text": text}


def write(responses: list[dict[str, Any]], folder: Path) -> None:
    """One file per simulated respondent in `folder`, which may hold nothing else but hidden files.

    Raises CladecError if there is any other file.
    """
    names = {f"response-{r['participant']}.json": r for r in responses}
    others = [p.name for p in folder.glob("*") if p.name not in names and not p.name.startswith(".")]
    if others:
        raise CladecError(f"{folder} holds {others[0]}; simulated responses go to a folder of their own.")
    for name, response in names.items():
        write_text(folder / name, json.dumps(response, indent=1) + "\n")
