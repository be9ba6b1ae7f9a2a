"""Train or load: a spec's artifact lies in the store under the spec's hash, verified whenever it is read.

An artifact is a folder `<kind>-<hash>/` with `tensors.safetensors` and `record.json` (spec, metrics,
learning curves, versions, code, device, seconds, checksums). It is written to a hidden partial folder
and moved into place, so it is there whole or not at all. Nothing is ever unpickled.
"""

import contextlib
import errno
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from filelock import FileLock
from torch import Tensor

from cladec_utils.engine import code, paths
from cladec_utils.engine.device import apart, device_name, enough_memory, random_kept
from cladec_utils.engine.spec import RECIPE, Made, Spec
from cladec_utils.errors import CladecError

TENSORS, RECORD, DAMAGED = "tensors.safetensors", "record.json", "damaged"
SOUND = "sound record"


@dataclass(frozen=True)
class Record:
    """What is recorded of an artifact beside its tensors; `seconds` is how long making it took."""

    spec: Spec
    metrics: dict[str, float]
    curves: dict[str, list[float]]
    seconds: float


@dataclass(frozen=True)
class Artifact(Record):
    """A stored result. `fresh` says whether this call made it."""

    tensors: dict[str, Tensor]
    fresh: bool

    def __str__(self) -> str:
        how = "made" if self.fresh else "loaded"
        return f"{how}: {self.spec.label()} [{self.spec.hash[:8]}], {self.seconds:.1f} s of work"


class _DamagedError(Exception):
    """An artifact that is not what it should be, with the reason."""


def get(spec: Spec, progress: bool = True) -> Artifact:
    """The artifact of `spec`: loaded if a sound one exists, else made and stored.

    Several processes may ask at once: one makes it while the others wait and then load. A damaged
    artifact is moved to `damaged/`, said on standard error, and made again. The caller's random numbers
    go on as if nothing had been made. Raises CladecError if the store cannot be written or a GPU's memory
    does not suffice.
    """
    found = find(spec)
    if found:
        return found
    folder = paths.artifacts_dir()
    with locked(folder, spec.name):
        found = find(spec)
        if found:
            return found
        start = time.perf_counter()
        with enough_memory(spec.label()), random_kept():
            made = spec.make(progress)
        seconds = time.perf_counter() - start
        _write(folder, spec, made, seconds)
        return Artifact(spec, made.metrics, made.curves, seconds, made.tensors, fresh=True)


def record(spec: Spec, progress: bool = True) -> Record:
    """The record of `spec`'s artifact, which is made first if there is none: its metrics and curves without
    reading its tensors, which may be a whole network. That these are damaged only `get` would notice."""
    with contextlib.suppress(OSError, _DamagedError):
        content = _read_record(paths.artifacts_dir() / spec.name)
        _check_record(content, spec)
        return Record(spec, content["metrics"], content["curves"], content["seconds"])
    return get(spec, progress)


@contextlib.contextmanager
def locked(folder: Path, name: str) -> Iterator[None]:
    """Only one process at a time makes the thing of that name in a folder; the others wait here."""
    with writing_to(folder):
        (folder / ".locks").mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".locks" / f"{name}.lock")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def exists(spec: Spec) -> bool:
    """Whether an artifact of that name is in the store (it is verified when it is read)."""
    return (paths.artifacts_dir() / spec.name / RECORD).is_file()


def find(spec: Spec) -> Artifact | None:
    """The sound artifact of `spec`, or None; a damaged one is set aside with a message."""
    path = paths.artifacts_dir() / spec.name
    try:
        return _read(path, spec)
    except (FileNotFoundError, NotADirectoryError):
        if not path.is_dir():
            return None
        reason = "a file is missing"
    except _DamagedError as error:
        reason = str(error)
    aside = path.parent / DAMAGED / f"{path.name}-{time.time_ns()}"
    with writing_to(path.parent):
        aside.parent.mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            path.rename(aside)
    print(f"{path.name} is damaged ({reason}); set aside in {aside}, it is made again.", file=sys.stderr)
    return None


def recorded(name: str) -> dict[str, Tensor] | None:
    """The tensors of the artifact called `name`, verified; None if it is missing or damaged.

    For readers of recorded results, which have the name but must not make anything anew.
    """
    path = paths.artifacts_dir() / name
    try:
        return _read_tensors(path, _read_record(path))
    except (OSError, _DamagedError):
        return None


def _read_tensors(path: Path, record: dict[str, Any]) -> dict[str, Tensor]:
    content = (path / TENSORS).read_bytes()
    if hashlib.sha256(content).hexdigest() != record.get("tensors_sha256"):
        raise _DamagedError("the checksum of its tensors differs")
    return safetensors.torch.load(content)


Parcel = dict[str, bytes]
"""An artifact as it travels between machines: the contents of its files by name."""


def pack(spec: Spec) -> Parcel:
    """The artifact of `spec` as it lies in the store, verified; raises CladecError if no sound one does."""
    if not find(spec):
        raise CladecError(f"{spec.label()} has gone from the store; run the same again to make it.")
    path = paths.artifacts_dir() / spec.name
    return {name: (path / name).read_bytes() for name in (TENSORS, RECORD)}


