"""Truths and the generated folder of a user study."""

import hashlib
import json
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cladec_utils import open_study
from cladec_utils.app.cli import main
from cladec_utils.data import datasets
from cladec_utils.data.planted import render
from cladec_utils.data.sources import read_source
from cladec_utils.errors import CladecError
from cladec_utils.models import inference
from cladec_utils.study import classifiers, explainers
from cladec_utils.user_study.design import DEFAULT, design
from cladec_utils.user_study.edits import EDITS, TARGET_RMS, edit, object_mask
from cladec_utils.user_study.materials.folder import KeptError, generate, refresh
from cladec_utils.user_study.materials.settings import REQUIRED, blank, unfilled
from cladec_utils.user_study.materials.stimuli import flips_shown, interventional, items

SETTINGS = blank() | dict.fromkeys(REQUIRED, "filled in")


@pytest.fixture(scope="module")
def draft(planted, tmp_path_factory):
    """A generated draft of the small planted study; to be copied, not changed."""
    folder = tmp_path_factory.mktemp("draft") / "study"
    generate(planted[0], folder)
    return folder


@pytest.fixture
def folder(draft, tmp_path):
    """A draft of one's own."""
    return Path(shutil.copytree(draft, tmp_path / "study"))


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A store with the stimuli of a small planted study: its spec and its items."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLADEC_ARTIFACTS", str(tmp_path_factory.mktemp("store")))
        patch.setenv("CLADEC_WORKERS", "1")
        first, second = (open_study("smoke", name) for name in DEFAULT)
        spec = design(first, second, images=4, shown=2)
        yield spec, items(spec, progress=False)


# --- truths -------------------------------------------------------------------------------------


def garment(channels):
    """A bright textured square on a dark ground."""
    image = torch.full((1, channels, 32, 32), 0.1)
    level = torch.linspace(0.4, 0.8, channels).view(-1, 1, 1)
    image[0, :, 8:24, 8:24] = level + 0.1 * (torch.arange(16) % 4 // 2)
    return image


@pytest.mark.parametrize("concept", EDITS)
def test_edits_have_the_same_size_and_keep_to_their_place(concept):
    x = garment(3)
    changed, reached = edit(x, concept)
    rms = (changed - x).square().mean().sqrt().item()
    assert rms == pytest.approx(reached.item(), abs=1e-6) and rms == pytest.approx(TARGET_RMS, rel=0.02)
    moved, mask = (changed - x).abs().amax(1) > 1e-6, object_mask(x)[:, 0].bool()
    assert mask.sum() == 256
    inside = {"background": ~mask, "shape": ~mask}.get(concept, mask)
    assert moved.any() and not (moved & ~inside).any()
    if concept.endswith("part"):
        rows = moved.any(2)[0].nonzero().squeeze()
        assert rows.max() < 15 if concept.startswith("upper") else rows.min() > 16


def test_an_edit_that_cannot_reach_its_size_says_so():
    grey = garment(1).repeat(1, 3, 1, 1)
    changed, reached = edit(grey, "colour")
    assert torch.equal(changed, grey) and reached.item() == 0
    assert interventional(0.0, reached.item()) is None and interventional(0.9, 0.02) is True
    assert interventional(0.05, TARGET_RMS) is False and interventional(0.1, TARGET_RMS) is None


@pytest.mark.numeric
def test_truth_a_is_what_the_classifier_does(planted):
    """Total variation, computed again from the networks for one concept of one item."""

    spec, found = planted
    for item in found.main[:2]:
        network = classifiers.classifier(spec.explained[item.classifier].classifier)
        x = datasets.load(spec.explained[0].classifier.data).test.images[item.image : item.image + 1] / 255
        assert torch.equal(item.pictures["x"], x[0])
        for concept in ("brightness", "background"):
            before, after = (inference.predict(network, v).softmax(1) for v in (x, edit(x, concept)[0]))
            assert item.shift[concept] == pytest.approx((before - after).abs().sum().item() / 2, abs=1e-4)


def test_truth_b_is_opposite_under_the_two_classifiers(planted):
    spec, found = planted
    assert [i.classifier for i in found.main] == [0, 1] * 4
    for one, two in zip(found.main[::2], found.main[1::2], strict=True):
        assert one.image == two.image and torch.equal(one.pictures["x"], two.pictures["x"])
        assert one.truth_b == {
            "colour": True, "texture": True, "brightness": False, "background": False,
            "shape": None, "upper part": None,
        }  # fmt: skip
        assert all(two.truth_b[c] == (None if t is None else not t) for c, t in one.truth_b.items())
        assert {c for c, v in one.planted.items() if not np.isnan(v)} == {
            c for c, t in one.truth_b.items() if t is not None
        }
    data = spec.explained[0].classifier.data
    chosen = torch.tensor([i.image for i in found.main[::2]])
    scenes = read_source(data.dataset).test.scenes.subset(datasets.chosen_images(data)[2][chosen])
    assert torch.equal(render(scenes), datasets.load(data).test.images[chosen])


def test_practice_and_example_are_other_images(planted):
    spec, found = planted
    others = [*(i.image for i in found.practice), found.example.image]
    assert len(found.practice) == spec.practice and len(set(others)) == spec.practice + 1
    assert not set(others) & {i.image for i in found.main}
    assert [i.classifier for i in found.practice] == [0, 1]


def test_how_much_of_a_flip_a_picture_shows(planted, monkeypatch):
    """All of it by a decoder that copies, half by one that halves, nothing by a blank one."""

    spec, _ = planted
    shown = flips_shown(spec)
    assert set(shown) == {"colour", "brightness", "texture", "background"}
    assert all(set(row) == {"x_r", "x_e_0", "x_e_1"} for row in shown.values())
    assert all(np.isfinite(list(row.values())).all() for row in shown.values())
    for share in (1, 0.5, 0):
        monkeypatch.setattr(explainers, "explainer", lambda _, share=share: share)
        monkeypatch.setattr(inference, "predict", lambda share, images: share * images / 255)
        values = [v for row in flips_shown(spec).values() for v in row.values()]
        assert values == pytest.approx([share] * len(values))


# --- the folder ---------------------------------------------------------------------------------


def checksums(folder):
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.glob("**/*") if p.is_file()
    }  # fmt: skip


