"""G1 to G4 and C1 with other labels on made-up readings whose truth is known."""

import math
import zlib
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cladec_utils.concepts import results
from cladec_utils.concepts.controls import SECOND, control_plan, whole_plan
from cladec_utils.concepts.experiment import open_concepts, plan
from cladec_utils.concepts.reading import table
from cladec_utils.concepts.results import FRESH, NOT_WORSE, OTHER_LABELS, OWN_LABELS, decided, effects
from cladec_utils.data import planted
from cladec_utils.engine import store
from cladec_utils.study import explainers, probes, profiles
from cladec_utils.study.classifiers import RandomisedSpec
from cladec_utils.study.evaluation import EvaluationSpec

A = "planted-tint-stripes"
IMAGES = 400


def who(study, subject):
    """X, X_R, X_2 (of the second RefAE), X_E, X_E of random weights and so on: what a subject is."""
    if subject is None:
        return "X"
    if isinstance(subject, explainers.RefAESpec):
        return "X_R" if subject.seed in study.seeds else "X_2"
    if isinstance(subject.classifier, RandomisedSpec):
        return "random"
    if getattr(subject.classifier, "control", ""):
        return "shuffled"
    return "X_E" if subject.alpha == 0 else "X_E faithful"


@pytest.fixture
def world(monkeypatch):
    """`say(readings, labels)` makes all specs known: `readings(who, needed, factor, probe)` and
    `labels(who, own)` are shares of test images, about which seeds and images scatter; five seeds."""

    def say(readings, labels=lambda *_: 0.5, controlled=True, gate=""):
        five = replace(profiles.PROFILES["smoke"], seeds=tuple(range(5)), fewer_seeds=None)
        monkeypatch.setitem(profiles.PROFILES, "smoke", five)
        study = replace(open_concepts("smoke"), controlled=controlled)

        def correct(share, *key):
            random = np.random.default_rng(zlib.crc32(" ".join(key).encode()))
            return torch.from_numpy((random.random(IMAGES) < share).astype(np.float32))

        def tensors(spec):
            if isinstance(spec, probes.UsedSpec):
                names = planted.relevant(spec.classifier.data.dataset)
                flips = {f: torch.full((IMAGES,), float(f in names)) for f in planted.FACTORS}
                return {f"{what}_{f}": t for f, t in flips.items() for what in ("flips", "variation")}
            if isinstance(spec, probes.HeldSpec):
                names = (
                    [f"control_{i}" for i in range(6)]
                    if spec.task
                    else [f"held_{f}" for f in planted.FACTORS]
                )
                return {name: correct(0.5 if spec.task else 0.9, spec.hash, name) for name in names}
            if isinstance(spec, EvaluationSpec):
                mine = getattr(getattr(spec.subject, "classifier", None), "data", None)
                share = labels(who(study, spec.subject), mine == spec.judge.data)
                return {"judge_correct": correct(share, spec.hash)}
            if isinstance(spec, probes.ShownSpec):
                of = getattr(spec.subject, "classifier", None)
                needed = planted.relevant(of.data.dataset) if of else ()
                shares = {
                    (p, f): readings(who(study, spec.subject), f in needed, f, p)
                    for p in ("fresh", "original")
                    for f in planted.FACTORS
                }
                return {f"{p}_{f}": correct(share, spec.hash, p, f) for (p, f), share in shares.items()}
            return {"final_train": torch.ones(1), "final_val": torch.ones(1)}

        def record(spec):
            return SimpleNamespace(metrics={k: v.mean().item() for k, v in tensors(spec).items()})

        monkeypatch.setattr(store, "get", lambda spec, *_: SimpleNamespace(tensors=tensors(spec)))
        monkeypatch.setattr(store, "record", record)
        monkeypatch.setattr(results, "_gate", lambda *_: gate)
        return study

    return say


def good(who, needed, factor, probe):
    """As the claims say: C's decoders show what is needed, those of random weights little, X_R all."""
    if who in ("X_R", "X_2"):
        return 0.9
    if who in ("random", "shuffled"):
        return 0.6
    return 0.95 if needed else 0.8 if who == "X_E" else 0.55


def rows_of(study):
    return decided({"vgg": effects(study)}).set_index(["claim", "layer", "detail"]).sort_index()


def test_what_is_as_the_claims_say_holds(world):
    rows = rows_of(world(good, lambda who, own: 0.9 if own else 0.5 if who == "X_E" else 0.7))
    assert rows.drop(index="C1")["verdict"].eq("holds").all()
    assert set(rows.loc[["G1", "G2", "G3"], "note"]) == {""}
    effect = rows["effect"].xs("logits", level="layer")
    assert effect["G1", "all"] == pytest.approx(0.35, abs=0.03)  # against random weights
    assert effect["G1", NOT_WORSE] == pytest.approx(0.10, abs=0.03)  # against X_R, the allowance added
    assert effect["G2", "all"] == pytest.approx(0.10, abs=0.03)
    assert effect["G3", "all"] == pytest.approx(0.25, abs=0.03)  # .95 - .55 against .95 - .8
    assert effect["C1", OWN_LABELS] == pytest.approx(0.2, abs=0.04)
    assert effect["control", OTHER_LABELS] == pytest.approx(0.01 + 0.2, abs=0.04)
    assert rows.loc["C1"]["note"].str.contains("5 seeds; a verdict needs 8").all()


