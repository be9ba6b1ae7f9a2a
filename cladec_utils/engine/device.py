"""What networks are computed on, and what makes a computation reproducible there."""

import contextlib
import ctypes
import functools
import platform
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cladec_utils.errors import CladecError


def best_device() -> torch.device:
    """The GPU if torch sees one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_name() -> str:
    """The best device in words, for records: a processor with the widest instructions that torch uses on it,
    as both decide about bits."""
    if best_device().type == "cuda":
        return torch.cuda.get_device_name()
    return f"{_processor()} ({platform.machine()}, {torch.backends.cpu.get_cpu_capability()})"


@functools.cache
def _processor() -> str:
    """The processor's model, as far as the system says."""
    with contextlib.suppress(OSError):  # Linux only
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or "CPU"


def apart(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors on the CPU, those that share memory (tied weights) each in its own, as safetensors asks."""
    apart: dict[str, Tensor] = {}
    known: set[int] = set()
    for name, tensor in tensors.items():
        found = tensor.detach().cpu().contiguous()
        where = found.untyped_storage().data_ptr()
        apart[name] = found.clone() if where in known else found
        known.add(where)
    return apart


def memory_left() -> float:
    """Bytes of memory that this process may still take, by what Linux says of the machine and of the
    container or batch job it runs in; infinite where nothing is said."""
    found = [float("inf")]
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            found.append(1024.0 * int(line.split()[1]))
    for most, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        numbers = [line for name in (most, used) for line in _lines(f"/sys/fs/cgroup/{name}")[:1]]
        if len(numbers) == 2 and all(number.isdecimal() for number in numbers):
            found.append(float(numbers[0]) - float(numbers[1]))
    return max(0.0, min(found))


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text("utf-8", "replace").splitlines()
    except OSError:
        return []


@contextlib.contextmanager
def enough_memory(label: str) -> Iterator[None]:
    """Turn a GPU's lack of memory for the thing called `label` into a CladecError."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise CladecError(
            f"The GPU has too little free memory for {label}: train it with a smaller batch size, explain "
            "another layer, or compute on the CPU (CUDA_VISIBLE_DEVICES=-1)."
        ) from error


@contextlib.contextmanager
def random_kept() -> Iterator[None]:
    """Whatever is drawn inside, the caller's random numbers (torch's, NumPy's, Python's) go on as before."""
    numpys, pythons = np.random.get_state(), random.getstate()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        np.random.set_state(numpys)
        random.setstate(pythons)


@contextlib.contextmanager
def reproducible(seed: int, threads: int | None = 1) -> Iterator[None]:
    """Seed torch and, on a CPU, compute with so many threads; put both back as they were at the end.

    The number of threads changes the order of floating-point sums, so what is made by spec has one: the
    same bits in a notebook and in a worker process. None leaves it as it is.
    """
    before = torch.get_num_threads()
    _keep_memory()
    with random_kept():
        torch.manual_seed(seed)
        if best_device().type == "cpu" and threads:
            torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


@functools.cache
def _keep_memory() -> None:
    """Let the C library keep the memory that large tensors give back. Fresh pages for every step cost up to
    half of a training's time, most of all in Dask's workers, which are told to return memory at once."""
    trim_threshold, mmap_threshold, kept = -1, -3, 1 << 28  # malloc.h; bytes
    with contextlib.suppress(OSError, AttributeError):  # no glibc: nothing to tell it
        library = ctypes.CDLL("libc.so.6")
        library.mallopt(trim_threshold, kept)
        library.mallopt(mmap_threshold, kept)
