"""How often does the verdict rule err, how much does it find, and which of its variants is used?

Studies are simulated (`claims.verdicts`, `claims.interval`) with noise of the size that had been recorded
before the rule was written: seeds .012, image x seed .45 per image, and .1 to .3 per image, the same for all
seeds. Means and mean squares are drawn from their own distributions, so that a study needs no table of
images; a test holds this against whole tables. Questions, one to a value of the column `question`:

- `earlier rule`: its known error rates and power again, with those of what was proposed in its place;
- `interval`: which reference distribution keeps a study's false "holds" at 2.5 %, whatever the noise, and
  what it finds; the worst noise is searched on a grid;
- `scorecard`: any false "holds" on a scorecard without any effect (wanted: at most 5 % of studies), with
  Gaussian seeds and with a fifth of the seeds collapsing, before and after gates; secondary rows adjusted per
  claim or together;
- `power`: of an effect of +.03 after Holm, all other rows being without effect (its strictest step);
- `siblings`: false alarms and finds of `far`;
- `budget`: how often a row says 'depends on the budget', where it does and where it does not.

Run `python benchmarks/verdict_rule.py` (two minutes on one core); the result is `verdict_rule.csv`.
"""

import datetime
import platform
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special

from cladec_utils.claims.interval import LEVEL, crossed_variance, quantile
from cladec_utils.claims.verdicts import FAMILIES, PRIMARY, far

SEEDS_SD, PAIR_SD, IMAGE_SD, ERROR_SD = 0.012, 0.45, 0.2, 0.05
"""Of effects between seeds, per image and seed, per image; of validation errors between seeds, relative."""
EFFECT, SHIFT, COLLAPSING, STUDIES = 0.03, 0.2, 0.2, 20_000

random = np.random.default_rng(20261128)


def seed_effects(shape: tuple[int, ...], sd: float = SEEDS_SD, true: float = 0.0) -> np.ndarray:
    """What each seed's networks are better by: (..., seeds)."""
    return true + random.normal(0, sd, shape)


def measured(effects: np.ndarray, images: int, image_sd: float = IMAGE_SD, pair_sd: float = PAIR_SD):
    """Mean and mean squares (seeds, images, interaction) of rows with these effects per seed (..., seeds)."""
    seeds, shape = effects.shape[-1], effects.shape[:-1]
    by_seed = effects + random.normal(0, pair_sd / images**0.5, effects.shape)
    mean = by_seed.mean(-1) + random.normal(0, image_sd / images**0.5, shape)
    df = (seeds - 1) * (images - 1)
    interaction = pair_sd**2 * random.chisquare(df, shape) / df
    of_images = (seeds * image_sd**2 + pair_sd**2) * random.chisquare(images - 1, shape) / (images - 1)
    return mean, images * by_seed.var(-1, ddof=1), of_images, interaction


# --- rules: (measured, seeds, images, level) -> which rows are above 0 --------------------------------


def chosen(row, seeds: int, images: int, level: float) -> np.ndarray:
    variance, share = crossed_variance(*row[1:], seeds, images)
    return row[0] > np.sqrt(variance) * quantile(level, seeds - 1, share, images - 1)


def earlier(row, seeds: int, images: int, level: float) -> np.ndarray:
    """Standard errors of the seeds' and of the images' means, squares added; seeds - 1."""
    return row[0] > np.sqrt((row[1] + row[2]) / (seeds * images)) * -special.stdtrit(seeds - 1, level)


def few(row, seeds: int, images: int, level: float) -> np.ndarray:
    """The interaction once; seeds - 1."""
    variance, _ = crossed_variance(*row[1:], seeds, images)
    return row[0] > np.sqrt(variance) * -special.stdtrit(seeds - 1, level)


def satterthwaite(row, seeds: int, images: int, level: float) -> np.ndarray:
    """The interaction once; Satterthwaite's degrees of freedom for the two parts, not below seeds - 1."""
    variance, share = crossed_variance(*row[1:], seeds, images)
    df = 1 / (share**2 / (seeds - 1) + (1 - share) ** 2 / (images - 1))
    return row[0] > np.sqrt(variance) * -special.stdtrit(np.maximum(df, seeds - 1), level)


