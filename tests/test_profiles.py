"""Profiles are files: the kit's say what they always said, a user's works wherever a name does."""

import dataclasses
import re

import nbformat
import pandas as pd
import pytest

from cladec_utils import open_study
from cladec_utils.app import execute, plan, series
from cladec_utils.app.cli import main
from cladec_utils.app.cli_user_study import check_subject
from cladec_utils.claims import evidence, required
from cladec_utils.concepts.experiment import open_concepts
from cladec_utils.concepts.experiment import plan as concepts_plan
from cladec_utils.concepts.experiment import side_by_side as concepts_side_by_side
from cladec_utils.engine import paths
from cladec_utils.errors import CladecError
from cladec_utils.saliency import limits
from cladec_utils.saliency.experiment import side_by_side
from cladec_utils.study.folders import Folder
from cladec_utils.study.profiles import PROFILES, for_planted, get_profile
from cladec_utils.user_study.design import design, profile_of, subjects

# Classifier, ClaDec of the logits, RefAE and evaluation of the first layer: what a store holds under these
# names is found. They are written anew when the recipe (`spec.RECIPE`) or a profile changes, and for nothing
# else: `python tests/test_profiles.py` prints what they are now.
HASHES = {
    ("smoke", "fashion-mnist", "vgg"): (
        "19068d044c33d179 48f490328e919f1e 77636d1ad51d126b 17097788c0a387f3"
    ),
    ("smoke", "planted-tint-stripes", "resnet"): (
        "1f89d3a6c0439ab3 3bec98fb7419e205 2b2b76748afefdef ddf25d3917de47cd"
    ),
    ("quick", "fashion-mnist", "vgg"): (
        "5b3b79654e696665 1c2e631f1ab04fd2 01ae9703998b3ba8 22c755bf0d36ec08"
    ),
    ("quick", "fashion-mnist", "resnet"): (
        "d67c2716698e04b5 841f40d995a9ba56 3f7d51a950865082 d661182b482c09a4"
    ),
    ("quick", "planted-tint-stripes", "vgg"): (
        "4eb5098a5d8743f3 8751edb0e212f95f e147de1f75ab7356 80c85555ac6eb9c1"
    ),
    ("standard", "fashion-mnist", "vgg"): (
        "be27c33594d257cb dd8e21fb29de69cd 8804a8da29481e50 6e4b45cea93125fa"
    ),
    ("standard", "fashion-mnist", "resnet"): (
        "51d0c25859ed242e e0b44630a6b52464 0dce06e87dab4130 a1a74fa44e5ad14e"
    ),
    ("paper", "fashion-mnist", "resnet"): (
        "fefe0c031e2cd7fa dddda0f31d655143 bb86fd5aa14415d4 fe7ae5a46b1f77ed"
    ),
}
CONCEPTS = {
    "smoke": ("22d294ed27a9b403", "3fa1b1df7e22ddce", 17),
    "quick": ("d3e4f372ed9e7700", "3e59b393e3b8b25a", 10),
}


def hashes(*named):
    study = open_study(*named)
    first, last = study.layers[0], study.seeds[-1]
    specs = (
        study.classifier(0), study.cladec("logits", 0), study.refae(first, 0),
        study.evaluation(study.cladec(first, last, 0.1), last),
    )  # fmt: skip
    return " ".join(spec.hash for spec in specs)


def hashes_of_concepts(name):
    specs = concepts_plan(open_concepts(name))
    return specs[0].hash, specs[-1].hash, len(specs)


@pytest.mark.parametrize("named", HASHES, ids="-".join)
def test_the_kits_profiles_name_the_specs_that_they_always_named(named):
    assert hashes(*named) == HASHES[named]


@pytest.mark.parametrize("name", CONCEPTS)
def test_and_those_of_planted_concepts(name):
    assert hashes_of_concepts(name) == CONCEPTS[name]


def test_and_the_paper_profiles_planted_trainings():
    """Without the data, as drawing all planted images takes long."""
    p = for_planted(PROFILES["paper"])
    assert (p.n_train, p.n_val, p.n_test) == (None, 0, None)
    trainings = [training.hash for training in (p.classifier, p.decoder, p.probe)]
    assert trainings == ["9a7042be161a811e", "31d523547d9b1de7", "ea350aeadce2b569"]


def write(folder, text, name="mine.toml"):
    path = folder / name
    path.write_text(text)
    return path


