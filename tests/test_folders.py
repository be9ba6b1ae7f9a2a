"""Results folders: keyed so that nothing overwrites anything else, and read together only if they belong."""

import dataclasses
import json
import shutil

import nbformat
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cladec_utils import notebook
from cladec_utils.app import execute, plan, report, series
from cladec_utils.claims import effects, evidence, scorecard
from cladec_utils.claims.interval import effect
from cladec_utils.concepts.experiment import open_concepts
from cladec_utils.engine import paths
from cladec_utils.errors import CladecError
from cladec_utils.study import folders as results
from cladec_utils.study.folders import GENERAL, Folder
from cladec_utils.study.study import open_study
from cladec_utils.user_study.materials.folder import folder_of


def test_the_profiles_own_choices_have_one_folder_however_they_are_named():
    study = open_study("smoke")
    assert study.folder.name == f"fashion-mnist-{study.data_spec.fingerprint[:6]}-vgg"
    assert not study.folder.differs
    named = open_study(
        "smoke", "fashion-mnist", "vgg", study.layers, (0, 1), 0, None, 32, alphas=(0, 0.1, 0.9)
    )
    assert named.folder == study.folder
    assert open_study("smoke", layers=["logits", "block4"]).folder == study.folder  # in whatever order
    assert open_study("smoke", architecture="resnet").folder.name.endswith("-resnet")


@pytest.mark.parametrize(
    ("choices", "tail"),
    [
        ({"layers": ["logits"]}, "-layers_logits"),
        ({"layers": ["block8", "block4"]}, "-layers_block4+block8"),
        ({"seeds": [0, 1, 2, 3, 4]}, "-seeds_0+1+2+3+4"),
        ({"alpha": 0.001}, "-alpha_0.001"),
        ({"alphas": [0, 0.9]}, "-alphas_0.0+0.9"),
        ({"neurons": [0, 3]}, "-neurons_0+3"),
        ({"image_size": 16}, "-image_size_16"),
        ({"layers": ["logits"], "seeds": [3]}, "-layers_logits-seeds_3"),
    ],
)
def test_what_differs_is_in_the_name(choices, tail):
    study, usual = open_study("smoke", **choices), open_study("smoke")
    assert study.folder.name == usual.folder.name + tail
    assert list(study.folder.differs) == list(choices)


def test_a_long_difference_becomes_a_checksum_of_its_own():
    found = {open_study("smoke", seeds=range(first, first + 40)).folder.name for first in (0, 1)}
    assert len(found) == 2 and all("-other-" in name and len(name) < 50 for name in found)
    close = {open_study("smoke", alpha=alpha).folder.name for alpha in (0.12345671, 0.12345672)}
    assert len(close) == 2
    study = open_study("smoke")
    wider = dataclasses.replace(study, profile=dataclasses.replace(study.profile, width=0.5))
    assert wider.folder.name == f"{study.folder.name}-width_0.5"


def test_two_data_sets_of_one_name_have_folders_of_their_own(tmp_path, photos, npz):
    for name in ("a", "b"):
        shutil.copytree(photos, tmp_path / name / "photos")
    shutil.copy(photos / "ants" / "0.png", tmp_path / "b" / "photos" / "bees" / "6.png")
    first, second = (open_study("smoke", str(tmp_path / name / "photos")).folder.name for name in ("a", "b"))
    assert first != second and all(name.startswith("photos-") for name in (first, second))
    assert open_study("smoke", str(photos)).folder.name == first  # the same images elsewhere
    assert open_study("smoke", str(photos), image_size=24).folder.name == f"{first}-image_size_24"
    one, other = (study.folder.name for study in scans(tmp_path, npz))
    assert one != other and one.startswith("scans-") and other.startswith("scans-")


def test_photos_of_several_sizes_have_no_usual_one(photos):
    Image.new("RGB", (24, 20)).save(photos / "ants" / "0.png")
    folders = [open_study("smoke", str(photos), image_size=size).folder for size in (16, 24)]
    assert [folder.name.split("-")[2] for folder in folders] == ["16px", "24px"]
    assert not any(folder.differs for folder in folders)


def scans(folder, npz):
    """The studies of two different files of one name."""
    for name, classes in (("c", 3), ("d", 4)):
        (folder / name).mkdir()
        yield open_study("smoke", str(npz(f"{name}/scans.npz", labels=np.arange(60) % classes)))


