import json
import os
import platform
import re
import subprocess
import sys
import time
from dataclasses import dataclass, fields, replace
from multiprocessing import get_context
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from conftest import ADAM
from hypothesis import given
from hypothesis import strategies as st

from cladec_utils.engine import device, store
from cladec_utils.engine.spec import Made, Spec, closure
from cladec_utils.errors import CladecError
from cladec_utils.models.training import TrainSpec
from cladec_utils.study.explainers import ClaDecSpec


@dataclass(frozen=True)
class Slow(Spec):
    """An artifact whose making is recorded in a file, so that tests can count."""

    kind: ClassVar[str] = "slow"
    log: str
    value: float = 1.0

    def make(self, progress):
        with open(self.log, "a") as log:
            log.write(f"{os.getpid()}\n")
        time.sleep(0.3)
        return Made({"x": torch.full((1000,), self.value)}, {"value": self.value}, {"train": [2.0, 1.0]})


@pytest.fixture
def slow(folders):
    return Slow(str(folders / "log"))


def made(spec):
    return len(open(spec.log).read().split())


def test_made_once_then_loaded(slow):
    first, second = store.get(slow), store.get(slow)
    assert first.fresh and not second.fresh and made(slow) == 1
    assert torch.equal(first.tensors["x"], second.tensors["x"])
    assert (second.metrics, second.curves, second.seconds) == (first.metrics, first.curves, first.seconds)


def test_the_record_says_where_a_result_comes_from(slow, folders):
    store.get(slow)
    record = json.loads((folders / "artifacts" / slow.name / "record.json").read_text())
    assert record["spec"] == {"kind": "slow", "log": slow.log, "value": 1.0}
    assert record["versions"]["torch"] == torch.__version__.split("+")[0] and record["seconds"] > 0.2
    assert record["code"] == {"module": __name__, "sha256": ""}  # not the package's
    assert record["device"] == device.device_name()


def test_the_device_of_a_record_is_the_processors_model(monkeypatch):
    known = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    found = re.search(r"^model name\s*: (.*)$", known, re.MULTILINE)
    expected = found[1] if found else platform.processor() or "CPU"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    instructions = torch.backends.cpu.get_cpu_capability()
    assert device.device_name() == f"{expected} ({platform.machine()}, {instructions})"


def test_a_record_is_read_without_the_tensors(slow, folders, monkeypatch):
    whole = store.get(slow)
    (folders / "artifacts" / slow.name / store.TENSORS).unlink()
    monkeypatch.setattr(store, "_read_tensors", lambda *_: pytest.fail("the tensors were read"))
    record = store.record(slow)
    assert (record.metrics, record.curves, record.seconds) == (whole.metrics, whole.curves, whole.seconds)
    assert record.spec == slow and made(slow) == 1


def test_a_record_that_is_missing_or_damaged_is_made(slow, folders, capsys):
    assert store.record(slow).metrics == {"value": 1.0} and made(slow) == 1
    path = folders / "artifacts" / slow.name / store.RECORD
    path.write_text(path.read_text().replace('"value": 1.0', '"value": 3.0'))
    assert store.record(slow).metrics == {"value": 1.0} and made(slow) == 2
    assert "the checksum of its record differs" in capsys.readouterr().err


def test_records_of_before_they_named_the_code_are_read(slow, folders):
    store.get(slow)
    path = folders / "artifacts" / slow.name / store.RECORD
    record = json.loads(path.read_text())
    del record["code"], record["record_sha256"]
    path.write_text(json.dumps(record | {"record_sha256": store._record_checksum(record)}))
    assert not store.get(slow).fresh and store.record(slow).metrics == {"value": 1.0}


def test_a_spec_that_is_part_of_others_is_not_made(folders):
    with pytest.raises(NotImplementedError, match="TrainSpec is a part of other specs"):
        store.get(ADAM)


