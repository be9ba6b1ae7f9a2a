"""`cladec user-study generate` and `cladec user-study analyse`."""

import argparse
from collections.abc import Callable
from pathlib import Path

from cladec_utils import user_study_results
from cladec_utils.study import Study
from cladec_utils.user_study_package import folder_of, generate
from cladec_utils.user_study_responses import open_generated
from cladec_utils.user_study_spec import ARMS, UserStudySpec, design, subjects


def add_user_study(
    commands: argparse._SubParsersAction,
    add_choices: Callable[[argparse.ArgumentParser], None],
    choices: Callable[[argparse.Namespace], dict[str, object]],
) -> None:
    """Add the sub-command; `add_choices` adds the options that name a study, `choices` reads them."""
    parser = commands.add_parser("user-study", help="generate a study with participants, analyse responses")
    actions = parser.add_subparsers(required=True, metavar="action")
    make = actions.add_parser("generate", help="write questionnaire, key, exports and documents to a folder")
    add_choices(make)
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
    read = actions.add_parser("analyse", help="check a folder of responses and analyse it")
    add_choices(read)
    read.add_argument("--study", type=Path, help="the generated study's folder (default: as generate's)")
    read.add_argument("--responses", type=Path, help="the folder of responses (default: the study's own)")
    read.set_defaults(command=lambda options: _analyse(options, choices(options)))


def _words(text: str | None) -> list[str] | None:
    return None if text is None else [word.strip() for word in text.split(",") if word.strip()]


def _spec(options: argparse.Namespace, study: Study, other: Study | None) -> UserStudySpec:
    return design(
        study, other, concepts=_words(options.concepts), images=options.images, shown=options.shown,
        arms=_words(options.arms), seed=options.study_seed,
    )  # fmt: skip


def _generate(options: argparse.Namespace, choices: dict[str, object]) -> None:
    study, other = subjects(choices)
    folder = (options.out or folder_of(study)).resolve()
    found = generate(_spec(options, study, other), folder, options.launch, options.documents)
    print(f"{found.study['build']} of study {found.study['hash']} written to {folder}")
    if not options.launch:
        print(f"fill in {folder / 'settings.json'}, then run the same with --launch")


def _analyse(options: argparse.Namespace, choices: dict[str, object]) -> None:
    study, _ = subjects(choices)
    launched = open_generated((options.study or folder_of(study)).resolve())
    results = user_study_results.analyse(launched, options.responses)
    folder = user_study_results.write(results)
    if results.mark:
        print(f"*** {results.mark} ***")
    for name in ("counts", "set_aside", "excluded", "arms"):
        print(f"\n{name}\n{results.tables[name].to_string(index=False)}")
    print(f"\n{user_study_results.record(results, study)}\nwritten to {folder}")
