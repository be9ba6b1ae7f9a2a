"""Does the analysis of a user study recover what was planted, and keep quiet where there is nothing?

Whole studies are simulated (`user_study.analysis.power`) with 60 participants an arm, each of whom
judges six concepts of 12 of 24 pictures. Counted are the intervals that hold the true difference in accuracy
and the studies that reject no difference at 5 %. Wanted, of 100: at least 93 intervals; at most 8 rejections
where there is nothing. The simulations are not chosen: they are numbers 0, 1, 2, ... of one seed.

Run `python benchmarks/user_study_recovery.py`; the result is `user_study_recovery.csv` beside this file.
"""

import importlib.metadata
import platform
import time
from pathlib import Path

import pandas as pd

from cladec_utils.engine import grid, store
from cladec_utils.user_study.analysis.power import PowerSpec

SEED, SIMULATIONS = 20260, 1000
DESIGNS = [(60, 24, 0.12), (60, 24, 0.05), (60, 24, 0.0), (20, 24, 0.0), (60, 48, 0.0), (60, 12, 0.0)]


def main() -> None:
    """Simulate, count, write."""
    specs = [
        PowerSpec(people, images, 12, 6, 0.56, gain, SIMULATIONS, SEED) for people, images, gain in DESIGNS
    ]
    grid.compute(specs, lines=True)
    rows = []
    for spec in specs:
        found = store.get(spec).tensors
        covered = (found["low"] <= spec.gain) & (spec.gain <= found["high"])
        rejected = found["p"] < 0.05
        rows.append({
            "respondents": "simulated", "participants_per_arm": spec.per_arm, "images": spec.images,
            "shown": spec.shown, "true_difference": spec.gain, "simulations": spec.simulations,
            "covered_of_first_100": int(covered[:100].sum()),
            "rejected_of_first_100": int(rejected[:100].sum()),
            "covered_percent": round(100 * covered.double().mean().item(), 1),
            "rejected_percent": round(100 * rejected.double().mean().item(), 1),
            "mean_difference": round(found["difference"].mean().item(), 4),
            "mean_width": round((found["high"] - found["low"]).mean().item(), 4),
        })  # fmt: skip
    table = pd.DataFrame(rows)
    versions = [f"{p} {importlib.metadata.version(p)}" for p in ("statsmodels", "numpy", "scipy")]
    table["machine"] = f"{platform.machine()}, Python {platform.python_version()}, {', '.join(versions)}"
    table["date"] = time.strftime("%Y-%m-%d")
    table.to_csv(Path(__file__).with_suffix(".csv"), index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