def test_a_classifier_of_the_users_is_part_of_the_name(npz, own_classifier):
    study = open_study("smoke", str(npz()), own_classifier, layers=["1"], seeds=[0, 1])
    assert "-own-Sequential-" in study.folder.name and study.folder.name.endswith("-layers_1")
    assert results.in_words(study.folder.differs) == {"layers": "1 instead of none"}


def test_planted_concepts_are_keyed_by_the_same_rule():
    usual = open_concepts("quick").folder
    assert usual.name.startswith("planted-concepts-") and usual.name.endswith("-vgg") and not usual.differs
    assert open_concepts("quick", "vgg", ("block8",), (0,)).folder.name == usual.name
    others = [
        open_concepts("quick", "resnet"),
        open_concepts("quick", layers=["block4"]),
        open_concepts("quick", seeds=[1]),
    ]
    names = {usual.name, *(each.folder.name for each in others)}
    assert len(names) == 4
    assert names.isdisjoint({study.folder.name for each in others for study in each.studies})


def put(study, name="saliency", claim="C6", mean=0.1):
    """A row of the scorecard, recorded for a study."""
    e = effect([np.full(20, mean) + np.linspace(0, 0.01, 20)] * 2, 0.01, 2)
    effects.record_effects(study, name, [(claim, "logits", "a map", e)])


def rows(*these):
    card = effects.scorecard("smoke", these or None)
    return card[card["claim"] == "C6"]


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_an_experiment_leaves_the_study_as_it_is(folders):
    """Exercise 2 of 00: other layers, in a notebook that records figures, tables and effects."""
    study, experiment = open_study("smoke"), open_study("smoke", layers=["logits"])
    for of, value in ((study, 1.0), (experiment, 2.0)):
        before = contents(study.folder.path)
        notebook.record(of, "00_start_here", {"mse": value})
        notebook.save_table(of, "reconstructions", pd.DataFrame({"value": [value]}))
        put(of, mean=value)
    assert before and contents(study.folder.path) == before
    said = json.loads((experiment.folder.path / results.CHOICES).read_text())
    assert said["differs"] == {"layers": "logits instead of block4, logits"}
    assert said["made_from"]["dataset"] == "fashion-mnist" and said["made_from"]["seeds"] == [0, 1]


def test_a_scorecard_leaves_experiments_out_and_says_so(folders):
    study, experiment = open_study("smoke"), open_study("smoke", layers=["logits"])
    with pytest.raises(CladecError, match=r"There is no results folder 'x' in .*; run `cladec study`"):
        effects.scorecard("smoke", ["x"])
    put(study, mean=0.1)
    assert scorecard.left_out("smoke") == ""
    put(experiment, mean=-0.9)
    assert rows()["effect"].round(1).tolist() == [0.1]
    name = experiment.folder.name
    assert f"{name} (layers logits instead of block4, logits)" in scorecard.left_out("smoke")
    assert rows(name)["effect"].round(1).tolist() == [-0.9]
    assert f"{study.folder.name} (the profile's own choices)" in scorecard.left_out("smoke", [name])
    both = rows(study.folder.name, name)
    assert both["dataset"].tolist() == [f"fashion-mnist ({n})" for n in (study.folder.name, name)]
    with pytest.raises(CladecError, match=f"Unknown results folder 'fashion-mnist'.*{name}"):
        effects.scorecard("smoke", ["fashion-mnist"])


def test_scorecards_of_experiments_are_written_beside_the_profiles(folders):
    study, experiment = open_study("smoke"), open_study("smoke", seeds=[0, 1, 2])
    put(study)
    put(experiment)
    _, usual = scorecard.write("smoke")
    before = contents(usual)
    _, folder = scorecard.write("smoke", [experiment.folder.name])
    assert folder == experiment.folder.path / "scorecard" and contents(usual) != {}
    assert contents(usual) == before
    for page in ("scorecard.md", "scorecard.html"):
        assert f"{experiment.folder.name} (seeds 0, 1, 2 instead of 0, 1)" in (usual / page).read_text()