@pytest.mark.parametrize("file", ["tensors.safetensors", "record.json"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "empty"])
def test_damage_is_noticed_said_and_repaired(slow, folders, capsys, file, damage):
    store.get(slow)
    path = folders / "artifacts" / slow.name / file
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 4
    if damage == "remove":
        path.unlink()
    else:
        keep = {"flip": len(content), "truncate": len(content) // 2, "empty": 0}[damage]
        path.write_bytes(content[:keep])
    again = store.get(slow)
    assert again.fresh and made(slow) == 2 and torch.equal(again.tensors["x"], torch.ones(1000))
    assert f"{slow.name} is damaged" in capsys.readouterr().err
    assert len(list((folders / "artifacts" / "damaged").iterdir())) == 1
    assert not store.get(slow).fresh


def test_an_artifact_of_another_spec_is_not_believed(slow, folders):
    other = replace(slow, value=2.0)
    store.get(other)
    (folders / "artifacts" / other.name).rename(folders / "artifacts" / slow.name)
    assert store.get(slow).tensors["x"][0] == 1


def test_a_partial_folder_of_a_killed_process_is_cleared(slow, folders):
    stale = folders / "artifacts" / f".partial-{slow.name}-1"
    stale.mkdir(parents=True)
    (stale / "tensors.safetensors").write_bytes(b"half")
    assert store.get(slow).fresh and not stale.exists()


def ask(log, queue):
    artifact = store.get(Slow(log))
    queue.put((artifact.fresh, float(artifact.tensors["x"].sum())))


def test_two_processes_at_once_one_makes_the_other_loads(slow):
    context = get_context("fork")
    queue = context.Queue()
    processes = [context.Process(target=ask, args=(slow.log, queue)) for _ in range(3)]
    for process in processes:
        process.start()
    answers = [queue.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert sorted(answers) == [(False, 1000.0), (False, 1000.0), (True, 1000.0)] and made(slow) == 1


def test_a_store_that_cannot_be_written_gets_a_sentence(slow, folders, monkeypatch):
    (folders / "file").write_text("in the way")
    monkeypatch.setenv("CLADEC_ARTIFACTS", str(folders / "file" / "store"))
    with pytest.raises(CladecError, match=r"Cannot write to .*part of that path is a file"):
        store.get(slow)


@pytest.fixture
def mounted(tmp_path):
    """Mount a small file system, or skip where that is not allowed."""
    target = tmp_path / "mounted"
    target.mkdir()

    def mount(options):
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(target)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("mounting a file system is not allowed here")
        return target

    yield mount
    subprocess.run(["umount", str(target)], check=False, capture_output=True)


def test_a_full_disk_gets_a_sentence_and_leaves_nothing(slow, mounted, monkeypatch):
    monkeypatch.setenv("CLADEC_ARTIFACTS", str(mounted("size=4k") / "store"))
    with pytest.raises(CladecError, match="the disk is full"):
        store.get(slow)
    assert not list((mounted.__closure__[0].cell_contents / "store").glob("*slow*"))


def test_a_read_only_disk_gets_a_sentence(slow, mounted, monkeypatch):
    monkeypatch.setenv("CLADEC_ARTIFACTS", str(mounted("ro") / "store"))
    with pytest.raises(CladecError, match="read-only"):
        store.get(slow)


def test_write_text_is_whole_or_not_at_all(tmp_path, mounted):
    target = mounted("size=8k")
    store.write_text(target / "a.txt", "old")
    with pytest.raises(CladecError, match="the disk is full"):
        store.write_text(target / "a.txt", "x" * 100_000)
    assert (target / "a.txt").read_text() == "old" and [p.name for p in target.iterdir()] == ["a.txt"]


def test_listing(slow, folders):
    store.get(slow)
    broken = replace(slow, value=3.0)
    store.get(broken)
    (folders / "artifacts" / broken.name / "record.json").write_text("{")
    states = {row["name"]: row["state"] for row in store.listing()}
    assert states == {slow.name: "sound record", broken.name: "damaged: its record is not readable"}


CHANGES = {
    "layer": "logits", "seed": 1, "alpha": 0.5, "neurons": (1, 2),
    "train": replace(ADAM, lr=0.02), "decoder_width": 0.5, "norm": "none",
    "components": 4, "attempt": 1,
}  # fmt: skip


@given(st.sampled_from(sorted(CHANGES)))
def test_every_field_counts_in_the_hash(tiny_classifier, name):
    spec = ClaDecSpec(tiny_classifier, "block4", ADAM, 0)
    assert set(CHANGES) | {"classifier"} == {f.name for f in fields(spec)}
    assert replace(spec, **{name: CHANGES[name]}).hash != spec.hash
    assert replace(spec, classifier=replace(tiny_classifier, seed=9)).hash != spec.hash


def test_the_hash_is_the_same_in_another_process_and_wherever_the_data_lie(tiny_classifier):
    code = "from cladec_utils.models.training import TrainSpec; print(TrainSpec(3, 'sgd', 0.1, 1e-4).hash)"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == TrainSpec(3, "sgd", 0.1, 1e-4).hash
    moved = replace(tiny_classifier, data=replace(tiny_classifier.data, path="elsewhere"))
    assert moved.hash == tiny_classifier.hash


def test_closure_puts_needs_first(tiny_classifier):
    cladec = ClaDecSpec(tiny_classifier, "block4", ADAM, 0)
    assert list(closure([cladec, cladec])) == [tiny_classifier, cladec]


@pytest.mark.parametrize("alpha", [-0.1, 1.5, float("nan"), "abc", None])
def test_alpha_outside_its_range_is_refused(tiny_classifier, alpha):
    with pytest.raises(CladecError, match=r"alpha is .*; it must be a number from 0"):
        ClaDecSpec(tiny_classifier, "block4", ADAM, 0, alpha)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"lr": 0}, "learning rate is 0"),
        ({"lr": float("nan")}, "learning rate is nan"),
        ({"optimiser": "sdg"}, "Did you mean 'sgd'"),
        ({"schedule": "cosinus"}, "Did you mean 'cosine'"),
    ],
)
def test_bad_training_settings_are_refused(changes, sentence):
    with pytest.raises(CladecError, match=sentence):
        replace(ADAM, **changes)


def test_tensors_that_share_memory_are_kept_each(folders):
    both = torch.rand(4, 4)
    tied = store.apart({"a": both, "b": both, "c": both.t(), "d": torch.rand(2)})
    assert torch.equal(tied["b"], both) and torch.equal(tied["c"], both.t())
    assert len({t.untyped_storage().data_ptr() for t in tied.values()}) == 4


def test_a_damaged_artifact_is_not_sent_and_gives_way_to_a_sound_one(slow, folders, capsys):
    store.get(slow)
    parcel = store.pack(slow)
    path = folders / "artifacts" / slow.name / store.TENSORS
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    store.accept(slow, parcel)
    assert store.pack(slow) == parcel and "set aside" in capsys.readouterr().err
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(CladecError, match="has gone from the store; run the same again"):
        store.pack(slow)
    aside = [row for row in store.listing() if row["name"].startswith("damaged/")]
    assert len(aside) == len(store.listing()) == 2 and {row["kind"] for row in aside} == {"damaged"}
    assert all(row["megabytes"] > 0 and "damaged" in row["state"] for row in aside)
