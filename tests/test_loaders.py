"""Classifiers of the user's by a loader's text: in every process, and every way in which that can fail."""

import pickle
import re
import subprocess
import sys
import textwrap

import pytest
import torch
from torch import nn

import cladec_utils as cu
from cladec_utils.engine import grid, store
from cladec_utils.errors import CladecError, CladecNote
from cladec_utils.models import architectures, loaders

NETWORK = """
    import torch
    from torch import nn

    def load():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(384, 3)
        )
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module into the working directory; returns its path."""
    monkeypatch.chdir(tmp_path)
    before = list(sys.path), set(sys.modules)

    def write(content, name="mymodule.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(content))
        return path

    yield write
    sys.path[:] = before[0]
    for name in set(sys.modules) - before[1]:
        if name.startswith(("mymodule", "package", "classifier_in_", "helper_of_mine")):
            del sys.modules[name]
    loaders._load.cache_clear()
    loaders.load.cache_clear()


def test_a_name_and_a_path_are_the_same_everywhere(module):
    path = module(NETWORK)
    text = f"{path}:load"
    assert loaders.absolute("mymodule:load") == loaders.absolute("mymodule.py:load") == text
    assert loaders.absolute(text) == text
    assert loaders.load("mymodule:load") is loaders.load(text)  # called once


def test_outputs_that_the_classes_mean(module, npz, monkeypatch):
    path = module(NETWORK.replace("384, 3", "384, 9"))
    assert loaders.absolute("mymodule:load[7+2+0]") == f"{path}:load[7+2+0]"
    data = str(npz())
    opened = cu.open_study("smoke", data, "mymodule:load[7+2+0]", layers=["0"])
    told = cu.open_study("smoke", data, f"{path}:load", layers=["0"], classes=[7, 2, 0])
    assert opened.architecture == told.architecture and opened.architecture.endswith(":7+2+0")
    for text, wrong in (("mymodule:load[a]", "'a' in brackets"), ("mymodule:load[]", "'' in brackets")):
        with pytest.raises(CladecError, match=wrong):
            loaders.absolute(text)


def test_a_module_of_a_package_and_one_beside_it(module):
    module("", "package/__init__.py")
    module("CLASSES = 3", "package/other.py")
    module("SIZE = 384", "package/helper_of_mine.py")
    changed = NETWORK.replace("import torch\n", "import torch\n    from .other import CLASSES\n", 1)
    path = module(changed.replace("384, 3", "384, CLASSES"), "package/net.py")
    assert loaders.absolute("package.net:load") == f"{path}:load"
    assert loaders.load("package.net:load")[3].out_features == 3


def test_a_file_called_as_one_of_pythons_own_is_another(module):
    path = module(NETWORK, "code.py")
    assert loaders.absolute("code:load") == f"{path}:load"
    assert isinstance(loaders.load("code:load"), nn.Module)
    import code

    assert hasattr(code, "InteractiveConsole")


@pytest.mark.parametrize(
    ("content", "text", "sentence"),
    [
        (NETWORK, "mymodul:load", r"there is no module 'mymodul' in .*Did you mean 'mymodule'\?"),
        (NETWORK, "mymodul.py:load", r"There is no file .*mymodul.py .*Did you mean 'mymodule.py'\?"),
        (NETWORK, "mymodule:laod", r"the module has no function 'laod'; Did you mean 'load'\? it has load"),
        (NETWORK, "mymodule:", "does not name a module and a function of it, such as mymodule:load"),
        (NETWORK, ":load", "does not name a module and a function of it"),
        ("x = 1", "mymodule:x", r"has, but not as a function \(int\), 'x'"),
        ("def load(path): ...", "mymodule:load", "called without arguments, but load needs some .*'path'"),
        ("def load(): ...", "mymodule:load", "returns a NoneType; .*Let it end with `return`"),
        ("def load(): return {}", "mymodule:load", "returns a dict; .*call load_state_dict"),
        ("from torch import nn\ndef load(): return nn.ReLU", "mymodule:load", "returns the class ReLU"),
        (
            "def load():\n    open('weights.pt')",
            "mymodule:load",
            r"cannot load the classifier: FileNotFoundError: .*weights.pt.* \(mymodule.py, line 2\)",
        ),
        ("import nosuchthing", "mymodule:load", r"cannot be imported: ModuleNotFoundError: .*nosuchthing"),
        ("def load(:", "mymodule:load", "cannot be imported: SyntaxError"),
        (
            "import sys\nsys.exit(3)",
            "mymodule:load",
            r"cannot be imported: SystemExit: 3 \(mymodule.py, line 2",
        ),
        ("raise ValueError", "mymodule:load", r"cannot be imported: ValueError \(mymodule.py, line 1\)"),
        (NETWORK, "json:laod", r"has no function 'laod'; Did you mean 'load'\?"),
        (NETWORK, "sys:load", "sys is no module of Python's source"),
    ],
)
def test_whatever_fails_is_one_sentence(module, content, text, sentence):
    module(content)
    with pytest.raises(CladecError) as raised:
        architectures.register(text)
    assert re.search(sentence, str(raised.value)) and "\n" not in str(raised.value)


@pytest.mark.slow(
    instead="tests/test_selection.py::test_a_study_of_a_loaders_classifier_runs_in_other_processes"
)
def test_a_study_of_it_is_computed_by_other_processes(module, folders, npz, monkeypatch):
    monkeypatch.setenv("CLADEC_WORKERS", "2")
    monkeypatch.setattr(grid, "CLUSTER_WORTH", 0)
    module(NETWORK)
    study = cu.open_study("smoke", str(npz()), "mymodule:load", ["1", "3"], [0, 1])
    assert study.own and study.classifier(0).portable and study.refae("1", 0).portable
    control = study.control("random weights", 0)
    specs = [study.refae("1", 0), study.cladec("1", 1), control]
    assert all(not grid.missing([spec]) for spec in grid.compute(specs))
    known = store.get(study.cladec("1", 1))
    assert not known.fresh and known.spec.classifier.architecture.loader.endswith("mymodule.py:load")


def test_the_text_is_no_part_of_the_name(module, folders, npz):
    path = module(NETWORK)
    spec = cu.open_study("smoke", str(npz()), "mymodule:load", ["1"]).refae("1", 0)
    torch.manual_seed(0)
    same = loaders.load(f"{path}:load")
    assert spec.hash == cu.open_study("smoke", str(npz()), same, ["1"]).refae("1", 0).hash
    sent = pickle.loads(pickle.dumps(spec))
    assert sent == spec and sent.architecture.loader == f"{path}:load"


def test_a_loader_that_gives_others_elsewhere_is_noticed(module):
    module(NETWORK.replace("torch.manual_seed(0)", "torch.seed()"))
    name = architectures.register("mymodule:load")
    architectures._REGISTERED.clear()
    loaders._load.cache_clear()
    loaders.load.cache_clear()  # as in another process
    with pytest.raises(CladecError, match=r"gives another classifier here .*Let it read weights from a file"):
        architectures.registered(name)


def test_one_of_this_process_alone_is_named_as_such(own_classifier):
    name = architectures.register(own_classifier)
    architectures._REGISTERED.pop(name)
    with pytest.raises(CladecError, match=r"This process has no classifier own:Sequential.*by a loader"):
        architectures.registered(name)


def test_layers_on_the_command_line(module, npz, capsys):
    from cladec_utils.app.cli import main

    module(NETWORK)
    assert main(["layers", "--dataset", str(npz()), "--classifier", "mymodule:load"]) == 0
    assert re.search(r"(?m)^2 +Flatten +384", capsys.readouterr().out)
    assert (
        main(["study", "--profile", "smoke", "--dataset", str(npz()), "--classifier", "mymodule:load"]) == 2
    )
    error = capsys.readouterr().err
    assert re.search(r"Name the layers to explain\..* This classifier has: 0, 1, 2, 3", error)
    assert main(["layers", "--classifier", "nomodule:load"]) == 2
    assert "there is no module 'nomodule'" in capsys.readouterr().err


def test_explain_with_one(module, folders, npz, capsys):
    from cladec_utils.app.cli import main

    module(NETWORK)
    arguments = ["--profile", "smoke", "--dataset", str(npz()), "--layer", "1", "--count", "2", "--seed", "0"]
    assert main(["explain", "--classifier", "mymodule:load", *arguments]) == 0
    assert "wrote triplets.png" in capsys.readouterr().out


@pytest.mark.slow(instead="tests/test_identity.py::test_networks_of_libraries_have_one_name")
def test_the_same_code_is_the_same_in_another_process(module):
    """Not what `hash` or `id` of a process make of it."""
    module(
        """
        import functools
        from torch import nn

        SCALE = {"b": 2.0, "a": [1, 2]}

        class Net(nn.Module):
            names = {"x", "y", "z"}

            def __init__(self):
                super().__init__()
                self.wanted = frozenset("abcdef")
                self.act = functools.partial(lambda x, y: x * y in {1, 2, 3}, y=SCALE["b"])

            def forward(self, x):
                return x.flatten(1)[:, :3] * SCALE["b"]

        def load():
            return Net()
        """
    )
    code = (
        "import sys; from cladec_utils.models.architectures import register; print(register('mymodule:load'))"
    )
    found = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert found == {f"{architectures.register('mymodule:load')}\n"}


def test_what_was_told_of_its_outputs_is_known_elsewhere(module, npz):
    """Which of them the classes mean, and that they are probabilities."""
    module(NETWORK.replace("nn.Linear(384, 3)", "nn.Linear(384, 4), nn.Softmax(1)"))
    with pytest.warns(CladecNote, match="outputs are probabilities"):
        name = cu.open_study("smoke", str(npz()), "mymodule:load", ["1"], classes=[3, 0, 2]).architecture
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    here = architectures.registered(name)(images)
    raw = loaders.load("mymodule:load")(images)
    assert torch.allclose(here, raw[:, [3, 0, 2]].log())
    architectures._REGISTERED.clear()
    assert torch.equal(architectures.registered(pickle.loads(pickle.dumps(name)))(images), here)
