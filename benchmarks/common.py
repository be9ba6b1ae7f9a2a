"""What the benchmarks share: the machine in words, tables with date and versions, the matrix-product rate."""

import datetime
import platform
import time
from pathlib import Path

import pandas as pd
import torch

from cladec_utils.engine import paths

FOLDER = Path(__file__).parent
OFFICIAL_BATCH = 128


def machine() -> str:
    """The processor, its usable cores (CLADEC_WORKERS, if that is set) and, if there is one, the GPU."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line
        ]
        name = names[0] if names else name
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{name}, {paths.workers()} cores{gpu}"


def write(name: str, rows: list[dict[str, object]]) -> pd.DataFrame:
    """Write `<name>.csv` with machine, versions and date in every row, and print it."""
    table = pd.DataFrame(rows)
    print(table.to_string(index=False), flush=True)
    where = {"machine": machine(), "torch": torch.__version__, "python": platform.python_version()}
    stamped = table.assign(**where, date=datetime.datetime.now(datetime.UTC).date().isoformat())
    stamped.to_csv(FOLDER / f"{name}.csv", index=False)
    return table


def seconds(step, repeats: int = 7) -> float:
    """The second best of several timings of `step()` after two first calls: robust to a busy moment."""
    found = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        step()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        found.append(time.perf_counter() - start)
    return sorted(found[2:])[1]


def matrix_rate(kind: torch.dtype = torch.float32) -> float:
    """GFLOP/s of a product of two square matrices, on the GPU if there is one, else with the threads that
    torch has now."""
    device, side = ("cuda", 8192) if torch.cuda.is_available() else ("cpu", 1024)
    a = torch.randn(side, side, device=device, dtype=kind)
    return 2 * side**3 / seconds(lambda: a @ a, 20) / 1e9
