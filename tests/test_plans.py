"""Which studies a `cladec study` consists of, and how they are computed together."""

import re

import dask
import pandas as pd
import pytest

from cladec_utils import open_study
from cladec_utils.app import execute, plan, series
from cladec_utils.app.cli import main
from cladec_utils.engine import grid, paths
from cladec_utils.errors import CladecError

OTHERS = {"profile": "smoke", "alpha": "0", "layers": None, "neurons": None, "seeds": [0], "alphas": None}


def names(found):
    """(data set, architecture, layers, whether in full) of each study."""
    studies = [(each.study, each.full) for each in found]
    return [(study.data_spec.dataset, study.architecture, study.layers, full) for study, full in studies]


def test_one_study_stands_beside_the_other_architecture():
    found = plan.combinations(None, None, OTHERS)
    assert [(*name, full) for *name, _, full in names(found)] == [
        ("fashion-mnist", "vgg", True),
        ("fashion-mnist", "resnet", False),
    ]
    assert len(plan.combinations(None, ["vgg"], OTHERS)) == 1
    assert len(plan.combinations(None, None, OTHERS | {"layers": ["block4"]})) == 1
    assert len(plan.combinations(None, None, OTHERS | {"profile": "quick"})) == 1  # it is not thorough


def test_a_grid_has_every_combination_and_each_classifier_its_layers(npz):
    layers = ["block4", "stage3", "logits"]
    found = plan.combinations(
        ["fashion-mnist", str(npz())], ["vgg", "resnet"], OTHERS | {"layers": layers, "alphas": ["0", "0.5"]}
    )
    assert names(found) == [
        ("fashion-mnist", "vgg", ("block4", "logits"), True),
        ("fashion-mnist", "resnet", ("stage3", "logits"), True),
        ("set", "vgg", ("block4", "logits"), True),
        ("set", "resnet", ("stage3", "logits"), True),
    ]
    assert all(each.study.profile.alphas == (0.0, 0.5, 0.9) for each in found)
    assert found[0].choices["alphas"] == [0.0, 0.5, 0.9] and found[0].choices["seeds"] == [0]


@pytest.mark.parametrize(
    ("changes", "architectures", "sentence"),
    [
        ({"layers": ["blok4"]}, ["vgg", "resnet"], r"Unknown layer 'blok4'\. Did you mean 'block4'"),
        (
            {"layers": ["block4"]},
            ["vgg", "resnet"],
            "resnet has none of the layers block4",
        ),
        ({"alphas": ["0", "2"]}, ["vgg"], "alpha is '2'; it must be a number from 0"),
        ({}, ["vgg", "alexnet"], "Unknown architecture 'alexnet'"),
    ],
)
def test_what_does_not_fit_gets_a_sentence(changes, architectures, sentence):
    with pytest.raises(CladecError, match=sentence):
        plan.combinations(None, architectures, OTHERS | changes)


@pytest.mark.slow(
    instead="tests/test_plans.py::test_a_grid_has_every_combination_and_each_classifier_its_layers"
)
def test_the_grid_on_the_command_line(folders, monkeypatch, capsys):
    """Two classifiers and chosen alphas: all is measured in one graph, then notebooks only load."""
    home = folders / "home"
    (home / "notebooks").mkdir(parents=True)
    for stem in ("02_reconstructions", "03_alpha_tradeoff"):
        source = paths.home() / "notebooks" / f"{stem}.ipynb"
        (home / "notebooks" / source.name).write_bytes(source.read_bytes())
    monkeypatch.setenv("CLADEC_HOME", str(home))
    monkeypatch.setenv("CLADEC_WORKERS", "2")
    arguments = ["--classifiers", "vgg,resnet", "--layers", "logits", "--alphas", "0,0.5", "--seeds", "0"]
    assert main(["study", "--profile", "smoke", *arguments]) == 0
    shown = capsys.readouterr().out
    counts = [int(total) for total in re.findall(r"^(\d+) artifacts to make", shown, re.MULTILINE)]
    # First the two classifiers and those with random weights, whose neurons are ranked, too.
    assert counts[0] == 4 and len(counts) == 2 and f"[{counts[1]}/{counts[1]}]" in shown
    assert re.search(r"\), about \d+ (s|min) left", shown)
    given = {"layers": ["logits"], "alphas": [0, 0.5], "seeds": [0]}
    for each in plan.combinations(None, ["vgg", "resnet"], OTHERS | given):
        table = pd.read_csv(each.study.folder.path / "evaluations.csv")
        assert {0.0, 0.5, 0.9} <= set(table["alpha"].dropna()) and 0.1 not in set(table["alpha"])
        for path in series.series():
            text = execute.output_of(path, plan.folder_of(path, each.study, each.choices)).read_text()
            assert "nothing to train" in text and not re.search(r"made \d+ artifacts", text)
    before = len(list((folders / "artifacts").glob("*-*")))
    assert main(["study", "--profile", "smoke", *arguments]) == 0
    assert len(list((folders / "artifacts").glob("*-*"))) == before
    unchanged = "unchanged since their last run: 02_reconstructions, 03_alpha_tradeoff"
    assert capsys.readouterr().out.count(unchanged) == 2


def test_a_task_that_ends_its_workers_is_named(folders, monkeypatch, tiny_classifier):
    from dataclasses import replace

    monkeypatch.setenv("CLADEC_WORKERS", "2")
    monkeypatch.setattr(grid, "CLUSTER_WORTH", 0)
    monkeypatch.setattr(grid, "_task", end_the_process)
    fewer = dask.config.set({"distributed.scheduler.allowed-failures": 0})
    with fewer, pytest.raises(CladecError, match="has ended every worker that tried it; perhaps"):
        grid.compute([replace(tiny_classifier, seed=seed) for seed in (1, 2)])


def end_the_process(*_arguments):
    import os

    os._exit(1)


def test_notebooks_that_are_not_there_need_nothing():
    study = plan.combinations(None, ["vgg"], OTHERS)[0]
    assert plan._for_notebooks(study, set()) == []
    assert plan._for_notebooks(study, {path.stem for path in series.series()})


@pytest.mark.parametrize("kind", ["refae", "judge"])
def test_what_is_made_like_an_own_classifier_stays_in_this_process(
    folders, npz, own_classifier, monkeypatch, kind
):
    """Workers cannot know the module, even where none of its own artifacts is asked for."""
    monkeypatch.setenv("CLADEC_WORKERS", "2")
    monkeypatch.setattr(grid, "CLUSTER_WORTH", 0)
    monkeypatch.setattr(grid.clusters, "cluster", None)
    study = open_study("smoke", str(npz()), own_classifier, layers=["1"], seeds=[0, 1])
    specs = [study.refae("1", seed) for seed in study.seeds]
    if kind == "judge":
        specs = [study.evaluation(spec, seed).judge for seed, spec in enumerate(specs)]
    assert set(specs) <= set(grid.compute(specs))