def test_a_file_states_only_what_differs(tmp_path):
    text = 'base = "quick"\nseeds = [4, 5]\nwidth = 1\nn_test = "all"\n[decoder]\nepochs = 8\n'
    path = write(tmp_path, text + '[layers]\nvgg = ["block1"]\n[planted.decoder]\nlr = 1\n')
    found, quick = get_profile(path), PROFILES["quick"]
    assert (found.name, found.source) == ("mine", str(path)) and found == get_profile(str(path))
    planted = dataclasses.replace(quick.planted, decoder=dataclasses.replace(quick.planted.decoder, lr=1.0))
    assert found == dataclasses.replace(
        quick, name="mine", source=str(path), seeds=(4, 5), width=1.0, n_test=None, planted=planted,
        decoder=dataclasses.replace(quick.decoder, epochs=8, updates=None),
        layers={"vgg": ("block1",), "resnet": quick.layers["resnet"]},
    )  # fmt: skip
    assert (
        type(found.width) is type(for_planted(found).decoder.lr) is float
    )  # 1 and 1.0 have different hashes
    assert for_planted(found).n_train == 4000 and for_planted(found).decoder.lr == 1


def test_a_whole_file_needs_no_base(tmp_path):
    text = (paths.home() / "cladec_utils/study/profile_files/paper.toml").read_text()
    path = write(tmp_path, "\ufeff" + text)
    assert get_profile(path) == dataclasses.replace(PROFILES["paper"], name="mine", source=str(path))


def test_a_copy_of_the_kits_own_is_the_kits_own_until_it_is_changed(tmp_path):
    path = write(tmp_path, 'base = "smoke"\n', "smoke.toml")
    assert get_profile(path) is PROFILES["smoke"]
    path = write(tmp_path, 'base = "smoke"\nn_test = 64\n', "Smoke.toml")
    with pytest.raises(
        CladecError, match=r"Smoke.toml is called as the kit's own profile smoke but says some"
    ):
        get_profile(path)


