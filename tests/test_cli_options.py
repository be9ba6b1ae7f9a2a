"""The command line before anything is computed: what it imports, helps with, and refuses."""

import argparse
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from cladec_utils.app import cli, commands, options
from cladec_utils.app.cli import main, parser
from cladec_utils.study.profiles import PROFILES
from cladec_utils.user_study.design import ARMS, DEFAULT

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = {
    "study": "profile datasets classifiers layers alpha alphas neurons seeds image_size "
    "only scheduler slurm force",
    "explain": "profile dataset architecture layers alpha neurons seeds image_size count out",
    "layers": "profile dataset architecture image_size",
    "user-study generate": "profile dataset architecture layers alpha neurons seeds image_size images shown "
    "arms concepts study_seed launch documents out",
    "user-study analyse": "profile dataset architecture layers alpha neurons seeds image_size "
    "study responses",
    "artifacts": "remove",
    "scorecard": "profile study",
    "report": "profile",
    "notebooks": "all",
}
"""Every command, and what it reads of its options."""


def said(capsys, *arguments):
    """The sentence with which a command line is refused."""
    assert main([str(a) for a in arguments]) == 2
    line = capsys.readouterr().err.strip()
    assert line.startswith("cladec: ") and "\n" not in line
    return line.removeprefix("cladec: ")


@pytest.fixture
def helped(capsys, monkeypatch):
    """The help of a command, in lines as long as they need be."""
    monkeypatch.setenv("COLUMNS", "1000")

    def help_of(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main([*arguments, "--help"])
        assert stopped.value.code == 0
        return capsys.readouterr().out

    return help_of


LIGHT = """
import contextlib, io, sys
before = set(sys.modules)
import cladec_utils
from cladec_utils.__main__ import main
for arguments in {lines!r}:
    sys.argv = ["cladec", *arguments]
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        main()
found = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(sorted(found - set(sys.stdlib_module_names)))
"""


def test_help_and_what_the_parser_refuses_import_nothing_heavy():
    lines = [[], ["--help"], ["studdy"], ["study", "--profil", "x"], ["explain", "--seeds", "0,1"]]
    lines += [[*name.split(), "--help"] for name in COMMANDS]
    command = [sys.executable, "-c", LIGHT.format(lines=lines)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "['cladec_utils']" and shown.stderr.count("cladec: ") == 4


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_the_options_that_it_reads(name):
    found = vars(parser().parse_args(name.split()))
    assert set(found) - {"command"} == set(COMMANDS[name].split())
    assert callable(found["command"])


def test_these_are_all_commands(capsys):
    line = said(capsys)
    assert line.startswith(
        f"Name the command, one of: {', '.join(dict.fromkeys(n.split()[0] for n in COMMANDS))}."
    )
    assert said(capsys, "user-study").startswith("Name the action, one of: generate, analyse.")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_describes_and_gives_examples_that_work(helped, name):
    shown = helped(*name.split())
    _, description, listed, *_ = shown.split("\n\n")
    assert description.endswith(".") and listed.startswith("options:")
    examples = re.findall(r"(?m)^  cladec (.*)$", shown.partition("\nexample")[2])
    assert examples and all(example.startswith(name) for example in examples)
    for example in examples:
        assert parser().parse_args(shlex.split(example)).command


def test_help_names_what_there_is(helped):
    shown = helped("user-study", "generate")
    assert all(name in shown for name in [*ARMS, *DEFAULT])
    [line] = re.findall(r"--profile NAME  +(.*)", helped("report"))
    assert all(name in line for name in PROFILES) and ".toml" in line


@pytest.mark.parametrize("place", ["README.md", "docs/clusters.md"])
def test_the_documents_name_commands_that_exist(place):
    blocks = re.findall(r"(?s)```bash\n(.*?)```", (ROOT / place).read_text("utf-8").replace("\\\n", " "))
    lines = re.findall(r"(?m)^(?:\.venv/bin/)?cladec (.*)$", "".join(blocks))
    assert lines
    for line in lines:
        assert parser().parse_args(shlex.split(line, comments=True)).command


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("studdy", "Unknown command 'studdy'. Did you mean 'study'? Choose one of: study, explain, "),
        ("user-study genrate", "Unknown action 'genrate'. Did you mean 'generate'? Choose one of: "),
        ("--profile quick study", "Name the command before its options, such as '--profile'."),
        ("study quick", "`cladec study` does not know what to do with 'quick'."),
        ("study --profil quick", "`cladec study` has no option '--profil'. Did you mean '--profile'?"),
        ("study --layer-s block4", "`cladec study` has no option '--layer-s'. Did you mean '--layers'?"),
        ("study --alfa=1", "`cladec study` has no option '--alfa'. Did you mean '--alpha'?"),
        ("explain --arch vgg", "`cladec explain` has no option '--arch'. Did you mean '--architecture'?"),
        ("layers --alpha 0.1", "`cladec layers` has no option '--alpha'. `cladec layers --help` says more."),
        ("layers --layers block4", "`cladec layers` has no option '--layers'. `cladec"),
        ("explain --seeds 0,1", "--seed/--seeds: '0,1' names 2; this command takes one."),
        ("user-study analyse --layers a,b", "--layer/--layers: 'a,b' names 2; this command takes one."),
        ("user-study generate --study-seed -1", "--study-seed: '-1' is not an integer from 0 up."),
        ("study --slurm 0", "--slurm: '0' is not an integer above 0."),
        ("study --slurm 2 --scheduler a", "--scheduler: not allowed with argument --slurm."),
        ("study --layers", "--layers/--layer: expected one argument."),
        ("study --datasets mnist,", "--datasets/--dataset: a value is empty; give one, or leave the"),
        ("user-study generate --out README.md", f"--out: {ROOT / 'README.md'} is a file; give a folder."),
    ],
)  # fmt: skip
def test_a_slip_gets_one_sentence_with_what_was_meant(capsys, monkeypatch, line, sentence):
    monkeypatch.chdir(ROOT)
    assert said(capsys, *line.split()).startswith(sentence)