def test_the_same_spec_gives_the_same_files(planted, draft, tmp_path):
    spec, _ = planted
    shutil.copytree(draft, tmp_path / "one")
    generate(spec, tmp_path / "two")
    assert checksums(tmp_path / "one") == checksums(tmp_path / "two")
    generate(spec, tmp_path / "one")  # untouched: written anew
    assert checksums(tmp_path / "one") == checksums(tmp_path / "two")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one", "two"]
    manifest = json.loads((tmp_path / "one/stimuli/manifest.json").read_text())["files"]
    for name, facts in manifest.items():
        file = (tmp_path / "one/stimuli" / name).read_bytes()
        assert facts == {"bytes": len(file), "sha256": hashlib.sha256(file).hexdigest()}
    study = json.loads((tmp_path / "one/study.json").read_text())
    assert {f"{c}.png" for i in study["items"].values() for c in i["pictures"]} <= set(manifest)


def test_a_launch_needs_every_placeholder(planted, folder, tmp_path):
    spec, _ = planted
    assert "[[contact]]" in (folder / "documents/consent.md").read_text()
    before = checksums(folder)
    with pytest.raises(CladecError, match=r"cannot be launched yet.*contact \(an address.*sample_size"):
        generate(spec, folder, launch=True)
    assert checksums(folder) == before
    (folder / "settings.json").write_text(json.dumps(SETTINGS))
    own = tmp_path / "own"
    own.mkdir()
    (own / "consent.md").write_text("Our own words.\n\n# Money\n\n[[payment]] and [[travel]]")
    with pytest.raises(CladecError, match=r"travel \(a placeholder in your text\)"):
        generate(spec, folder, launch=True, own=own)
    (own / "consent.md").write_text("I am [[your name]].\n- [[e-mail]]")
    with pytest.raises(CladecError, match=r"e-mail \(a placeholder.*your name \(a placeholder"):
        generate(spec, folder, launch=True, own=own)
    (own / "consent.md").write_text(" \n")
    with pytest.raises(CladecError, match="is empty"):
        generate(spec, folder, launch=True, own=own)
    (own / "consent.md").write_text("Our own words.\n\n# Money\n\n[[payment]]")
    launched = generate(spec, folder, launch=True, own=own)
    assert launched.study["texts"]["consent"] == [{"p": "Our own words."}, {"h": "Money"}, {"p": "filled in"}]
    assert unfilled(*(p.read_text() for p in folder.glob("**/*") if p.suffix == ".md")) == []
    public = [(folder / name).read_text() for name in ("index.html", "study.json")]
    assert not [name for name in REQUIRED for text in public if f"[[{name}]]" in text]
    assert refresh(spec, folder) == "The launch build that is there was kept."
    before = checksums(folder)
    with pytest.raises(KeptError, match="holds a launch build; a draft would replace it"):
        generate(replace(spec, seed=1), folder)
    assert checksums(folder) == before
    generate(spec, folder, launch=True, own=own)
    assert checksums(folder) == before


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (lambda f: (f / "responses/a.json").write_text("{}"), "holds responses"),
        (lambda f: (f / "documents/consent.md").write_text("mine"), "consent.md was changed by hand"),
        (lambda f: (f / "notes.txt").write_text("mine"), "notes.txt is not the kit's"),
        (lambda f: (f / "checksums.json").unlink(), "no user study of the kit"),
    ],
)
def test_nothing_of_the_researchers_is_overwritten(planted, folder, tmp_path, harm, sentence):
    spec = planted[0]
    harm(folder)
    before = checksums(folder)
    with pytest.raises(KeptError, match=sentence):
        generate(spec, folder)
    assert re.search(sentence, refresh(spec, folder)) and checksums(folder) == before
    left = {p.name for p in tmp_path.iterdir()} - {".locks"}  # which a notebook that writes it holds
    assert left == {"study"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "cannot be read as settings"),
        ("[]", "one JSON object"),
        ('{"reseacher": "me"}', "Did you mean 'researcher'"),
        ('{"payment": 3}', "must be text in quotes"),
        ('{"post_url": "ftp://x"}', "must begin with https://"),
    ],
)
def test_bad_settings_get_a_sentence(planted, folder, text, sentence):
    spec = planted[0]
    (folder / "settings.json").write_text(text)
    with pytest.raises(CladecError, match=sentence):
        generate(spec, folder)