def test_the_environment_may_name_a_file(tmp_path, monkeypatch):
    path = write(tmp_path, 'base = "smoke"\nn_test = 64\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLADEC_PROFILE", "mine.toml")
    assert get_profile().source == str(path) and get_profile("quick") is PROFILES["quick"]
    monkeypatch.setenv("CLADEC_PROFILE", "other.toml")
    sentence = (
        rf"There is no profile {tmp_path}/other.toml; .*\(notebooks run in their own\), or one of: smoke"
    )
    with pytest.raises(CladecError, match=sentence):
        get_profile()


WRONG = {
    "sede = [0]": "Unknown entry of FILE: 'sede'. Did you mean 'seeds'",
    "[decoder]\nepoch = 3": r"Unknown entry of \[decoder\] in FILE: 'epoch'. Did you mean 'epochs'",
    "[planted.decoder]\nrate = 3": r"Unknown entry of \[planted.decoder\] in FILE: 'rate'",
    'name = "other"': "Unknown entry of FILE: 'name'",
    "n_train = 0": 'FILE: n_train is 0; it must be an integer from 1 up, or "all"',
    'n_train = "any"': 'FILE: n_train is "any"; it must be an integer from 1 up, or "all"',
    "n_train = 2.5": 'FILE: n_train is 2.5; it must be an integer from 1 up, or "all"',
    "n_val = -1": "FILE: n_val is -1; it must be an integer from 0 up",
    "width = 0": "FILE: width is 0; it must be a number above 0",
    "width = inf": "FILE: width is Infinity; it must be a number above 0",
    f"width = 1{'0' * 400}": "; it must be a number above 0",
    "width = 1979-05-27": 'FILE: width is "1979-05-27"; it must be a number above 0',
    "seeds = [0, 0]": r"FILE: seeds is \[0, 0\]; it must be a list of different integers from 0 to 4294",
    "seeds = []": r"FILE: seeds is \[\]; it must be a list of different integers",
    "seeds = [true]": r"FILE: seeds is \[true\]; it must be a list of different integers",
    "seeds = 3": "FILE: seeds is 3; it must be a list of different integers",
    "seeds = [4294967296]": r"FILE: seeds is \[4294967296\]; it must be a list of different integers",
    "alphas = [0, 1.1]": r"FILE: alphas is \[0, 1.1\]; it must be a list of different numbers from 0 to 1",
    "alphas = [0, nan]": r"FILE: alphas is \[0, NaN\]; it must be a list of different numbers from 0 to 1",
    "alphas = [0, 0.0]": r"FILE: alphas is \[0, 0.0\]; it must be a list of different numbers from 0 to 1",
    'layers = ["block1"]': r'FILE: layers is \["block1"\]; it must be a table with a list of different',
    '[layers]\nvgg = "block1"': "; it must be a table with a list of different layers for each of vgg, r",
    "[swept]\nvgg = []": "FILE: swept is .*; it must be a table with a list of different layers for",
    '[swept]\nvgg = ["blok4"]': "FILE, swept: Unknown layer of vgg 'blok4'. Did you mean 'block4'",
    '[planted_layers]\nvgg16 = ["block1"]': "FILE, planted_layers: Unknown architecture 'vgg16'. Did you",
    'planted_architectures = ["vg"]': "FILE, planted_architectures: Unknown architecture 'vg'",
    'planted_architectures = ["vgg", "vgg"]': "; it must be a list, perhaps empty, of different ones of vgg",
    "decoder_widths = [0.5, 0]": "; it must be a list of different numbers above 0",
    "panel = -1": "FILE: panel is -1; it must be an integer from 0 up",
    'norm = "layer"': 'FILE: norm is "layer"; it must be none or batch',
    "saliency_images = [3]": r"FILE: saliency_images is \[3\]; it must be a list of two integers from 1 up",
    "saliency_images = [3, 0]": "; it must be a list of two integers from 1 up",
    "user_study_images = 3": "FILE: user_study_images is 3; it must be an integer from 4 up",
    "thorough = true": "Unknown entry of FILE: 'thorough'",
    "fewer_seeds = 0": 'FILE: fewer_seeds is 0; it must be an integer from 1 up, or "all"',
    'judge_images = "none"': 'FILE: judge_images is "none"; it must be an integer from 1 up, or "all"',
    'architectures = ["vg"]': "FILE, architectures: Unknown architecture 'vg'. Did you mean 'vgg'",
    'extras = ["control"]': r'FILE: extras is \["control"\]; it must be a list, perhaps empty, of different '
    "ones of half budget, other images, controls, subsets",
    'extras = ["subsets", "subsets"]': "; it must be a list, perhaps empty, of different ones of half budget",
    "extras = [3]": r"FILE: extras is \[3\]; it must be a list, perhaps empty, of different ones of half",
    "decoder = 3": "FILE: decoder is 3; it must be a table",
    "planted.n_val = true": "FILE: planted.n_val is true; it must be an integer from 0 up",
    "[classifier]\nepochs = 0": r"\[classifier\] in FILE: epochs is 0; it must be 1 or more",
    "[classifier]\nepochs = 1.0": "FILE: classifier.epochs is 1.0; it must be an integer",
    "[planted.classifier]\nlr = 0": r"\[planted.classifier\] in FILE: lr: the learning rate is 0.0; it",
    "[decoder]\nweight_decay = -1": r"\[decoder\] in FILE: weight_decay is -1.0; it must be a number from",
    '[probe]\nschedule = "cosin"': r"\[probe\] in FILE: Unknown learning-rate schedule 'cosin'. Did you mean",
    "[probe]\noptimiser = 3": "FILE: probe.optimiser is 3; it must be text in quotes",
    "seeds = [0": "FILE is not TOML: Unclosed array",
}  # fmt: skip


@pytest.mark.parametrize("entry", WRONG, ids=lambda entry: entry[:40])
def test_a_wrong_entry_gets_a_sentence(tmp_path, entry):
    path = write(tmp_path, f'base = "quick"\n{entry}\n')
    with pytest.raises(CladecError, match=WRONG[entry].replace("FILE", re.escape(str(path)))) as caught:
        get_profile(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        (
            "mine.toml",
            "seeds = [0]\n",
            "mine.toml lacks n_train, n_val, .*probe; write what is missing, or be",
        ),
        ("mine.toml", 'base = "quik"\n', "Unknown base in .*mine.toml: 'quik'. Did you mean 'quick'"),
        ("mine.toml", 'Base = "quick"\n', "Unknown entry of .*mine.toml: 'Base'. Did you mean 'base'"),
        (
            "mine.toml",
            "base = 3\n",
            "Unknown base in .*mine.toml: 3. Choose one of: smoke, quick, standard, paper",
        ),
        (
            "my profile.toml",
            'base = "quick"\n',
            "'my profile' must begin with a letter or digit and have only",
        ),
        (
            "mine.txt",
            'base = "quick"\n',
            "mine.txt is no .toml file; give one, or one of: smoke, quick, standard, paper",
        ),
        ("mine.toml", b"\xff\xfe", "mine.toml is not UTF-8 text"),
        ("mine.toml", None, "mine.toml cannot be read: Is a directory"),
    ],
)
def test_a_file_that_is_no_profile(tmp_path, name, text, sentence):
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text) if text else path.mkdir()
    with pytest.raises(CladecError, match=sentence):
        get_profile(str(path))


def test_an_unknown_name_says_that_a_file_may_be_given():
    with pytest.raises(CladecError, match=r"Unknown profile 'mine'. .*named by its file, such as mine.toml"):
        get_profile("mine")


MINE = """
base = "smoke"
n_train = 64
n_val = 0
n_test = 32
seeds = [0]
alphas = [0.0, 0.9]
planted_architectures = ["vgg", "resnet"]
planted.n_train = 64
planted.n_test = 32
"""


@pytest.fixture
def mine(folders, monkeypatch):
    """A small profile of one's own, in the working folder."""
    (folders / "elsewhere").mkdir()
    monkeypatch.chdir(folders)
    return write(folders, MINE)


