"""Does the analysis of a user study recover what was planted, and keep quiet where there is nothing?

Whole studies are simulated (`user_study.analysis.power`) with 60 participants an arm (where nothing else is
said), each of whom chooses between two concepts of 12 of 24 pictures. Counted are the intervals that hold the
true difference in right choices and the studies that reject no difference at 5 %. Wanted, of 1,000: at least
93 % of the intervals; at most 8 % rejections where there is nothing. The first was missed once, with 20
participants an arm: 92.8 %.

`ABSTENTION` are studies whose arms know the same (65 % right) and say "cannot tell" unlike often in the
single judgements of six concepts of each picture: as often where they would be right, or only where they
guess. Counted is how often a row of C5 holds, one-sided at 2.5 %, by the rule (choices), by single
judgements without "cannot tell" (missing), and with it as wrong, which had been the rule. Wanted by the
rule: at most 4 %. The simulations are not chosen: they are numbers 0, 1, 2, ... of one seed.

Run `python benchmarks/user_study_recovery.py`; the result is `user_study_recovery.csv` beside this file.
"""

import importlib.metadata
import platform
import time
from pathlib import Path

import pandas as pd
import torch

from cladec_utils.claims.interval import LEVEL
from cladec_utils.engine import grid, store
from cladec_utils.user_study.analysis.power import RULES, PowerSpec

SEED, SIMULATIONS = 20260, 1000
DESIGNS = [(60, 24, 0.12), (60, 24, 0.05), (60, 24, 0.0), (20, 24, 0.0), (60, 48, 0.0), (60, 12, 0.0)]
BASE, KNOWING = 0.56, 0.65
ABSTENTION = [
    ((0.10, 0.10), False),
    ((0.35, 0.10), False),
    ((0.10, 0.35), False),
    ((0.35, 0.10), True),
    ((0.10, 0.35), True),
]
"""Share of "cannot tell" of the other arm and of that with X_E, and whether only guesses are withheld."""


def main() -> None:
    """Simulate, count, write."""
    specs = [PowerSpec(people, images, 12, BASE, gain, SIMULATIONS, SEED) for people, images, gain in DESIGNS]
    specs += [
        PowerSpec(60, 24, 12, KNOWING, 0.0, SIMULATIONS, SEED, 6, shares, unsure)
        for shares, unsure in ABSTENTION
    ]
    grid.compute(specs, lines=True)
    rows = []
    for spec in specs:
        found = store.get(spec).tensors
        covered = (found["low"] <= spec.gain) & (spec.gain <= found["high"])
        said = dict(zip(("cannot_tell_other", "cannot_tell_explained"), spec.withheld, strict=True))
        rows.append({
            "respondents": "simulated", "participants_per_arm": spec.per_arm, "images": spec.images,
            "shown": spec.shown, "right_choices": spec.base, "true_difference": spec.gain,
            "simulations": spec.simulations, "covered_percent": _percent(covered),
            "rejected_percent": _percent(found["p"] < 0.05),
            "mean_difference": round(found["difference"].mean().item(), 4),
            "mean_width": round((found["high"] - found["low"]).mean().item(), 4),
            "judged": spec.judged, **(said if spec.judged else {}),
            "guesses_only": spec.unsure if spec.judged else "",
            **{
                f"holds_percent_{rule}": _percent(found[f"holds_{rule}"] <= LEVEL)
                for rule in RULES if f"holds_{rule}" in found
            },
        })  # fmt: skip
    table = pd.DataFrame(rows)
    versions = [f"{p} {importlib.metadata.version(p)}" for p in ("statsmodels", "numpy", "scipy")]
    table["machine"] = f"{platform.machine()}, Python {platform.python_version()}, {', '.join(versions)}"
    table["date"] = time.strftime("%Y-%m-%d")
    table.to_csv(Path(__file__).with_suffix(".csv"), index=False)
    print(table.to_string(index=False))


def _percent(happened: torch.Tensor) -> float:
    return round(100 * happened.double().mean().item(), 1)


if __name__ == "__main__":
    main()
