"""What the claims require of a study, profile by profile; nothing is trained."""

import dataclasses

import pytest
import torch

from cladec_utils.claims import required
from cladec_utils.errors import CladecError
from cladec_utils.study import neurons, profiles
from cladec_utils.study.classifiers import ClassifierSpec
from cladec_utils.study.explainers import ClaDecSpec, PCASpec, RefAESpec
from cladec_utils.study.study import open_study

EVERY = tuple(profiles.PROFILES)


@pytest.fixture
def studies(monkeypatch):
    """`named(profile, **entries)`: a study of a profile, or of one with other entries; the most important
    neurons are the first."""

    def ranked(study, layer, seed, **_):
        return list(range(neurons.count(study, layer)))

    monkeypatch.setattr(neurons, "ranked", ranked)

    def named(name, **entries):
        study = open_study(name)
        return dataclasses.replace(study, profile=dataclasses.replace(study.profile, **entries))

    return named


def seeds_by_alpha(plan):
    found = {}
    for spec in plan:
        found.setdefault(spec.subject.alpha, set()).add(spec.subject.seed)
    return found


def test_specs_of_a_study_are_what_they_say(studies):
    study = studies("smoke")
    sweep = required.alpha_sweep(study)
    assert {s.subject.alpha for s in sweep} == set(study.profile.alphas)
    at_zero = {s for s in sweep if not s.subject.alpha}
    assert at_zero <= set(required.reconstructions(study))  # nothing is measured twice
    assert all(s.panel for s in sweep)  # C3 asks others than C
    for spec in required.negative_controls(study):
        assert isinstance(spec.subject, ClaDecSpec) and spec.classifier is spec.subject.classifier
        assert type(spec.classifier) is not ClassifierSpec
    assert not any(isinstance(s.subject, RefAESpec) for s in required.alpha_sweep(study))


def test_seeds_are_spent_on_the_claims(studies):
    """C3's two alphas with all seeds, the others with one, but what the user names with all again, as does a
    profile that asks for all alphas."""
    study = studies("standard")
    every, first = set(study.seeds), set(study.seeds[:1])
    assert len(every) == 8
    wanted = {a: every if a in (0.0, required.FAITHFUL_ALPHA) else first for a in study.profile.alphas}
    assert seeds_by_alpha(required.alpha_sweep(study)) == wanted and first in wanted.values()
    named = open_study("standard", alphas=[0.0, 0.5])
    assert seeds_by_alpha(required.alpha_sweep(named)) == {0.0: every, 0.5: every}
    paper = studies("paper")
    assert seeds_by_alpha(required.alpha_sweep(paper)) == {a: {0, 1, 2, 3, 4} for a in paper.profile.alphas}


def test_early_layers_and_what_is_beside_the_first_claims_have_the_fewer_seeds(studies):
    study = studies("standard")
    assert study.layers == ("block4", "block8", "logits") and study.features == "block8"
    found = {}
    for spec in required.reconstructions(study):
        if isinstance(spec.subject, ClaDecSpec):
            found.setdefault(spec.subject.layer, []).append(spec.subject.seed)
    eight, five = list(range(8)), list(range(5))
    assert found == {"block4": five, "block8": eight, "logits": eight}
    assert {s.subject.seed for s in required.half_budget(study)} == set(eight)
    for plan in (required.negative_controls(study), required.other_images(study)):
        assert {s.subject.seed for s in plan} == set(five)
    assert {s.seed for s in required.neuron_subsets(study)} == set(five)


def test_evaluation_classifiers_are_of_all_or_of_fewer_images(studies):
    """Whatever is compared has one of the same kind on both sides."""
    study = studies("standard")
    found = {}
    for spec in required.reconstructions(study):
        if spec.subject is not None:
            sizes = [j and (j.n_train or "all") for j in (spec.judge, spec.fewer)]
            found.setdefault((spec.subject.layer, type(spec.subject)), set()).add(tuple(sizes))
    both, whole, few = {("all", 12000)}, {("all", None)}, {(None, 12000)}
    assert found == {
        ("block4", ClaDecSpec): whole, ("block4", RefAESpec): whole, ("block4", PCASpec): {(None, None)},
        ("block8", ClaDecSpec): both, ("block8", RefAESpec): both, ("block8", PCASpec): few,
        ("logits", ClaDecSpec): both, ("logits", RefAESpec): whole, ("logits", PCASpec): few,
    }  # fmt: skip
    assert all(s.judge is None and s.fewer.n_train == 12000 for s in required.half_budget(study))
    all_of_all = required.reconstructions(studies("quick"))
    assert all(s.fewer is None for s in all_of_all)
    assert all(s.judge.n_train is None for s in all_of_all if s.judge)