def test_what_opens_a_profile_again_finds_the_file_from_any_folder(mine, folders, monkeypatch):
    study, concepts = open_study("mine.toml"), open_concepts("mine.toml")
    [chosen, beside] = plan.combinations(None, None, {"profile": "mine.toml"})
    monkeypatch.chdir(folders / "elsewhere")
    others = [*side_by_side(study), *(c.studies[1] for c in concepts_side_by_side(concepts)), beside.study]
    others += [limits.study_like(study), open_study(**chosen.choices), *subjects(chosen.choices)]
    assert len(others) == 2 + 2 + 1 + 4
    assert {(each.profile.name, each.profile.source, each.data_spec.n_train) for each in others} == {
        ("mine", str(mine), 64)
    }
    assert all(spec.subject.seed == 0 for spec in required.alpha_sweep(study))


def test_commands_take_a_file(mine, folders, capsys):
    assert main(["layers", "--profile", "mine.toml"]) == 0
    assert re.search(r"block8 +ConvBlock +128 x 1 x 1", capsys.readouterr().out)
    assert main(["explain", "--profile", "mine.toml", "--layers", "block8", "--out", "out.png"]) == 0
    assert (folders / "out.png").is_file()
    write(folders, MINE + "width = -1\n")
    assert main(["scorecard", "--profile", "mine.toml"]) == 2
    assert "mine.toml: width is -1; it must be a number above 0" in capsys.readouterr().err


@pytest.mark.slow(instead="tests/test_profiles.py::test_commands_take_a_file")
def test_notebooks_scorecard_and_report_take_a_file(mine, folders, capsys):
    """02 in a process and a folder of its own; then what reads its results, and whether it is run again."""
    [chosen] = plan.combinations(None, None, {"profile": "mine.toml", "layers": ["logits"]})
    [path] = [p for p in series.series() if p.stem == "02_reconstructions"]
    folder = plan.folder_of(path, chosen.study, chosen.choices)
    assert folder.name.endswith("-vgg-layers_logits")
    output = folders / "results/mine" / folder.name / "02_reconstructions" / path.name
    assert execute.run_notebook(path, folder, chosen.choices)
    assert "profile mine: fashion-mnist (64 training, 32 test images" in str(nbformat.read(output, 4).cells)
    evidence.record(chosen.study, required.reconstructions(chosen.study), {})
    assert main(["scorecard", "--profile", "mine.toml", "--study", folder.name]) == 0
    card = pd.read_csv(folder.path / "scorecard" / "scorecard.csv")
    assert set(card.loc[card["claim"] == "C2", "layer"]) == {"logits"}
    assert main(["report", "--profile", str(mine)]) == 0
    assert "ClaDec report: mine profile" in (folders / "results/mine/report/index.html").read_text()
    assert execute.is_current(path, folder, chosen.choices)
    write(folders, MINE + "[decoder]\nepochs = 2\n")
    changed = plan.folder_of(path, open_study(**chosen.choices), chosen.choices)
    assert changed.path == folder.path and not execute.is_current(path, changed, chosen.choices)


def test_a_notebook_without_parameters_gets_the_file_from_the_environment(mine, folders):
    source = "import cladec_utils as cu\nassert cu.get_profile().n_train == 64, cu.get_profile()"
    cells = [nbformat.v4.new_code_cell("unused = 1", metadata={"tags": ["parameters"]})]
    path = folders / "elsewhere" / "00_asks.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[*cells, nbformat.v4.new_code_cell(source)]), path)
    assert execute.run_notebook(path, Folder("mine", "out", {}), {"profile": str(mine)})


def test_a_user_study_of_other_trainings_is_told_apart(mine):
    """A file that trains as smoke does makes smoke's networks; with one more epoch they are others."""
    write(mine.parent, 'base = "smoke"\n[planted.decoder]\nepochs = 2\n')
    specs = {p: design(*subjects({"profile": p}), images=4, shown=2) for p in ("smoke", "mine.toml")}
    explained = {p: [e.to_json() for e in spec.explained] for p, spec in specs.items()}
    assert [profile_of(e[0]) for e in explained.values()] == ["smoke", ""]
    check_subject(explained["mine.toml"], specs["mine.toml"])
    with pytest.raises(CladecError, match="than these options name; give --profile smoke"):
        check_subject(explained["smoke"], specs["mine.toml"])
    with pytest.raises(CladecError, match="name; give the --profile that it was generated with"):
        check_subject(explained["mine.toml"], specs["smoke"])


if __name__ == "__main__":
    print("HASHES =", {named: hashes(*named) for named in HASHES})
    print("CONCEPTS =", {name: hashes_of_concepts(name) for name in CONCEPTS})
