"""What each claim compares: its rows, from everything that a study has recorded.

C1 depends on who judges, so each of the three judges of `evaluation.JUDGES` has its own rows.

Fidelity in C3 is agreement with C's decisions on the originals, as C sees X_E *and* by transfer, as other
classifiers see it: at high alphas a decoder can draw what only C takes for a garment. As C alone sees it, and
as C's cross-entropy, it has rows of its own. Cross-entropy was there first; agreement was added after it had
turned out undecided, transfer after alpha 0.9 had been seen to raise C's accuracy on X_E and to lower that of
an independent classifier.

C4 is a gain over what explains nothing: over ClaDec of a classifier with random weights, and for neurons
chosen by attribution also over as many drawn by chance, and as many principal components of the code.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from cladec_utils.claims.evidence import HALVES
from cladec_utils.claims.interval import SMALLEST, Effect, all_of
from cladec_utils.claims.recorded import BySeed, Recorded
from cladec_utils.claims.required import CHOSEN, FAITHFUL_ALPHA, HALF, IGNORANT, PRINCIPAL, RANDOM
from cladec_utils.claims.verdicts import ALL, DETAILS, MORE_SEEDS
from cladec_utils.study.classifiers import CONTROLS
from cladec_utils.study.evaluation import JUDGES

C1_JUDGES = {
    "C1": JUDGES["retrained"],
    "C1 frozen": JUDGES["frozen C"],
    "C1 independent": JUDGES["independent"],
}
FEWER = "fewer_correct"
FEWER_LABEL = "evaluation classifier trained on fewer images"
LEFT_IN = "collapsed trainings left in"


@dataclass(frozen=True)
class Found:
    """An effect before it is decided on: the row's claim, layer and detail, the same at half the training
    budget and what that is compared with (see `verdicts.Row`), and what a reader should know beside."""

    claim: str
    layer: str
    detail: str
    effect: Effect
    half: Effect | None = None
    whole: Effect | None = None
    label: str = ""


def rows_of(study: Recorded) -> Iterable[Found]:
    """Everything that a study has recorded."""
    for layer in study.layers():
        for named in study.named():
            yield from _layer_rows(study, layer, named)
        yield from _subset_rows(study, layer)
        yield from _control_rows(study, layer)


def _layer_rows(study: Recorded, layer: str, named: str) -> Iterable[Found]:
    cladec = study.find(layer, method="ClaDec", alpha=0.0, named=named)
    refae = study.find(layer, method="RefAE", named=named)
    faithful = study.find(layer, method="ClaDec", alpha=FAITHFUL_ALPHA, named=named)
    neurons = f"neurons {named}" if named else ALL
    if cladec and refae:
        yield from _reference_rows(study, layer, named, neurons)
    if cladec and not named:
        yield from _pca_rows(study, layer, cladec)
    if cladec and faithful:
        for claim, e in _c3_effects(study, cladec, faithful):
            yield Found(claim, layer, neurons, e)
    if cladec:
        above = study.effect(_judge(study, cladec), SMALLEST["accuracy"], cladec, shift=-study.chance)
        yield Found("C4", layer, f"{neurons}, vs chance", above)


def _subset_rows(study: Recorded, layer: str) -> Iterable[Found]:
    """C4: of all neurons against random weights, of chosen ones against each of their nulls."""
    whole = study.find(layer, method="ClaDec", alpha=0.0)
    ignorant = study.find(layer, method="ClaDec", alpha=0.0, control="random weights")
    if whole and ignorant:
        yield Found("C4", layer, ALL, _gain(study, whole, ignorant))
    chosen = study.find(layer, choice=CHOSEN, budget=HALF)
    nulls = {
        RANDOM: study.find(layer, choice=RANDOM, budget=HALF),
        PRINCIPAL: study.find(layer, choice=PRINCIPAL, budget=HALF),
        "random weights": study.find(layer, choice=IGNORANT, budget=HALF, control="random weights"),
    }
    for null, other in nulls.items():
        if chosen and other:
            yield Found("C4", layer, f"{CHOSEN} quarter, vs {null}", _gain(study, chosen, other))


def _gain(study: Recorded, mine: BySeed, null: BySeed) -> Effect:
    return study.effect(_judge(study, mine, null), SMALLEST["accuracy"], mine, null)


def _judge(study: Recorded, *sides: BySeed) -> str:
    """The figure of C1's evaluation classifier that all sides have: of all images, else of fewer."""
    whole = C1_JUDGES["C1"]
    return FEWER if not study.both(whole, *sides) and study.both(FEWER, *sides) else whole


