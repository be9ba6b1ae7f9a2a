"""What one seed of a long study shows before the others are there: copies its table, and sums it up by layer.

    python benchmarks/one_seed.py standard       reads results/standard, writes standard/<study>.csv and
                                                 one_seed_standard.csv

No verdict: these are the figures of the first seed alone, on test images. The table of a study is copied as
it is whenever one more of its seeds is complete, as the store that it comes from need not outlive a machine.
"""

import argparse
import shutil

import pandas as pd
from common import FOLDER, machine

from cladec_utils.engine import paths

METRICS = ("mse", "validation_mse", "c_correct", "judge_correct", "fewer_correct", "panel_agrees")


def main() -> None:
    """Copy and sum up every study of the profile that has a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("profile")
    profile, rows = parser.parse_args().profile, []
    for path in sorted(paths.results_dir(profile).glob("*/evaluations.csv")):
        (FOLDER / profile).mkdir(exist_ok=True)
        shutil.copyfile(path, FOLDER / profile / f"{path.parent.name}.csv")
        table = pd.read_csv(path, keep_default_na=False, na_values={"alpha": [""]})
        first = table[
            (table["alpha"].fillna(0) == 0)
            & (table["seed"] == table["seed"].min())
            & (table["control"] == "")
        ]
        wide = first[first["metric"].isin(METRICS)].pivot_table(
            index=["method", "layer", "neurons", "updates"], columns="metric", values="value"
        )
        wide = wide.reset_index().assign(study=path.parent.name, seed=table["seed"].min())
        rows.append(wide)
    found = pd.concat(rows)[["study", "seed", "method", "layer", "neurons", "updates", *METRICS]]
    print(found.to_string(index=False))
    found.round(5).assign(machine=machine()).to_csv(FOLDER / f"one_seed_{profile}.csv", index=False)


if __name__ == "__main__":
    main()