@pytest.mark.parametrize("name", EVERY)
def test_every_profile_of_the_kit_opens_and_has_a_plan(studies, name):
    study = studies(name)
    plan = required.plan(study)
    layers = {s.subject.layer for s in plan.evaluations if s.subject is not None}
    assert layers == set(study.layers) and len(set(plan.evaluations)) == len(plan.evaluations)
    features = {"smoke": "block4"}.get(name, "block8")
    assert {s.subject.layer for s in required.negative_controls(study)} == {features} == {study.features}
    beside = required.plan(open_study(name, architecture="resnet"), full=False)
    assert {s.classifier.architecture for s in beside.evaluations} == {"resnet"} and not beside.chosen


PARTS = {
    "half budget": required.half_budget,
    "other images": required.other_images,
    "controls": required.negative_controls,
    "subsets": lambda study: [subset.evaluation for subset in required.neuron_subsets(study)],
    "all alphas": required.alpha_sweep,
    "randomisation": lambda study: [],  # of relevance maps
}


@pytest.mark.parametrize("extra", profiles.EXTRAS)
def test_an_extra_adds_what_it_says_and_nothing_else(studies, extra):
    without, alone = (set(required.plan(studies("smoke", extras=e)).evaluations) for e in ((), (extra,)))
    part = set(PARTS[extra](studies("smoke", extras=(extra,))))
    assert alone - without == part - without and (len(alone) > len(without) or extra == "randomisation")
    lost = without - alone  # only what is judged now
    assert not lost or extra == "all alphas"
    assert all(spec.judge is None for spec in lost) and {s.subject for s in lost} <= {s.subject for s in part}


def test_the_smoke_profile_has_everything_but_all_alphas(studies):
    study = studies("smoke")
    plan = required.plan(study)
    for name in set(study.profile.extras) - {"randomisation"}:
        assert set(PARTS[name](study)) <= set(plan.evaluations), name
    assert set(profiles.EXTRAS) - set(study.profile.extras) == {"all alphas"}
    assert {s.choice for s in plan.chosen} == {
        required.CHOSEN, required.RANDOM, required.PRINCIPAL, required.IGNORANT, required.WHOLE
    }  # fmt: skip


def test_other_images_would_need_another_classifier_than_the_users(npz, own_classifier):
    study = open_study("smoke", str(npz()), own_classifier, layers=["1"], seeds=[0])
    profiles_of = (dataclasses.replace(study.profile, extras=extras) for extras in ((), ("other images",)))
    plain, other = (required.plan(dataclasses.replace(study, profile=p)) for p in profiles_of)
    assert plain == other and len(plain.evaluations) > 2


def test_half_a_budget_is_half_of_every_training(studies):
    study = studies("smoke")
    for plan in (required.half_budget(study), required.other_images(study)):
        assert {s.subject.train.updates for s in plan} == {4} and study.profile.decoder.updates == 8
        assert {type(s.subject) for s in plan} == {ClaDecSpec, RefAESpec}


def test_a_study_with_neurons_of_its_own_keeps_them(studies):
    study = dataclasses.replace(studies("smoke"), neurons=(1, 4))
    assert study.cladec("block4", 0).neurons == (1, 4) == study.refae("block4", 0).neurons
    assert study.cladec("block4", 0, neurons=None).neurons is None


def test_unknown_judges_are_refused(studies):
    with pytest.raises(CladecError, match="Unknown choice of judges 'some'"):
        studies("smoke").evaluation(None, 0, "some")


@pytest.mark.parametrize(
    ("layers", "order", "features"),
    [
        (["logits", "block8", "block4"], ("block4", "block8", "logits"), "block8"),
        (["block8", "block4"], ("block4", "block8"), "block8"),
        (["logits"], ("logits",), "logits"),
        (["block4"], ("block4",), "block4"),
    ],
)
def test_layers_run_in_their_order_and_the_last_before_the_logits_has_the_primary_rows(
    layers, order, features
):
    study = open_study("smoke", layers=layers)
    assert (study.layers, study.features) == (order, features)


def test_a_container_of_the_last_layer_gives_logits_too(npz):
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(768, 8), torch.nn.ReLU())
    network.append(torch.nn.Sequential(torch.nn.Linear(8, 3)))
    study = open_study("smoke", str(npz()), network, layers=["3.0", "1"])
    assert set(study.outputs) == {"3", "3.0"} and study.features == "1"
