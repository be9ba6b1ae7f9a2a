"""Which notebooks a study runs, what of it is made for them, and how long that is said to take."""

import re
import textwrap
from pathlib import Path

import nbformat
import pytest
from torch import nn

import cladec_utils as cu
from cladec_utils.app import estimate, plan, selection, series
from cladec_utils.app.cli import main
from cladec_utils.claims import required
from cladec_utils.engine import grid, paths
from cladec_utils.errors import CladecError
from cladec_utils.models.training import TrainSpec

STEMS = (
    "00_start_here", "01_training", "02_reconstructions", "03_alpha_tradeoff", "04_neuron_subsets",
    "05_planted_concepts", "06_saliency", "07_user_study_materials", "08_user_study_analysis", "09_scorecard",
    "10_your_own_classifier", "A1_linear_case",
)  # fmt: skip
NOTEBOOKS = [Path(f"{stem}.ipynb") for stem in STEMS]
OTHERS = {"profile": "smoke", "alpha": "0", "layers": None, "neurons": None, "seeds": [0], "alphas": None}


def numbers(notebooks):
    return " ".join(map(selection.number_of, notebooks))


class Stubborn(nn.Module):
    """Its weights cannot be drawn anew."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 1), nn.Linear(1024, 3)
        self.factor = nn.Parameter(self.last.bias.detach().clone())

    def forward(self, x):
        return self.last(self.first(x).flatten(1)) * self.factor


# --- which notebooks --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("only", "found"),
    [
        (None, None),
        (["03", "02"], "02 03"),
        (["A1_linear_case", "10"], "10 A1"),
        (["09_scorecard.ipynb"], "09"),
    ],
)
def test_notebooks_are_named_by_number_or_name(only, found):
    assert numbers(selection.named(NOTEBOOKS, only)) == (found or numbers(NOTEBOOKS))


def test_the_numbers_are_those_of_the_series():
    there = {path.stem for path in series.series()}
    assert there <= set(STEMS)
    with pytest.raises(CladecError, match=r"Unknown notebook '2'\. Did you mean .*Choose one of: 00, 01"):
        selection.named(series.series(), ["2"])


def test_a_study_of_ones_own_runs_what_is_about_it(npz, own_classifier):
    kits = cu.open_study("smoke", seeds=[0])
    data = cu.open_study("smoke", str(npz()), seeds=[0])
    classifier = cu.open_study("smoke", str(npz()), own_classifier, ["1"], [0])
    stubborn = cu.open_study("smoke", str(npz()), Stubborn(), ["first"], [0])
    assert selection.of_study(kits, NOTEBOOKS, False) == NOTEBOOKS
    assert numbers(selection.of_study(data, NOTEBOOKS, False)) == "00 01 02 03 04 09"
    assert numbers(selection.of_study(classifier, NOTEBOOKS, False)) == "00 02 03 04 09"
    assert numbers(selection.of_study(stubborn, NOTEBOOKS, False)) == "00 02 03 09"
    for study in (kits, data):
        assert selection.of_study(study, NOTEBOOKS, True) == NOTEBOOKS
    assert selection.of_study(classifier, NOTEBOOKS[6:], True) == NOTEBOOKS[6:]


@pytest.mark.parametrize(("number", "why"), [(1, "how a classifier is trained"), (5, "on planted garments")])
def test_what_cannot_be_about_an_own_classifier_is_refused(npz, own_classifier, number, why):
    study = cu.open_study("smoke", str(npz()), own_classifier, ["1"], [0])
    with pytest.raises(CladecError, match=f"{STEMS[number]} .*{why}.*; leave it out of --only"):
        selection.of_study(study, [NOTEBOOKS[number]], True)


def test_own_data_bring_no_second_architecture_unless_asked(npz):
    assert [each.study.architecture for each in plan.combinations([str(npz())], None, OTHERS)] == ["vgg"]
    both = plan.combinations([str(npz())], ["vgg", "resnet"], OTHERS)
    assert [each.study.architecture for each in both] == ["vgg", "resnet"]


# --- what is made for them --------------------------------------------------------------------------


def test_only_what_the_notebooks_need_is_made(npz, own_classifier):
    study = cu.open_study("smoke", str(npz()), own_classifier, ["1"], [0])
    sweep = required.alpha_sweep(study)
    assert selection.evaluations(study, [NOTEBOOKS[3]]) == sweep
    both = selection.evaluations(study, NOTEBOOKS[2:4])
    assert set(both) == {*required.reconstructions(study), *required.half_budget(study), *sweep}
    assert selection.evaluations(study, NOTEBOOKS[:1]) == [study.refae("1", 0), study.cladec("1", 0)]
    assert selection.evaluations(study, NOTEBOOKS[5:]) == []


def test_of_an_architecture_that_cannot_be_drawn_no_copies_are_trained(folders, npz):
    study = cu.open_study("smoke", str(npz()), Stubborn(), ["first"], [0])
    assert not study.can_be_drawn
    wanted = required.plan(study)
    assert {spec.judge.architecture for spec in wanted.evaluations if spec.judge} == {"vgg"}
    assert required.IGNORANT not in {subset.choice for subset in wanted.chosen}
    assert not any(need.kind == "control" for spec in wanted.evaluations for need in spec.needs())


def test_what_will_be_made_is_known_without_making_anything(folders, npz):
    [chosen] = plan.combinations([str(npz())], ["vgg"], OTHERS)
    todo = grid.missing(plan.expected([chosen], NOTEBOOKS[:5]))
    assert not (folders / "artifacts").exists()
    kinds = [spec.kind for spec in todo]
    grid.compute(plan._asked_for_neurons(chosen))
    made = grid.missing(required.plan(chosen.study).evaluations)  # with the neurons that are important
    known = {"classifier": 1, "control": 1}
    for kind in set(kinds):
        assert kinds.count(kind) == sum(spec.kind == kind for spec in made) + known.get(kind, 0)


# --- how long it takes ------------------------------------------------------------------------------


def test_an_estimate_is_a_sentence(folders, npz, monkeypatch):
    monkeypatch.setattr(estimate, "_timed", lambda *_: 0.5)
    chosen = plan.combinations([str(npz())], ["vgg"], OTHERS)
    said = estimate.sentence(chosen, NOTEBOOKS[:5], False)
    found = re.fullmatch(
        r"about (\d+) trainings and (\d+) measurements, then 5 notebooks: about \d+ minutes on 1 "
        "quiet core, by a few timed steps",
        said,
    )
    todo = grid.missing(plan.expected(chosen, NOTEBOOKS[:5]))
    assert int(found[1]) == sum(isinstance(spec, estimate.TRAINED) for spec in todo)
    assert int(found[1]) + int(found[2]) == len(todo)
    monkeypatch.setattr(grid, "missing", lambda plan: [])
    assert estimate.sentence(chosen, NOTEBOOKS[:2], False) == (
        "all that is trained is in the store; 2 notebooks to look at"
    )


def test_seconds_are_those_of_the_updates(tiny_classifier, monkeypatch):
    """Two seconds for an update of 16 images; 48 images are trained on, 16 validate."""
    monkeypatch.setattr(estimate, "_timed", lambda *_: 2.0)
    train = TrainSpec(None, "adam", 1e-3, 0.0, batch_size=32, updates=100)
    spec = cu.explainers.ClaDecSpec(tiny_classifier, "block4", train, 0)
    seen = 48 + 12 * 16  # once in the end, and 12 times on the way
    assert estimate._seconds(spec) == pytest.approx(100 * 2 * 2.0 + 2.0 / 3 * seen / 16)


def test_an_update_is_timed(tiny_classifier):
    spec = cu.explainers.ClaDecSpec(tiny_classifier, "block4", tiny_classifier.train, 0)
    assert 0 < estimate._step(spec) < 10 and 0 < estimate._step(tiny_classifier) < 10


# --- all of it --------------------------------------------------------------------------------------


def test_a_study_of_a_loaders_classifier_runs_in_other_processes(folders, npz, monkeypatch, capsys):
    """The notebook's kernel works in another folder, and still opens the same classifier."""
    home = folders / "home"
    (home / "notebooks").mkdir(parents=True)
    names = ["profile", "dataset", "architecture", "layers", "seeds", "alpha", "image_size"]
    cells = [
        nbformat.v4.new_code_cell("\n".join(f"{n} = None" for n in names), metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(
            "import cladec_utils as cu\nfrom cladec_utils.notebook import prepare\n"
            "study = cu.open_study(profile, dataset, architecture, layers, seeds)\n"
            "prepare([study.cladec('1', 0), study.refae('1', 0)])\nprint(study.architecture)"
        ),
    ]
    for stem in STEMS[2:4]:
        nbformat.write(nbformat.v4.new_notebook(cells=cells), home / "notebooks" / f"{stem}.ipynb")
    monkeypatch.setenv("CLADEC_HOME", str(home))
    monkeypatch.chdir(folders)
    (folders / "mymodule.py").write_text(
        textwrap.dedent(
            """
            import torch
            from torch import nn

            def load():
                torch.manual_seed(0)
                return nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 3))
            """
        )
    )
    arguments = ["--dataset", str(npz()), "--classifier", "mymodule:load", "--layers", "1", "--seeds", "0"]
    assert main(["study", "--profile", "smoke", *arguments, "--only", "02"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"about \d+ trainings and \d+ measurements, then 1 notebooks: about", shown)
    assert "[1/1] 02_reconstructions" in shown and "report: " in shown
    [output] = (folders / "results").glob("smoke/*/02_reconstructions/02_reconstructions.ipynb")
    text = output.read_text()
    assert "own:Sequential:" in text and "nothing to train" in text
    assert not list((folders / "results").glob("smoke/*/03_alpha_tradeoff"))
    assert paths.home() == home