def test_the_command_line(planted, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("CLADEC_RESULTS", str(tmp_path / "results"))
    arguments = ["user-study", "generate", "--profile", "smoke", "--images", "4", "--shown", "2"]
    assert main(arguments) == 0 and "draft of study" in capsys.readouterr().out
    [folder] = tmp_path.glob("results/smoke/planted-tint-stripes-*-vgg/user_study")
    assert (folder / "index.html").is_file()
    assert main([*arguments, "--launch"]) == 2 and "cannot be launched yet" in capsys.readouterr().err
    [line] = [x for x in (folder / "README.md").read_text().splitlines() if x.strip().startswith("cladec ")]
    before, command = json.loads((folder / "private/key.json").read_text()), shlex.split(line)
    (folder / "settings.json").write_text(json.dumps(SETTINGS))
    assert command[:3] == ["cladec", "user-study", "generate"] and command[-1] == "--launch"
    assert main(command[1:]) == 0
    assert "made under the smoke profile" in capsys.readouterr().err
    assert json.loads((folder / "private/key.json").read_text())["spec"] == before["spec"]
    assert json.loads((folder / "study.json").read_text())["build"] == "launch"
    assert main(arguments) == 2 and "a draft would replace it" in capsys.readouterr().err
    assert main(["user-study", "analyse", "--profile", "smoke"]) == 2
    assert "none is left to analyse" in capsys.readouterr().err
    other = ["--dataset", "fashion-mnist", "--alpha", "0.1", "--seed", "1", "--layer", "logits"]
    assert main(["user-study", "analyse", "--profile", "quick", "--study", str(folder), *other]) == 2
    line = capsys.readouterr().err.strip()
    wanted = "--profile smoke, no --dataset, --layer block4, --alpha 0, --seed 0."
    assert "\n" not in line and line.endswith(f"than these options name; give {wanted}")
    assert main(["user-study", "analyse", "--profile", "smoke", "--study", str(tmp_path)]) == 2
    assert "generate the study first" in capsys.readouterr().err
    assert (
        main([*arguments, "--images", "x"]) == 2
        and "'x' is not an integer above 0" in capsys.readouterr().err
    )
