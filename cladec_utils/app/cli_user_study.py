"""`cladec user-study generate` and `cladec user-study analyse`."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cladec_utils.errors import CladecError
from cladec_utils.study.study import Study
from cladec_utils.user_study.analysis import results as analysis_results
from cladec_utils.user_study.design import ARMS, DEFAULT, UserStudySpec, design, profile_of, subjects

LAUNCHED = "paper"  # the profile whose pictures are meant for participants


def add_user_study(
    commands: argparse._SubParsersAction,
    add_choices: Callable[[argparse.ArgumentParser], None],
    choices: Callable[[argparse.Namespace], dict[str, object]],
) -> None:
    """Add the sub-command; `add_choices` adds the options that name a study, `choices` reads them."""
    parser = commands.add_parser("user-study", help="generate a study with participants, analyse responses")
    actions = parser.add_subparsers(required=True, metavar="action")
    make = actions.add_parser(
        "generate",
        help="write questionnaire, key, exports and documents to a folder",
        conflict_handler="resolve",
    )
    _add_study(make, add_choices)
    make.add_argument("--images", type=int, default=24, help="pictures in the study (default 24)")
    make.add_argument("--shown", type=int, default=12, help="pictures each participant sees (default 12)")
    make.add_argument("--arms", default="control,explained", help=f"comma-separated: {', '.join(ARMS)}")
    make.add_argument("--concepts", help="comma-separated; default: all that the images allow")
    make.add_argument("--study-seed", type=int, default=0, help="draws pictures and orders (default 0)")
    make.add_argument("--launch", action="store_true", help="the build for participants, not a draft")
    make.add_argument("--documents", type=Path, help="folder with your own consent.md or debriefing.md")
    make.add_argument(
        "--out", type=Path, help="folder to write (default: results/<profile>/<study>/user_study)"
    )
    make.set_defaults(command=lambda options: _generate(options, choices(options)))
    read = actions.add_parser(
        "analyse", help="check a folder of responses and analyse it", conflict_handler="resolve"
    )
    _add_study(read, add_choices)
    read.add_argument("--study", type=Path, help="the generated study's folder (default: as generate's)")
    read.add_argument("--responses", type=Path, help="the folder of responses (default: the study's own)")
    read.set_defaults(command=lambda options: _analyse(options, choices(options)))


def _add_study(
    parser: argparse.ArgumentParser, add_choices: Callable[[argparse.ArgumentParser], None]
) -> None:
    """The options that name a study; here the default data set is another. Needs conflicts resolved."""
    add_choices(parser)
    parser.add_argument(
        "--dataset",
        help=f"default: {' and '.join(DEFAULT)}, two classifiers with opposite truths on the same images; or "
        "fashion-mnist, mnist, cifar10, cifar100, a folder, an .npz",
    )


def _words(text: str | None) -> list[str] | None:
    return None if text is None else [word.strip() for word in text.split(",") if word.strip()]


def _spec(options: argparse.Namespace, study: Study, other: Study | None) -> UserStudySpec:
    return design(
        study, other, concepts=_words(options.concepts), images=options.images, shown=options.shown,
        arms=_words(options.arms), seed=options.study_seed,
    )  # fmt: skip


def _generate(options: argparse.Namespace, choices: dict[str, object]) -> None:
    # Slow to import, and most commands do without it.
    from cladec_utils.user_study.materials.folder import folder_of, generate  # noqa: PLC0415

    study, other = subjects(choices)
    folder = (options.out or folder_of(study)).resolve()
    found = generate(_spec(options, study, other), folder, options.launch, options.documents)
    print(f"{found.study['build']} of study {found.study['hash']} written to {folder}")
    if options.launch and study.profile.name != LAUNCHED:
        print(_unfit(study.profile.name), file=sys.stderr)
    if not options.launch:
        print(f"fill in {folder / 'settings.json'}, then run the same with --launch")


def _unfit(profile: str) -> str:
    return (
        f"Warning: these pictures were made under the {profile} profile, which is for trying the kit out. "
        "Look at stimuli/: where X_R is no recognisable picture, nobody can compare X_E with it. "
        f"For participants use --profile {LAUNCHED}, perhaps with an earlier layer (--layers)."
    )


def check_subject(launched: list[dict[str, Any]], named: UserStudySpec) -> None:
    """Raises CladecError unless the options name the study that was launched, as results go to its scorecard.

    `launched` has the specs of the decoders that were shown, as a study's key has them.
    """
    theirs, ours = _naming(launched), _naming([e.to_json() for e in named.explained])
    if theirs["dataset"] != ours["dataset"]:
        ours["images"] = theirs["images"]  # other images go without saying
    differ = [name for name, value in theirs.items() if value not in (ours[name], "")]
    if differ:
        give = ", ".join(_option(name, theirs[name]) for name in differ)
        raise CladecError(
            f"The generated study is about other networks than these options name; give {give}."
        )


def _naming(explained: list[dict[str, Any]]) -> dict[str, object]:
    """What the options of the command line say of the decoders in a study's key."""
    first = explained[0]
    c, sets = first["classifier"], [e["classifier"]["data"] for e in explained]
    return {
        "profile": profile_of(c["train"]),
        "dataset": [data["dataset"] for data in sets],
        "images": [data["fingerprint"] for data in sets],
        "image-size": c["data"]["image_size"],
        "architecture": c["architecture"],
        "layers": first["layer"],
        "alpha": first["alpha"],
        "neurons": first["neurons"],
        "seeds": first["seed"],
    }


def _option(name: str, theirs: Any) -> str:
    if name == "images":
        return "the images as they were"
    if name == "dataset":
        return "no --dataset" if len(theirs) > 1 else f"--dataset {theirs[0]}"
    if name == "neurons":
        return f"--neurons {','.join(map(str, theirs))}" if theirs else "no --neurons"
    return f"--{name} {theirs:g}" if name == "alpha" else f"--{name} {theirs}"


def _analyse(options: argparse.Namespace, choices: dict[str, object]) -> None:
    # Slow to import, and most commands do without them.
    from cladec_utils.user_study.analysis.responses import open_generated  # noqa: PLC0415
    from cladec_utils.user_study.materials.folder import folder_of  # noqa: PLC0415

    study, other = subjects(choices)
    launched = open_generated((options.study or folder_of(study)).resolve())
    check_subject(launched.key["spec"]["explained"], design(study, other))
    results = analysis_results.analyse(launched, options.responses)
    folder = analysis_results.write(results)
    if results.mark:
        print(f"*** {results.mark} ***")
    for name in ("counts", "set_aside", "excluded", "arms"):
        print(f"\n{name}\n{results.tables[name].to_string(index=False)}")
    print(f"\n{analysis_results.record(results, study)}\nwritten to {folder}")