def _control_rows(study: Recorded, layer: str) -> Iterable[Found]:
    refae, found = study.find(layer, method="RefAE"), {}
    for control in sorted(set(study.rows["control"]) - {""}):
        ignorant = study.find(layer, method="ClaDec", control=control)
        if ignorant and refae:
            found[control] = replace(_control(study, layer, ignorant, refae), name=control)
            yield Found("control", layer, control, found[control], label=study.generic(refae))
    if set(found) == set(CONTROLS):
        yield Found("control", layer, DETAILS["control"], all_of(*found.values()))


def _reference_rows(study: Recorded, layer: str, named: str, neurons: str) -> Iterable[Found]:
    """C1 and C2 with their variants; only C1 interprets X_R, so no gate is asked for C2."""

    def pair(**which: object) -> tuple[BySeed, BySeed]:
        cladec = study.find(layer, method="ClaDec", alpha=0.0, named=named, **which)
        return cladec, study.find(layer, method="RefAE", named=named, **which)

    def effects_of(cladec: BySeed, refae: BySeed, judge: str) -> dict[str, Effect]:
        found = {
            claim: study.effect(metric, SMALLEST["accuracy"], cladec, refae)
            for claim, metric in (C1_JUDGES | {"C1": judge}).items()
            if study.measured(metric)
        }
        found["C2"] = study.effect("mse", SMALLEST["mse"], cladec, refae)
        if study.measured("ssim"):
            found["C2 ssim"] = study.effect("ssim", SMALLEST["ssim"], refae, cladec)
        return found

    whole, half, first = pair(), pair(budget=HALF), pair(first=True)
    gate, labels = study.gate(layer, *whole, named=named), study.labels(layer, whole[1])
    judge = _judge(study, *whole)
    alike = FEWER if study.both(FEWER, *whole, *half) else judge
    less, same = (effects_of(*sides, alike) if all(half) else {} for sides in (half, whole))
    for claim, e in effects_of(*whole, judge).items():
        gated = replace(e, gate=gate) if claim in C1_JUDGES else e
        label = "; ".join(filter(None, (*labels, FEWER_LABEL * (claim == "C1" and judge == FEWER))))
        again = (less.get(claim), same.get(claim)) if claim in MORE_SEEDS else (None, None)
        yield Found(claim, layer, neurons, gated, *again, label)
    if first != whole and all(first):
        yield Found("C2", layer, f"{neurons}, {LEFT_IN}", effects_of(*first, judge)["C2"])
    conditions = {"control": HALVES, "budget": HALF}
    if all(unseen := pair(**conditions)):
        e = effects_of(*unseen, _judge(study, *unseen))["C1"]
        gated = replace(e, gate=study.gate(layer, *unseen, named=named, **conditions))
        yield Found("C1", layer, f"{neurons}, {HALVES}", gated)


def _pca_rows(study: Recorded, layer: str, cladec: BySeed) -> Iterable[Found]:
    """C1 and C2 against the principal components of the images, as many as the code has numbers."""
    pca = study.find(layer, method="PCA")
    judge = _judge(study, cladec, pca)
    if pca and study.both(judge, cladec, pca):
        e = study.effect(judge, SMALLEST["accuracy"], cladec, pca)
        yield Found("C1 against PCA", layer, ALL, e, label=FEWER_LABEL * (judge == FEWER))
    if pca:
        yield Found("C2 against PCA", layer, ALL, study.effect("mse", SMALLEST["mse"], cladec, pca))


def _c3_effects(study: Recorded, close: BySeed, faithful: BySeed) -> Iterable[tuple[str, Effect]]:
    further = study.effect("mse", SMALLEST["mse"], faithful, close, name="MSE")
    agrees = study.effect("c_agrees", SMALLEST["accuracy"], faithful, close, name="agreement")
    surer = study.effect("c_cross_entropy", SMALLEST["cross-entropy"], close, faithful, name="cross-entropy")
    if study.both("panel_agrees", close, faithful):
        moved = study.effect("panel_agrees", SMALLEST["accuracy"], faithful, close, name="transfer")
        yield "C3", all_of(further, agrees, moved)
    yield "C3 frozen", all_of(further, agrees)
    yield "C3 loss", all_of(further, surer)


def _control(study: Recorded, layer: str, ignorant: BySeed, refae: BySeed) -> Effect:
    vanished = study.effect("judge_correct", 0.0, ignorant, refae, sign=-1, shift=SMALLEST["accuracy"])
    return replace(vanished, gate=study.gate(layer, ignorant, refae))