def test_folders_of_an_earlier_layout_are_ignored_in_one_sentence(folders):
    put(open_study("smoke"))
    old = paths.results_dir("smoke") / "fashion-mnist-vgg"
    old.mkdir()
    (old / "evaluations.csv").write_text("layer,hash\n1,2\n")
    assert scorecard.left_out("smoke") == (
        "Ignored, as it is of an earlier layout of results: fashion-mnist-vgg."
    )
    assert len(rows()) == 1


def test_two_data_sets_of_one_name_are_told_apart_on_a_scorecard(folders, npz):
    for study in scans(folders, npz):
        put(study)
    found = rows()
    assert (
        len(found) == 2
        and found["dataset"].nunique() == 2
        and found["dataset"].str.startswith("scans (").all()
    )


# --- notebooks ----------------------------------------------------------------------------------

PARAMETERS = {
    "00_start_here": ["profile", "dataset", "architecture", "layers", "seeds", "alpha"],
    "03_alpha_tradeoff": ["profile", "dataset", "architecture", "layers", "seeds", "alpha", "alphas"],
    "05_planted_concepts": ["profile", "architecture", "layers", "seeds"],
    "09_scorecard": ["profile", "folders"],
    "A1_linear_case": ["n_train"],
}


@pytest.fixture
def copied(folders, monkeypatch):
    """A series of empty notebooks with the parameters of ours, "executed" by copying: which, in order."""
    (folders / "home" / "notebooks").mkdir(parents=True)
    monkeypatch.setenv("CLADEC_HOME", str(folders / "home"))
    for stem, names in PARAMETERS.items():
        tags = ["parameters"] + [execute.READS_RESULTS] * (stem == "09_scorecard")
        source = "\n".join(f"{name} = None" for name in names)
        cells = [nbformat.v4.new_markdown_cell(f"# {stem}\n\nWhat?")]
        cells += [nbformat.v4.new_code_cell(source, metadata={"tags": tags})]
        nbformat.write(
            nbformat.v4.new_notebook(cells=cells), folders / "home" / "notebooks" / f"{stem}.ipynb"
        )
    done = []

    def copy(path, output, parameters, *_others):
        done.append((path.stem, parameters))
        shutil.copy(path, output)

    monkeypatch.setattr(execute, "execute", copy)
    return done


def run(**choices):
    """What `cladec study` runs, without its trainings: the folders that its report is about."""
    names = {name: [choices.pop(name)] if name in choices else None for name in ("dataset", "architecture")}
    chosen = plan.combinations(*names.values(), {"profile": "smoke", **choices})
    these = plan.experiment_folders(chosen, series.series())
    for each in (each for each in chosen if each.full):
        series.run_series(each.study, each.choices | {"folders": these})
    return these


def test_notebooks_without_a_data_set_stay_current(copied, npz):
    """05 and A1, whatever else was studied since."""
    run(architecture="vgg")
    assert [stem for stem, _ in copied] == [*list(PARAMETERS)[:3], "A1_linear_case", "09_scorecard"]
    run(architecture="resnet")
    run(architecture="vgg", dataset=str(npz()))
    run(architecture="vgg", seeds=[0])
    copied.clear()
    for choices in ({}, {"architecture": "resnet"}, {"dataset": str(npz())}, {"seeds": [0]}):
        run(**{"architecture": "vgg", **choices})
    assert copied == []


def test_an_empty_folder_of_responses_is_like_none(folders):
    """08 makes it, and would else be run a second time."""
    before = execute._user_study({"profile": "smoke"})
    given = open_study("smoke", "planted-tint-stripes").folder.path / "user_study" / "responses"
    given.mkdir(parents=True)
    assert execute._user_study({"profile": "smoke"}) == before
    (given / "p1.json").write_text("{}")
    assert execute._user_study({"profile": "smoke"}) != before


def test_a_user_study_is_keyed_by_the_layer_and_the_training_it_asks_about():
    """The command in a generated folder names both, and must find that folder again."""
    usual = open_study("smoke", "planted-tint-stripes")
    named = open_study("smoke", "planted-tint-stripes", "vgg", ["block4"], [0])
    assert named.folder != usual.folder and folder_of(named) == folder_of(usual)
    assert folder_of(usual).parent == usual.folder.path
    others = [{"layers": ["logits"]}, {"seeds": [1]}, {"alpha": 0.1}, {"layers": ["block2"], "seeds": [1]}]
    found = {folder_of(open_study("smoke", "planted-tint-stripes", **other)) for other in others}
    assert len(found | {folder_of(usual)}) == 5
    more = open_study("smoke", "planted-tint-stripes", layers=["block1", "logits", "block4"], seeds=[1, 0])
    assert folder_of(more).parent.name == f"{usual.folder.name}-seeds_1"


