"""What the commands of `cladec` do. Each imports what it needs when it runs: torch takes seconds, the
notebooks' tools as many again, and most commands do without the one or the other."""

import argparse
import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cladec_utils.app.options import choices, everywhere, place
from cladec_utils.engine import paths

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cladec_utils.study.study import Study


def study(options: argparse.Namespace) -> None:
    """`cladec study`: train what is missing, run the notebooks, build the report."""
    from cladec_utils import notebook
    from cladec_utils.app import estimate, plan, selection, series
    from cladec_utils.engine import clusters

    start = time.monotonic()
    datasets = [place(name) for name in options.datasets or []]
    classifiers = [everywhere(name) for name in options.classifiers or []]
    chosen = plan.combinations(datasets, classifiers, choices(options) | {"alphas": options.alphas})
    profile = chosen[0].study.profile.name
    check_writable(paths.results_dir(profile))
    asked = options.only is not None
    there = selection.named(series.series(), options.only)
    shown = [each for each in chosen if each.full]
    mine = {id(each): selection.of_study(each.study, there, asked) for each in shown}
    for each in shown:
        notebook.begin(each.study)
        if left := [path.stem for path in there if path not in mine[id(each)]]:
            print(f"not run, as they are not about it (name them with --only): {', '.join(left)}")
    print(estimate.sentence(chosen, there, asked), flush=True)
    with contextlib.ExitStack() as stack:
        stack.enter_context(clusters.computing_at(clusters.Place(options.scheduler or "", options.slurm)))
        plan.compute(chosen, there, asked)
        if clusters.elsewhere():
            stack.close()  # notebooks run on this machine
        these = plan.experiment_folders(chosen, there, asked)
        for each in shown:
            given, last = each.choices | {"folders": these}, each is shown[-1]
            series.run_series(each.study, given, options.force, readers=last, notebooks=mine[id(each)])
    _say_report(profile, these)
    print(f"done in {time.monotonic() - start:.0f} s")


def explain(options: argparse.Namespace) -> None:
    """`cladec explain`: triplets in one picture."""
    from cladec_utils.plots import images
    from cladec_utils.study.study import open_study

    out = options.out.resolve()
    opened = open_study(**choices(options))
    make_folder(out.parent)
    images.save(triplets(opened, options.count), out)
    print(f"wrote {options.out}")


def triplets(opened: "Study", count: int) -> "Figure":
    """The explanation triplets of the study's layers, first seed, for test images chosen by rule; below them,
    and printed, how far to trust each layer's, as measured on all test images."""
    from cladec_utils import notebook
    from cladec_utils.engine import grid
    from cladec_utils.models.inference import as_float
    from cladec_utils.plots import images
    from cladec_utils.study.explainers import explainer, reconstruct
    from cladec_utils.study.quality import NOT_MEANINGFUL, in_words, measured

    seed, test = opened.seeds[0], opened.data.test
    trios = {n: (opened.refae(n, seed), opened.cladec(n, seed), opened.pca(n)) for n in opened.layers}
    grid.compute([spec for trio in trios.values() for spec in trio], lines=True)
    indices = notebook.pick_images(opened, count)
    rows, said = {"X": as_float(test.images[indices])}, []
    for layer, trio in trios.items():
        x_r, x_e, components = (reconstruct(spec, test.images) for spec in trio)
        generic = bool(trio[0].reference)
        rows |= {f"X_R {layer}{' (generic encoder)' * generic}": x_r[indices], f"X_E {layer}": x_e[indices]}
        numbers = in_words(explainer(trio[2]), trio[2].components)
        quality = measured(
            test.images, x_e, x_r, components, numbers=numbers, alpha=opened.alpha, generic=generic
        )
        said.append(f"{layer}: {quality}")
    if opened.profile.name == "smoke":
        said = [NOT_MEANINGFUL]
    print(*said, sep="\n")
    return images.image_rows(
        rows, [opened.data.class_names[i] for i in test.labels[indices]], below="\n".join(said)
    )


def layers(options: argparse.Namespace) -> None:
    """`cladec layers`: a line per layer."""
    from cladec_utils.models.hints import hint
    from cladec_utils.models.layers import list_layers
    from cladec_utils.study.networks import look

    network, shape = look(**choices(options))
    known = list_layers(network, shape)
    wide = max(24, *(len(layer.name) + 2 for layer in known))
    print(f"{'layer':{wide}}{'type':24}{'channels first':18}{'given as'}")
    for layer in known:
        print(f"{layer.name:{wide}}{layer.type:24}{' x '.join(map(str, layer.shape)):18}{layer.layout}")
    print(hint(network, shape))


def scorecard(options: argparse.Namespace) -> None:
    """`cladec scorecard`: the verdicts, printed and written."""
    from cladec_utils.claims import scorecard as cards
    from cladec_utils.study.profiles import get_profile

    profile = get_profile(options.profile).name
    card, folder = cards.write(profile, options.study)
    print(cards.readable(card).to_string(index=False))
    print(cards.left_out(profile, options.study) or "nothing was left out")
    print(f"written to {folder}")


def report(options: argparse.Namespace) -> None:
    """`cladec report`: the pages of a profile's executed notebooks."""
    from cladec_utils.study.profiles import get_profile

    _say_report(get_profile(options.profile).name)


def _say_report(profile: str, these: Sequence[str] | None = None) -> None:
    from cladec_utils.app import report as pages

    print(f"report: {pages.build(profile, these)}")


def notebooks(options: argparse.Namespace) -> None:
    """`cladec notebooks`. The scorecard among them reads what the whole study has recorded, so that is made
    first."""
    from cladec_utils.app import plan, series

    plan.compute(plan.combinations(None, None, {"profile": "quick"}), series.series())
    series.write_outputs(paths.home() / "notebooks", options.all)


def artifacts(options: argparse.Namespace) -> None:
    """`cladec artifacts`: what the store holds, or some of it removed."""
    from cladec_utils.app import artifacts as stored

    if options.remove:
        stored.remove(options.remove)
    else:
        stored.show()


def check_writable(folder: Path) -> None:
    """Say before hours of training, not after, that nothing can be written there. Makes the folder."""
    from cladec_utils.engine import store

    probe = folder / f".partial-probe-{os.getpid()}"
    store.write_text(probe, "")
    probe.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """`check_writable` for the place of what --out names: a new folder may be a slip, so it is said."""
    if not folder.exists():
        print(f"making the folder {folder}", flush=True)
    check_writable(folder)