def accept(spec: Spec, parcel: Parcel) -> None:
    """Put an artifact that was made elsewhere in the store, unless there is a sound one. It is verified
    first: raises CladecError if what has arrived is not what was sent."""
    folder = paths.artifacts_dir()
    with locked(folder, spec.name):
        if not find(spec):
            try:
                _place(folder, spec, parcel)
            except _DamagedError as error:
                raise CladecError(
                    f"{spec.label()} arrived damaged ({error}) and was not kept; run the same again to go on."
                ) from error


def _read(path: Path, spec: Spec) -> Artifact:
    record = _read_record(path)
    _check_record(record, spec)
    tensors = _read_tensors(path, record)
    return Artifact(spec, record["metrics"], record["curves"], record["seconds"], tensors, fresh=False)


def _check_record(record: dict[str, Any], spec: Spec) -> None:
    if record.get("spec") != json.loads(json.dumps(spec.to_json())):
        raise _DamagedError("it holds another spec")
    unknown = {"metrics", "curves", "seconds", "tensors_sha256"} - record.keys()
    if unknown or record.get("recipe") != RECIPE:
        raise _DamagedError("another version of this package wrote it")


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads((path / RECORD).read_text("utf-8"))
        checksum = record.pop("record_sha256")
    except (ValueError, KeyError, AttributeError) as error:
        raise _DamagedError("its record is not readable") from error
    if checksum != _record_checksum(record):
        raise _DamagedError("the checksum of its record differs")
    return record


def _record_checksum(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _write(folder: Path, spec: Spec, made: Made, seconds: float) -> None:
    content = safetensors.torch.save(apart(made.tensors))
    record = {
        "spec": spec.to_json(),
        "recipe": RECIPE,
        "metrics": made.metrics,
        "curves": made.curves,
        "seconds": seconds,
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "versions": {p: importlib.metadata.version(p) for p in ("torch", "numpy", "cladec-kit")},
        "python": platform.python_version(),
        "device": device_name(),
        "code": {"module": type(spec).__module__, "sha256": code.code_hash(type(spec).__module__)},
        "tensors_sha256": hashlib.sha256(content).hexdigest(),
    }
    record["record_sha256"] = _record_checksum(json.loads(json.dumps(record)))
    _place(folder, spec, {TENSORS: content, RECORD: json.dumps(record, indent=1).encode()})


def _place(folder: Path, spec: Spec, files: Parcel) -> None:
    """Write an artifact's files, verify them, and move them into place: it is there whole or not at all."""
    for stale in folder.glob(f".partial-{spec.name}-*"):  # of a killed process: we hold the lock
        shutil.rmtree(stale, ignore_errors=True)
    partial = folder / f".partial-{spec.name}-{os.getpid()}"
    with writing_to(folder):
        try:
            partial.mkdir()
            for name in (TENSORS, RECORD):
                (partial / name).write_bytes(files[name])
            _read(partial, spec)
            partial.rename(folder / spec.name)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Turn the system's refusal to write below `folder` into one sentence with the way out."""
    reasons = {
        errno.ENOSPC: "the disk is full; free some space (`cladec artifacts` shows what can go)",
        errno.EDQUOT: "your disk quota is used up; free some space (`cladec artifacts` shows what can go)",
        errno.EROFS: "the file system is read-only; choose another folder",
        errno.EACCES: "permission is denied; choose another folder",
        errno.EPERM: "permission is denied; choose another folder",
        errno.ENOTDIR: "part of that path is a file; choose another folder",
        errno.ENOENT: "that path cannot be made; choose another folder",
    }
    try:
        yield
    except OSError as error:
        if error.errno not in reasons:
            raise
        raise CladecError(
            f"Cannot write to {folder}: {reasons[error.errno]}. "
            "CLADEC_ARTIFACTS and CLADEC_RESULTS name the folders to write to."
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all, making its folder. Raises CladecError if it cannot."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, making its folder. Raises CladecError if it cannot."""
    with writing_to(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".partial-{path.name}-{os.getpid()}")
        try:
            partial.write_bytes(content)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def listing() -> list[dict[str, Any]]:
    """What the store holds, the damaged that was set aside last: name (the path in the store), kind,
    megabytes, state and, where it is readable, record of each artifact."""
    folder, rows = paths.artifacts_dir(), []
    for path in [*sorted(folder.glob("[!.]*-*/")), *sorted(folder.glob(f"{DAMAGED}/*-*/"))]:
        aside = path.parent.name == DAMAGED
        size = sum(f.stat().st_size for f in path.iterdir() if f.is_file()) / 1e6
        kind = DAMAGED if aside else path.name.rsplit("-", 1)[0]
        row = {"name": path.relative_to(folder).as_posix(), "kind": kind, "megabytes": size}
        try:
            content, state = _read_record(path), "set aside: damaged" if aside else SOUND
        except (_DamagedError, OSError) as error:
            content, state = {}, f"damaged: {error}"
        rows.append({**row, "state": state, "record": content})
    return rows