def test_needed_concepts_are_not_kept_where_random_weights_show_them_as_well(world):
    """Whatever X_R shows: where it shows little, X_E was called better than it by the earlier rule."""

    def readings(who, needed, factor, probe):
        return {"random": 0.99, "X_R": 0.7}.get(who) or good(who, needed, factor, probe)

    rows = rows_of(world(readings)).xs("logits", level="layer")
    assert rows.loc[("G1", "all"), "verdict"] == "does not hold"
    assert rows.loc[("G1", NOT_WORSE), "verdict"] == "holds"


def test_only_what_x_r_shows_can_be_dropped(world):
    """Concepts below the floor are left out, whatever X_E shows of them, and named; without any there is
    nothing to decide."""

    def readings(who, needed, factor, probe):
        if factor in ("tint", "position"):
            return 0.55 if who in ("X_R", "X_2") else 1.0 if who == "X_E" else 0.5
        return good(who, needed, factor, probe)

    rows = rows_of(world(readings)).xs("logits", level="layer")
    assert rows.loc[("G2", "all"), "effect"] == pytest.approx(0.10, abs=0.03)
    assert rows.loc[("G2", "all"), "note"] == "without tint, position, not shown by X_R"
    assert rows.loc[("G4", SECOND), "note"] == f"{SECOND}, without tint, position, not shown by X_R"
    blind = world(lambda who, *rest: 0.52 if who in ("X_R", "X_2") else good(who, *rest))
    rows = rows_of(blind).xs("logits", level="layer")
    assert rows.loc[[("G2", "all"), ("G4", SECOND), ("G4", "all controls")], "verdict"].eq("undecided").all()
    assert "X_R shows none of the concepts" in rows.loc[("G2", "all"), "note"]
    assert math.isnan(rows.loc[("G2", "all"), "effect"]) and rows.loc[("G1", "all"), "verdict"] == "holds"


def test_alpha_is_judged_by_a_reader_of_originals(world):
    def readings(who, needed, factor, probe):
        return good("X_E" if probe == "original" and who == "X_E faithful" else who, needed, factor, probe)

    rows = rows_of(world(readings)).xs("logits", level="layer")
    assert rows.loc[("G3", "all"), "effect"] == pytest.approx(0, abs=0.03)
    assert rows.loc[("G3", FRESH), "verdict"] == "holds" and rows.loc[("G3", "all"), "verdict"] != "holds"


def test_other_labels_must_lose_the_advantage_under_both_data_sets(world):
    """What A's labels gain from X_E of B's classifier is not made good by what B's lose from A's."""
    study = world(good)
    reads = results.label_advantage
    kept = {"A": 0.2, "B": -0.4}

    def advantage(concepts, which, x_e, x_r, seed):
        own = x_e(which, 0).classifier.data == concepts.studies[which].data_spec
        return np.full(IMAGES, 0.2 if own else kept["AB"[which]]) + 0 * reads(concepts, which, x_e, x_r, seed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "label_advantage", advantage)
        row = rows_of(study).xs("logits", level="layer").loc[("control", OTHER_LABELS)]
    assert row["verdict"] == "does not hold" and row["note"] == f"labels of {A}"
    assert row["effect"] == pytest.approx(0.01 - 0.2)


def test_a_closed_gate_is_said_of_what_looks_at_x_r_alone(world):
    rows = rows_of(world(good, gate="RefAE is no reference")).xs("logits", level="layer")
    said = rows["note"].str.contains("RefAE is no reference")
    looking = {("G1", NOT_WORSE), ("G2", "all"), ("G4", SECOND), ("G4", "all controls")}
    looking |= {("C1", OWN_LABELS), ("control", OTHER_LABELS)}
    assert set(rows.index[said]) == looking


def test_a_study_without_controls_has_the_other_rows(world):
    study = world(good, controlled=False)
    assert control_plan(study) == [] and whole_plan([study]) == plan(study)
    names = [(claim, layer, detail) for claim, layer, detail, _ in effects(study)]
    each = [("G1", NOT_WORSE), ("G2", "all"), ("G3", "all"), ("G3", FRESH)]
    assert names == [(claim, layer, detail) for layer in study.layers for claim, detail in each]


def test_tables_have_the_figures_of_every_seed(world):
    study = world(good)
    found, noise = table(study), results.noise(study)
    assert len(found) == 2 * 6 * 2 * 5 * 2 and len(noise) == 2 * 4 * 5
    for seed, rows in found.query("alpha == 0 and layer == 'logits'").groupby("seed"):
        wanted = study.studies[0].cladec("logits", seed, 0.0)
        shown = store.record(study.shown(wanted, seed)).metrics
        assert rows.query(f"dataset == '{A}'")["X_E"].tolist() == [
            shown[f"fresh_{f}"] for f in rows["factor"][:6]
        ]
    assert found.groupby("seed")["X_E"].mean().nunique() == 5
    assert found["held control task"].lt(0.6).all() and found["held"].gt(0.8).all()
    assert sorted(set(noise["seed"])) == [0, 1, 2, 3, 4]
