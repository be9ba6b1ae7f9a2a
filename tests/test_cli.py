import json
import os
import re
import subprocess
import sys
import warnings

import pytest
import torch
from conftest import ADAM
from PIL import Image

import cladec_utils as cu
from cladec_utils.app import cli, commands, options
from cladec_utils.app.cli import CLOSED_PIPE, main
from cladec_utils.engine import store
from cladec_utils.errors import CladecError, CladecNote
from cladec_utils.study.explainers import ClaDecSpec


def test_notes_are_plain_sentences_and_other_warnings_are_not():
    with cli._plain_notes():
        assert warnings.formatwarning("2 left out.", CladecNote, "x.py", 1) == "cladec: 2 left out.\n"
        assert "x.py:1: UserWarning: odd" in warnings.formatwarning("odd", UserWarning, "x.py", 1)
    assert "x.py" in warnings.formatwarning("2 left out.", CladecNote, "x.py", 1)


def run(capsys, *arguments):
    code = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize("command", ["study", "explain"])
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--profile", "quik"],
            r"Unknown profile 'quik'. Did you mean 'quick'\? Choose one of: smoke, quick, standard, paper",
        ),
        (["--dataset", "fashion-mnst"], "Unknown data set .*'fashion-mnst'. Did you mean 'fashion-mnist'"),
        (["--dataset", "/nowhere/set.npz"], "There is no file /nowhere/set.npz"),
        (["--architecture", "vgg16"], r"Unknown architecture 'vgg16'. Did you mean 'vgg'"),
        (["--layers", "block44"], r"Unknown layer 'block44'. Did you mean 'block4'\?.*block1.*logits"),
        (["--layers", "block4", "--neurons", "0,32"], "Neuron 32 is out of range: .* 0 to 31"),
        (["--neurons", "one"], "--neurons: 'one' is no comma-separated list of integers"),
        (["--alpha", "-0.1"], "alpha is '-0.1'; it must be a number from 0"),
        (["--alpha", "1.5"], "alpha is '1.5'"),
        (["--alpha", "abc"], "alpha is 'abc'"),
        (["--seeds", "-1"], r"The seeds are \[-1\]"),
        (["--seeds", "90000000000000000000"], r"The seeds are \[90000000000000000000\]; .* at most"),
        (["--seeds", "9e19"], "--seeds?.*: .9e19. is no comma-separated list of integers"),
        (["--image-size", "30"], "image_size is 30; it must be a multiple of 8"),
        (["--image-size", "0"], "--image-size: '0' is not an integer above 0"),
        (["--dataset", ""], "--dataset: a value is empty; give one, or leave the option out"),
    ],
)
def test_bad_input_gets_one_sentence_and_exit_code_2(folders, capsys, command, arguments, sentence):
    code, _, error = run(capsys, command, "--profile", "smoke", *arguments)
    assert code == 2 and re.search(sentence, error)
    assert error.strip().count("\n") == 0 and not (folders / "artifacts").exists()


def test_an_image_of_another_size_and_a_corrupt_png(folders, photos, capsys):
    Image.new("RGB", (24, 24)).save(photos / "bees" / "5.png")
    code, _, error = run(capsys, "study", "--profile", "smoke", "--dataset", photos)
    assert code == 2 and "5.png has 24x24 pixels" in error
    (photos / "bees" / "5.png").write_bytes(b"no image")
    code, _, error = run(capsys, "study", "--profile", "smoke", "--dataset", photos)
    assert code == 2 and "5.png cannot be read as an image" in error


def test_a_results_folder_that_cannot_be_written(folders, capsys, monkeypatch):
    (folders / "file").write_text("")
    monkeypatch.setenv("CLADEC_RESULTS", str(folders / "file"))
    code, _, error = run(capsys, "study", "--profile", "smoke")
    assert code == 2 and "Cannot write to" in error and not (folders / "artifacts").exists()


def test_layers_are_listed(folders, capsys):
    code, shown, _ = run(capsys, "layers", "--profile", "smoke", "--architecture", "resnet")
    assert code == 0 and re.search(r"stage5 +ResidualBlock +128 x 1 x 1", shown)


def test_artifacts_are_listed_and_removed(folders, capsys, tiny_classifier):
    store.get(tiny_classifier, progress=False)
    code, shown, _ = run(capsys, "artifacts")
    assert code == 0 and tiny_classifier.name in shown and "1 artifacts" in shown
    code, _, error = run(capsys, "artifacts", "--remove", "cladec-none")
    assert code == 2 and "There is no artifact 'cladec-none'" in error and store.exists(tiny_classifier)
    assert run(capsys, "artifacts", "--remove", "all")[0] == 0 and not store.exists(tiny_classifier)