def components(row, seeds: int, images: int, level: float) -> np.ndarray:
    """As proposed: Satterthwaite with seeds - 1 for the seeds' variance component alone."""
    mean, of_seeds, of_images, interaction = row
    whole = np.maximum(of_seeds + of_images - interaction, np.maximum(of_seeds, of_images))
    alone = np.maximum(of_seeds - interaction, 0)
    df = whole**2 / (alone**2 / (seeds - 1) + of_images**2 / (images - 1))
    return mean > np.sqrt(whole / (seeds * images)) * -special.stdtrit(np.maximum(df, seeds - 1), level)


RULES: dict[str, Callable] = {
    "earlier": earlier, "seeds - 1": few, "Satterthwaite": satterthwaite,
    "components": components, "chosen": chosen,
}  # fmt: skip


def collapsing(studies: int, rows: int, seeds: int, who: str, gates: bool, share: float = COLLAPSING):
    """Effects per seed (studies, rows, seeds) without any true one where a share of the seeds has a member
    of its pair collapse (`either` of the two, or `RefAE`), and which rows a gate holds back.

    A collapsed training has 1.3 to 4 times its siblings' validation error and shifts the effect by SHIFT.
    With gates it is trained again up to three times, with the same risk, while it is far worse than its
    siblings; if any is far from them after that, or RefAE's mean error above ClaDec's, there is no reference.
    """
    shape = (studies, rows, 2, seeds)  # ClaDec, RefAE
    base = np.array([0.039, 0.0107])[:, None]

    def train() -> tuple[np.ndarray, np.ndarray]:
        seed = random.random((studies, rows, 1, seeds)) < share
        refae = np.ones_like(seed) if who == "RefAE" else random.random(seed.shape) < 0.5
        fell = np.concatenate([seed & ~refae, seed & refae], axis=2)
        worse = np.where(fell, random.uniform(1.3, 4, shape), 1)
        return fell, base * worse * np.exp(random.normal(0, ERROR_SD, shape))

    fell, errors = train()
    held = np.zeros((studies, rows), dtype=bool)
    if gates:
        for _ in range(3):
            again = far(errors) & (errors > np.median(errors, -1, keepdims=True))
            new_fell, new_errors = train()
            fell, errors = np.where(again, new_fell, fell), np.where(again, new_errors, errors)
        held = far(errors).any((2, 3)) | (errors[:, :, 1].mean(-1) > errors[:, :, 0].mean(-1))
    shift = SHIFT * (fell[:, :, 1].astype(float) - fell[:, :, 0])
    return seed_effects((studies, rows, seeds)) + shift, held


# --- questions: rows of the table -----------------------------------------------------------------------


def counted(figures: dict[str, np.ndarray], **about: object) -> Iterable[dict]:
    for figure, values in figures.items():
        yield {**about, "figure": figure, "percent": round(100 * float(np.mean(values)), 1)}


