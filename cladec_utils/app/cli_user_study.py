"""`cladec user-study generate` and `cladec user-study analyse`."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from cladec_utils.app.commands import check_writable, make_folder
from cladec_utils.app.options import DATA, Commands, add, choices, command, folder, natural, positive, words
from cladec_utils.errors import CladecError

if TYPE_CHECKING:
    from cladec_utils.user_study.design import UserStudySpec

LAUNCHED = "paper"  # the profile whose pictures are meant for participants
TWO = "planted-tint-stripes and planted-brightness-background"
SUBJECT = ("profile", "dataset", "architecture", "layer", "alpha", "neurons", "seed", "image_size")
HELP = {
    "dataset": f"default: {TWO}, two classifiers with opposite truths on the same images; or "
    f"fashion-mnist, {DATA}",
    "seed": "the training that people see; default: the profile's first",
}


def add_user_study(under: Commands) -> None:
    """Add the command `user-study` to those of `cladec`."""
    people = command(
        under, "user-study", "generate a study with participants, analyse responses",
        "A study with participants: what people learn from the pictures of one layer.",
    )  # fmt: skip
    actions = people.commands("action")
    _add_generate(actions)
    read = command(
        actions, "analyse", "check a folder of responses and analyse it",
        "Check a folder of responses, and analyse them for the study that the other options name: give\n"
        "those that it was generated with.",
        "cladec user-study analyse --responses returned/",
    )  # fmt: skip
    add(read, *SUBJECT, **HELP)
    read.add_argument(
        "--study", type=folder, metavar="FOLDER", help="the generated study (default: as generate's)"
    )
    read.add_argument(
        "--responses", type=folder, metavar="FOLDER", help="the responses (default: the study's own)"
    )
    read.set_defaults(command=_analyse)


def _add_generate(actions: Commands) -> None:
    make = command(
        actions, "generate", "write questionnaire, key, exports and documents to a folder",
        "Write a study with participants to a folder: questionnaire, key, exports and documents. A draft\n"
        "comes first; fill in its settings.json, then run the same with --launch.",
        "cladec user-study generate --layer block4 --images 12 --shown 6 --out asked/",
    )  # fmt: skip
    add(make, *SUBJECT, **HELP)
    make.add_argument(
        "--images", type=positive, default=24, metavar="N", help="pictures in the study (default 24)"
    )
    make.add_argument(
        "--shown", type=positive, default=12, metavar="N", help="pictures each participant sees (default 12)"
    )
    make.add_argument(
        "--arms", type=words, metavar="NAMES",
        help="comma-separated, explained among them: sham, explained, control (default sham,explained)",
    )  # fmt: skip
    make.add_argument(
        "--concepts", type=words, metavar="NAMES", help="comma-separated; default: all that the images allow"
    )
    make.add_argument(
        "--study-seed", type=natural, default=0, metavar="SEED", help="draws pictures and orders (default 0)"
    )
    make.add_argument("--launch", action="store_true", help="the build for participants, not a draft")
    make.add_argument(
        "--documents", type=folder, metavar="FOLDER",
        help="folder with your own consent.md or debriefing.md",
    )  # fmt: skip
    make.add_argument(
        "--out", type=folder, metavar="FOLDER",
        help="folder to write (default: results/<profile>/<study>/user_study)",
    )  # fmt: skip
    make.set_defaults(command=_generate)


def _generate(options: argparse.Namespace) -> None:
    from cladec_utils.user_study.design import USUAL_ARMS, design, subjects
    from cladec_utils.user_study.materials.folder import folder_of, generate

    study, other = subjects(choices(options))
    spec = design(
        study, other, concepts=options.concepts, images=options.images, shown=options.shown,
        arms=options.arms or USUAL_ARMS, seed=options.study_seed,
    )  # fmt: skip
    folder = (options.out or folder_of(study)).resolve()
    (make_folder if options.out else check_writable)(folder.parent)
    found = generate(spec, folder, options.launch, options.documents)
    print(f"{found.study['build']} of study {found.study['hash']} written to {folder}")
    if options.launch and study.profile.name != LAUNCHED:
        print(_unfit(study.profile.name), file=sys.stderr)
    if not options.launch:
        print(f"fill in {folder / 'settings.json'}, then run the same with --launch")


def _unfit(profile: str) -> str:
    return (
        f"Warning: these pictures were made under the {profile} profile; meant for participants are those of "
        f"--profile {LAUNCHED}, perhaps with an earlier layer (--layer). "
        "Look at stimuli/: where X_R is no recognisable picture, nobody can compare X_E with it."
    )


def check_subject(launched: list[dict[str, Any]], named: "UserStudySpec") -> None:
    """Raises CladecError unless the options name the study that was launched, as results go to its scorecard.

    `launched` has the specs of the decoders that were shown, as a study's key has them.
    """
    theirs, ours = _naming(launched), _naming([e.to_json() for e in named.explained])
    if theirs["dataset"] != ours["dataset"]:
        ours["images"] = theirs["images"]  # other images go without saying
    differ = [name for name, value in theirs.items() if value != ours[name]]
    if differ:
        give = ", ".join(_option(name, theirs[name]) for name in differ)
        raise CladecError(
            f"The generated study is about other networks than these options name; give {give}."
        )


def _naming(explained: list[dict[str, Any]]) -> dict[str, object]:
    """What the options of the command line say of the decoders in a study's key."""
    from cladec_utils.user_study.design import profile_of

    first = explained[0]
    c, sets = first["classifier"], [e["classifier"]["data"] for e in explained]
    return {
        "profile": profile_of(first) or [c["width"], c["train"], first["train"]],
        "dataset": [data["dataset"] for data in sets],
        "images": [data["fingerprint"] for data in sets],
        "image-size": c["data"]["image_size"],
        "architecture": c["architecture"],
        "layer": first["layer"],
        "alpha": first["alpha"],
        "neurons": first["neurons"],
        "seed": first["seed"],
    }


def _option(name: str, theirs: Any) -> str:
    if name == "images":
        return "the images as they were"
    if name == "profile" and not isinstance(theirs, str):
        return "the --profile that it was generated with"
    if name == "dataset":
        return "no --dataset" if len(theirs) > 1 else f"--dataset {theirs[0]}"
    if name == "neurons":
        return f"--neurons {','.join(map(str, theirs))}" if theirs else "no --neurons"
    return f"--{name} {theirs:g}" if name == "alpha" else f"--{name} {theirs}"


def _analyse(options: argparse.Namespace) -> None:
    from cladec_utils.user_study.analysis import results as analysis_results
    from cladec_utils.user_study.analysis.responses import open_generated
    from cladec_utils.user_study.design import design, subjects
    from cladec_utils.user_study.materials.folder import folder_of

    study, other = subjects(choices(options))
    launched = open_generated((options.study or folder_of(study)).resolve())
    check_subject(launched.key["spec"]["explained"], design(study, other))
    results = analysis_results.analyse(launched, options.responses)
    folder = analysis_results.write(results)
    if results.mark:
        print(f"*** {results.mark} ***")
    for name in ("counts", "set_aside", "excluded", "choices", "arms", "abstention"):
        print(f"\n{name}\n{results.tables[name].to_string(index=False)}")
    print(f"\n{analysis_results.record(results, study)}\nwritten to {folder}")