def test_artifacts_are_told_apart_in_a_table(folders, capsys, tiny_classifier):
    cladec = ClaDecSpec(tiny_classifier, "block4", ADAM, 7, 0.25, (0, 2))
    store.get(cladec, progress=False)
    path = folders / "artifacts" / tiny_classifier.name / store.RECORD
    record = json.loads(path.read_text())
    record["code"]["sha256"], record["created"] = "0" * 16, "2020-01-01T00:00:00+0000"
    del record["record_sha256"]
    path.write_text(json.dumps(record | {"record_sha256": store._record_checksum(record)}))
    _, shown, _ = run(capsys, "artifacts")
    heading, first, second, totals, *_ = shown.splitlines()
    assert re.sub(" +", " ", heading) == "data set layer alpha seed age seconds MB name note"
    assert re.fullmatch(
        rf"fashion-mnist +block4\[2\] +0\.25 +7 +(?:now|\d min) +\d+\.\d +\d+\.\d\d +{cladec.name}", first
    )
    assert re.fullmatch(
        rf"fashion-mnist +0 +\d{{4,}} d +\d+\.\d +\d+\.\d\d +{tiny_classifier.name} +other code", second
    )
    assert re.match(r"2 artifacts, \d\.\d MB, \d+ s of work, 1 made by other code", totals)
    assert not store.get(tiny_classifier).fresh  # it is as valid


@pytest.mark.parametrize(("argument", "lines"), [("--help", 0), ("artifacts", 0), ("artifacts", 1)])
def test_a_reader_that_has_seen_enough_ends_a_command_quietly(folders, tmp_path, argument, lines):
    """As `| head` does, before the first line and after it."""
    for i in range(3000):  # more than a pipe holds
        (tmp_path / "artifacts" / f"classifier-{i:016x}").mkdir(parents=True)
    with subprocess.Popen(
        [sys.executable, "-m", "cladec_utils", argument],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": ""},  # else argparse would hear of it and say nothing
    ) as process:
        for _ in range(lines):
            assert process.stdout.readline().startswith(b"data set")
        process.stdout.close()
        error = process.stderr.read()
    assert process.returncode == CLOSED_PIPE and error == b""


def test_report_without_runs_gets_a_sentence(folders, capsys):
    code, _, error = run(capsys, "report", "--profile", "smoke")
    assert code == 2 and "run `cladec study` first" in error


def test_own_classifier_is_explained_end_to_end(folders, npz, own_classifier):
    """Any nn.Module: ClaDec, RefAE and evaluation of a network with in-place ReLUs on a user's .npz."""
    study = cu.open_study("smoke", str(npz()), own_classifier.train(), layers=["1", "3"], seeds=[0])
    before = {k: v.clone() for k, v in own_classifier.state_dict().items()}
    table = cu.evaluation.tidy(cu.required.reconstructions(study))
    assert set(table["method"]) == {"original", "ClaDec", "RefAE", "PCA"}
    assert set(table["layer"]) == {"", "1", "3"}
    kept = cu.classifiers.classifier(study.classifier(0)).state_dict()
    assert all(torch.equal(before[k], kept[k]) for k in before)
    refae = cu.explainers.explainer(study.refae("1", 0)).encoder.classifier.state_dict()
    assert not torch.equal(refae["0.weight"], before["0.weight"])


def test_own_classifier_without_layers_lists_them(folders, npz, own_classifier):
    with pytest.raises(CladecError, match=r"Name the layers to explain\. Begin .* has: 0, 1, 2, 3"):
        cu.open_study("smoke", str(npz()), own_classifier)


def test_a_folder_of_the_name_of_a_data_set_is_no_obstacle(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("mnist", "mine"):
        (tmp_path / name).mkdir()
    assert options.place("mnist") == "mnist" and options.place("mine") == str(tmp_path / "mine")
    assert options.place("./mnist") == str(tmp_path / "mnist")


def test_two_studies_may_probe_a_folder_at_once(tmp_path, monkeypatch):
    write = store.write_text

    def write_then_lose(path, text):
        write(path, text)
        path.unlink()  # as another process of the same number, on another machine, does

    monkeypatch.setattr(store, "write_text", write_then_lose)
    commands.check_writable(tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_was_set_aside_is_listed_and_removed(folders, capsys, tiny_classifier):
    store.get(tiny_classifier, progress=False)
    (folders / "artifacts" / tiny_classifier.name / store.TENSORS).write_bytes(b"")
    assert store.find(tiny_classifier) is None
    name = next((folders / "artifacts" / "damaged").iterdir()).name
    assert f"damaged/{name}" in run(capsys, "artifacts")[1]
    assert run(capsys, "artifacts", "--remove", f"damaged/{name}")[0] == 0
    assert "0 artifacts" in run(capsys, "artifacts")[1]


SCRIPT = """
import cladec_utils as cu
from cladec_utils.engine import grid
study = cu.open_study("smoke", layers=["logits"])
grid.compute([study.classifier(seed) for seed in range(4)])
"""


def test_a_script_without_its_guard_gets_a_sentence(folders):
    """Workers begin by running it again, and would start workers themselves."""
    (folders / "script.py").write_text(SCRIPT)
    environment = os.environ | {"CLADEC_WORKERS": "2"}
    command = [sys.executable, str(folders / "script.py")]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert shown.returncode == 1 and shown.stderr.count("Traceback") == 1
    assert 'must do its work below `if __name__ == "__main__":`' in shown.stderr.splitlines()[-1]