def earlier_rule() -> Iterable[dict]:
    """15 claims without effect, of three rows each, adjusted per claim; 2,000 images."""
    noises = [("recorded", 0), ("seeds only", 0), ("seeds only", 0.2), ("seeds only", 1 / 3)]
    for name in ("earlier", "components", "chosen"):
        for seeds in (3, 5):
            about = {"rule": name, "seeds": seeds, "images": 2000}
            for noise, share in noises:
                effects = seed_effects((STUDIES // 4, 45, seeds))
                if share:
                    effects, _ = collapsing(STUDIES // 4, 45, seeds, "RefAE", False, share)
                drawn = measured(effects, 2000, 0.0, PAIR_SD if noise == "recorded" else 0.0)
                claims = RULES[name](drawn, seeds, 2000, LEVEL / 3).reshape(-1, 15, 3).any(-1)
                figures = {"false holds, a claim": claims, "false holds, any of 15 claims": claims.any(1)}
                yield from counted(figures, **about, noise=noise, collapsing=round(share, 2))
            drawn = measured(seed_effects((STUDIES, seeds), true=EFFECT), 2000, 0.0)
            found = RULES[name](drawn, seeds, 2000, LEVEL / 3)
            yield from counted({"power at +.03": found}, **about, noise="recorded", collapsing=0)


def interval() -> Iterable[dict]:
    """A family of 12 rows at 2.5 %."""
    grid = [(s, i) for s in (0, 0.003, 0.006, 0.012, 0.025, 0.05, 0.1) for i in (0, 0.1, 0.2, 0.3, 0.5)]
    for seeds, images in ((5, 2000), (5, 10_000), (8, 2000), (8, 10_000)):
        wrong: dict[str, list] = {name: [] for name in RULES}
        for seeds_sd, image_sd in grid:
            drawn = measured(seed_effects((STUDIES, 12, seeds), seeds_sd), images, image_sd)
            for name, rule in RULES.items():
                wrong[name].append(rule(drawn, seeds, images, LEVEL / 12).any(1))
        drawn = measured(seed_effects((STUDIES, seeds), true=EFFECT), images)
        for name, rule in RULES.items():
            about = {"rule": name, "seeds": seeds, "images": images}
            worst = int(np.argmax([values.mean() for values in wrong[name]]))
            noise = "seeds {:g}, images {:g}".format(*grid[worst])
            yield from counted({"any false holds of 12, worst": wrong[name][worst]}, **about, noise=noise)
            here = wrong[name][grid.index((SEEDS_SD, IMAGE_SD))]
            power = rule(drawn, seeds, images, LEVEL / 12)
            figures = {"any false holds of 12": here, "power at +.03, one of 12": power}
            yield from counted(figures, **about, noise="recorded")


PARTS = {"Fashion-MNIST": [(8, 4, 24, 5), (5, 8, 56, 8)], "planted": [(5, 8, 32, 4)]}
"""Of a study: seeds, primary rows, secondary rows, claims and variants among these."""
for _parts, _family in zip(PARTS.values(), FAMILIES, strict=False):
    assert sum(part[1] for part in _parts) == len(_family) * len(PRIMARY)


def scorecard() -> Iterable[dict]:
    noises = [("Gaussian", "", False), ("seeds dominate", "", False)]
    for who in ("either", "RefAE"):
        noises += [(f"a fifth collapses, {who}", who, gates) for gates in (False, True)]
    for study, parts in PARTS.items():
        for images in (2000, 10_000):
            for noise, who, gates in noises:
                figures = _scorecards(
                    parts, images, 0.1 if noise == "seeds dominate" else SEEDS_SD, who, gates
                )
                yield from counted(
                    figures, study=study, rule="chosen", images=images, noise=noise, gates=gates
                )


def _scorecards(parts: list[tuple], images: int, sd: float, who: str, gates: bool) -> dict[str, np.ndarray]:
    n, first, second = STUDIES // 2, sum(p[1] for p in parts), sum(p[2] for p in parts)
    wrong = {kind: np.zeros(n, bool) for kind in ("primary", "together", "per claim")}
    lost = []
    for seeds, primaries, secondaries, claims in parts:
        effects = seed_effects((n, primaries + secondaries, seeds), sd)
        held = np.zeros(effects.shape[:2], bool)
        if who:
            effects, held = collapsing(n, primaries + secondaries, seeds, who, gates)
        drawn = measured(effects, images)
        ours, rest = (
            [column[:, part] for column in drawn] for part in (slice(primaries), slice(primaries, None))
        )
        lost.append(held[:, :primaries])
        wrong["primary"] |= (chosen(ours, seeds, images, LEVEL / first) & ~held[:, :primaries]).any(1)
        wrong["together"] |= chosen(rest, seeds, images, LEVEL / second).any(1)
        wrong["per claim"] |= chosen(rest, seeds, images, LEVEL * claims / secondaries).any(1)
    return {
        f"any false holds, {first} primary rows": wrong["primary"],
        f"any false holds, and {second} secondary rows together": wrong["primary"] | wrong["together"],
        f"any false holds, and {second} secondary rows per claim": wrong["primary"] | wrong["per claim"],
        "primary rows without reference": np.concatenate(lost, 1),
    }


def power() -> Iterable[dict]:
    sizes = {"alone": 1, "a primary of 8": 8, "a primary of 12": 12, "a secondary of 80": 80}
    for seeds, images in ((5, 2000), (5, 10_000), (8, 2000), (8, 10_000)):
        about = {"rule": "chosen", "seeds": seeds, "images": images}
        for image_sd in (0.1, 0.2, 0.3):
            drawn = measured(seed_effects((STUDIES, seeds), true=EFFECT), images, image_sd)
            found = {
                f"power at +.03, {what}": chosen(drawn, seeds, images, LEVEL / n) for what, n in sizes.items()
            }
            yield from counted(found, **about, noise=f"images {image_sd:g}")
        effects, held = collapsing(STUDIES, 1, seeds, "either", True)
        found = chosen(measured(effects + EFFECT, images), seeds, images, LEVEL / 12) & ~held
        noise = {"noise": "a fifth collapses, either", "gates": True}
        yield from counted({"power at +.03, a primary of 12": found}, **about, **noise)


def siblings() -> Iterable[dict]:
    for seeds in (5, 8):
        for sd in (0.03, 0.05, 0.1, 0.15):
            errors = np.exp(random.normal(0, sd, (STUDIES, seeds)))
            figures = {"sets with a false alarm": far(errors).any(1)}
            for worse in (1.5, 2.0, 4.0):
                fell = random.random(errors.shape) < COLLAPSING
                found, with_it = (
                    far(np.where(fell, worse, 1) * errors),
                    f"of a fifth with {worse:g} times the error",
                )
                figures |= {
                    f"found, {with_it}": found[fell],
                    f"false alarms beside these, {with_it}": found[~fell],
                }
            yield from counted(figures, rule="chosen", seeds=seeds, noise=f"errors vary by {sd:g}")


def budget() -> Iterable[dict]:
    """8 seeds; both budgets are trained apart and tested on the same images; one of 12 primaries."""
    pairs = [(0.03, 0.03), (0.06, 0.06), (0.1, 0.1), (0.05, 0.03), (0.06, 0.03), (-0.03, 0.03), (0.0, 0.0)]
    for images in (2000, 10_000):
        for true in pairs:
            shared = random.normal(0, IMAGE_SD / images**0.5, STUDIES)
            means, above = [], []
            for mean, *squares in (measured(seed_effects((STUDIES, 8), true=t), images, 0.0) for t in true):
                squares[1] = squares[1] + 8 * IMAGE_SD**2
                means.append(mean + shared)
                above.append(chosen((means[-1], *squares), 8, images, LEVEL / 12))
            differs = (above[0] != above[1]) | (np.sign(means[0]) != np.sign(means[1]))
            crosses = np.sign(3 * means[1] - 2 * means[0]) != np.sign(means[1])
            figures = {
                "holds": above[1] & ~(differs | crosses),
                "depends on the budget": (above[0] | above[1]) & (differs | crosses),
                "would hold if the budget were not asked": above[1],
                "of these, the trend alone objects": above[1] & ~differs & crosses,
            }
            noise = "effect {:+g} at half, {:+g} at all".format(*true)
            yield from counted(figures, rule="chosen", seeds=8, images=images, noise=noise)


QUESTIONS = {
    "earlier rule": earlier_rule, "interval": interval, "scorecard": scorecard,
    "power": power, "siblings": siblings, "budget": budget,
}  # fmt: skip
COLUMNS = [
    "question",
    "study",
    "rule",
    "seeds",
    "images",
    "noise",
    "collapsing",
    "gates",
    "figure",
    "percent",
]


def main() -> None:
    """Simulate, count, write."""
    tables = []
    for name, question in QUESTIONS.items():
        tables.append(pd.DataFrame(question()).assign(question=name))
        print(tables[-1].to_string(index=False), flush=True)
    table = pd.concat(tables, ignore_index=True).reindex(columns=COLUMNS)
    table = table.astype({"seeds": "Int64", "images": "Int64"})
    versions = [f"{package} {version(package)}" for package in ("numpy", "scipy")]
    table["versions"] = ", ".join([f"Python {platform.python_version()}", *versions])
    table["date"] = datetime.datetime.now(datetime.UTC).date().isoformat()
    table.to_csv(Path(__file__).with_suffix(".csv"), index=False)


if __name__ == "__main__":
    main()