def test_options_become_the_arguments_of_a_study():
    line = "explain --profile mine.toml --layer block4 --seed 3 --neurons 1,2 --alpha 0.5 --image-size 64"
    assert options.choices(parser().parse_args(line.split())) == {
        "profile": "mine.toml", "layers": ["block4"], "seeds": [3], "neurons": [1, 2],
        "alpha": "0.5", "image_size": 64,
    }  # fmt: skip
    assert options.choices(parser().parse_args(["layers"])) == {}
    assert options.choices(argparse.Namespace(profile="quick")) == {"profile": "quick"}


# --- --out ------------------------------------------------------------------------------------------

BEGINS = {
    "avif": b"", "eps": b"%!PS", "gif": b"GIF8", "jpeg": b"\xff\xd8", "jpg": b"\xff\xd8", "pdf": b"%PDF",
    "png": b"\x89PNG", "ps": b"%!PS", "svg": b"<?xml", "svgz": b"\x1f\x8b", "tif": b"", "tiff": b"",
    "webp": b"RIFF",
}  # fmt: skip


@pytest.fixture
def drawn(folders, monkeypatch):
    """`cladec explain` without training: any figure will do."""
    monkeypatch.setattr(commands, "triplets", lambda *_: Figure((1, 1)))
    return lambda out: main(["explain", "--profile", "smoke", "--out", str(out)])


def test_explain_writes_what_the_ending_says(folders, drawn):
    allowed = re.findall(r"\.(\w+)", refused("x.doc").partition("one of: ")[2])
    assert {"png", "pdf", "svg"} <= set(allowed) and not {"pgf", "raw"} & set(allowed)
    for ending in {*allowed, "PNG"}:
        assert drawn(folders / f"out.{ending}") == 0
        written = (folders / f"out.{ending}").read_bytes()
        assert written.startswith(BEGINS[ending.lower()]) and len(written) > 50
    for ending in ("avif", "tif"):
        assert Image.open(folders / f"out.{ending}").size == (110, 110)
    assert not list(folders.glob(".partial*"))


def refused(text):
    with pytest.raises(argparse.ArgumentTypeError) as error:
        options.picture(text)
    return str(error.value)


def test_explain_refuses_what_it_cannot_write_before_it_opens_the_study(folders, capsys, monkeypatch):
    monkeypatch.chdir(folders)
    monkeypatch.setattr(commands, "explain", None)
    for out, fault in (
        ("x.doc", "'x.doc' has the ending '.doc'"),
        ("x", "'x' has no ending"),
        ("x.pgf", "'.pgf'"),
    ):
        line = said(capsys, "explain", "--out", out)
        assert line.startswith("--out: ") and fault in line and ".pdf, .png, .ps, .svg" in line
    for out in (folders, "."):
        assert f"{folders} is a folder; give the file to write, such as" in said(
            capsys, "explain", "--out", out
        )
    assert list(folders.iterdir()) == []


def test_a_new_folder_is_said_before_it_is_made(folders, drawn, capsys):
    assert drawn(folders / "new" / "out.png") == 0
    assert capsys.readouterr().out.startswith(f"making the folder {folders / 'new'}\n")
    assert drawn(folders / "new" / "out.png") == 0 and "making" not in capsys.readouterr().out


def test_explain_leaves_nothing_half_written(folders, drawn, monkeypatch):
    (folders / "out.png").write_text("before")

    def fail(self, file, **_options):
        file.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Figure, "savefig", fail)
    assert drawn(folders / "out.png") == cli.INTERRUPTED
    assert (folders / "out.png").read_text() == "before" and not list(folders.glob(".partial*"))


def test_explain_draws_triplets_of_the_seed_it_is_given(folders, capsys):
    out = folders / "out.png"
    line = f"explain --profile smoke --layers block4 --neurons 0,3 --alpha 0.1 --seed 1 --count 3 --out {out}"
    assert main(line.split()) == 0
    shown = capsys.readouterr().out
    assert f"wrote {out}" in shown and re.search(r"\[3/4\] ClaDec .* seed 1", shown) and "seed 0" not in shown
    pixels = np.asarray(Image.open(out).convert("L"))
    assert pixels.shape[1] > 800 and pixels.std() > 10


def test_the_command_is_installed():
    shown = subprocess.run(
        [sys.executable, "-m", "cladec_utils", "--help"], check=False, capture_output=True, text=True
    )
    assert shown.returncode == 0 and "artifacts" in shown.stdout
