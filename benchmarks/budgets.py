"""How many updates a decoder needs: validation MSE of RefAE and ClaDec over doublings of their budget.

The rule, fixed before it was run: the budget is the smallest for which doubling it lowers the validation MSE,
in evaluation mode, by less than 5 % for both; where a profile's hours end before that, the largest that they
allow, the same for both, with the slope that is left said. It never looks at C1 or C2.

    python benchmarks/budgets.py standard        prints the table, writes budgets_standard.csv

Seed 0 and alpha 0, at the last two layers of `vgg`. Trainings go to the store by spec: those that the profile
itself needs are not made twice; it begins with the shortest, and can be stopped after any.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import pandas as pd
from common import machine

from cladec_utils import open_study
from cladec_utils.engine import grid, store

DOUBLINGS = (-3, -2, -1, 0, 1)
"""Budgets as powers of two of the profile's own."""
ENOUGH = 0.05


def main() -> None:
    """Train what is missing, print and write the table after each budget."""
    parser = argparse.ArgumentParser()
    parser.add_argument("profile")
    study = open_study(parser.parse_args().profile)
    seed, rows = study.seeds[0], []
    for power in DOUBLINGS:
        updates = round(study.profile.decoder.length(study.data_spec.n_train) * 2.0**power)
        for layer in study.layers[-2:]:
            pair = {"RefAE": study.refae(layer, seed), "ClaDec": study.cladec(layer, seed, 0.0)}
            pair = {
                k: replace(s, train=replace(s.train, epochs=None, updates=updates)) for k, s in pair.items()
            }
            grid.compute(list(pair.values()), lines=True)
            for name, spec in pair.items():
                made = store.record(spec)
                facts = {"layer": layer, "network": name, "updates": updates, "seconds": round(made.seconds)}
                rows.append({**facts, "validation_mse": made.metrics["final_val"], "hash": spec.hash})
        table = pd.DataFrame(rows).sort_values(["layer", "network", "updates"], kind="stable")
        before = table.groupby(["layer", "network"])["validation_mse"].shift()
        table["lower_than_half_by"] = (1 - table["validation_mse"] / before).round(4)
        table["enough"] = table.groupby(["layer", "network"])["lower_than_half_by"].shift(-1) < ENOUGH
        table.assign(machine=machine()).to_csv(
            Path(__file__).with_name(f"budgets_{study.profile.name}.csv"), index=False
        )
        print(table.to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