def test_each_notebook_goes_to_the_folder_of_what_it_shows(copied):
    these = run(architecture="vgg", alphas=[0, 0.5], seeds=[0])
    study = open_study("smoke", seeds=[0])
    swept = open_study("smoke", seeds=[0], alphas=[0, 0.5, 0.9])
    concepts = open_concepts("smoke", "vgg", None, [0])
    assert these == [study_.folder.name for study_ in (swept, study, concepts)]
    card = results.of_scorecard("smoke", these).folder
    homes = (study, swept, concepts)
    wanted = dict(zip(PARAMETERS, [*(each.folder.name for each in homes), card.name, GENERAL], strict=True))
    found = {p.parent.name: p.parent.parent.name for p in paths.results_dir("smoke").glob("*/*/run.json")}
    assert found == wanted
    assert copied[-1] == ("09_scorecard", {"profile": "smoke", "folders": these})


def test_a_run_with_the_profiles_own_choices_belongs_to_all_of_them(copied, npz):
    assert run(architecture="vgg", dataset=str(npz())) is None
    assert copied[-1] == ("09_scorecard", {"profile": "smoke"})


def test_an_experiment_has_a_report_of_its_own(copied):
    run(architecture="vgg")
    put(open_study("smoke"), mean=0.1)
    page = report.build("smoke")
    before = contents(page.parent)
    these = run(architecture="vgg", seeds=[0])
    put(open_study("smoke", seeds=[0]), mean=-0.9)
    own = report.build("smoke", these)
    assert own.parent.parent.name == these[0] == open_study("smoke", seeds=[0]).folder.name
    assert contents(page.parent) == before
    pages = {p.name for p in own.parent.glob("*.html")}
    card = results.of_scorecard("smoke", these).folder.name
    assert f"{card}-09_scorecard.html" in pages and f"{GENERAL}-A1_linear_case.html" in pages
    assert len(pages) == 1 + len(PARAMETERS)
    assert "-0.895" in own.read_text() and "-0.895" not in page.read_text()
    assert these[0] in report.build("smoke").read_text()


def test_a_report_of_an_earlier_layout_only_says_so(folders):
    old = paths.results_dir("smoke") / "general" / "09_scorecard"
    old.mkdir(parents=True)
    (old / execute.RUN).write_text("{}")
    with pytest.raises(CladecError, match="of an earlier layout, and ignored: general"):
        report.build("smoke")


def test_a_notebook_of_no_study_records_other_numbers_elsewhere(folders):
    usual = {"n_train": 6000}
    for number in (6000, 100):
        notebook.record_plain("A1_linear_case", {"mse": number}, "smoke", {"n_train": number}, usual)
    found = {p.parent.parent.name for p in paths.results_dir("smoke").glob("*/*/metrics.json")}
    assert found == {GENERAL, f"{GENERAL}-n_train_100"}


def test_the_same_settings_in_two_folders_are_counted_once(folders):
    """Evaluations that an experiment shares with the study, read together, are the same rows."""
    study, experiment = open_study("smoke"), open_study("smoke", layers=["logits"])
    row = {name: kind() for name, kind in evidence.COLUMNS.items()}
    row |= {"dataset": "fashion-mnist", "architecture": "vgg", "layer": "logits", "method": "ClaDec"}
    row |= {"metric": "mse", "neurons": "all", "expected_seeds": 2, "budget": 1.0}
    for each in (study, experiment):
        each.folder.write(evidence.TABLE, pd.DataFrame([row]).to_csv(index=False))
    card = effects.scorecard("smoke", [study.folder.name, experiment.folder.name])
    assert len(card[card["claim"] == "C4"]) == 1


def test_a_folder_says_what_it_is_wherever_something_is_written_to_it(folders):
    Folder("smoke", "x", {"a": 1}, {"a": (1, 2)}).write("deep/er.txt", "text")
    assert results.known("smoke", "*/er.txt") == {
        "x": {"made_from": {"a": 1}, "differs": {"a": "1 instead of 2"}}
    }
