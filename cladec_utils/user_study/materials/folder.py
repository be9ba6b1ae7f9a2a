"""Write a user study as one folder that can be hosted, and never over something of the researcher's."""

import hashlib
import json
import os
import shutil
from pathlib import Path

from cladec_utils.engine import store
from cladec_utils.engine.paths import read_text
from cladec_utils.errors import CladecError
from cladec_utils.study.study import Study
from cladec_utils.user_study.design import UserStudySpec, asked_about, slots
from cladec_utils.user_study.materials.documents import all_documents
from cladec_utils.user_study.materials.questionnaire import Content, content, page
from cladec_utils.user_study.materials.settings import NAME as SETTINGS
from cladec_utils.user_study.materials.settings import (
    blank,
    check_filled,
    own_documents,
    participants_texts,
    read,
)
from cladec_utils.user_study.materials.stimuli import items
from cladec_utils.user_study.schema import CHECKSUMS, FOLDER, RESPONSES, response_schema

READ = ("study.json", "private/key.json", SETTINGS)
"""What is read again of a folder: by the analysis, and when the folder is written anew."""


def folder_of(study: Study) -> Path:
    """Where a study's user study goes: `user_study` in the results folder of what it asks about."""
    return asked_about(study).folder.path / FOLDER


class KeptError(CladecError):
    """The folder holds something of the researcher's; it was left as it is."""


def refresh(spec: UserStudySpec, folder: Path) -> str:
    """Write a draft to `folder` where nothing of the researcher's is touched by that, else keep what is
    there: responses, edited files, a launch build. Returns a sentence on what was done."""
    with store.locked(folder.parent, folder.name):  # notebooks run side by side, and two of them ask
        if _holds_launch(folder):
            return "The launch build that is there was kept."
        try:
            return f"Draft of study {generate(spec, folder).study['hash']} written."
        except KeptError as error:
            if not (folder / "study.json").is_file():
                raise
            return f"Kept what is there. {error}"


def _holds_launch(folder: Path) -> bool:
    try:
        return json.loads(read_text(folder / "study.json"))["build"] == "launch"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False  # nothing readable there: `generate` has the word


def generate(spec: UserStudySpec, folder: Path, launch: bool = False, own: Path | None = None) -> Content:
    """Compute what is missing of a user study and write it to `folder`; returns its content.

    `launch` makes the build for participants and fails while a setting or a placeholder is unfilled; else
    a draft is made that says so. `own` is a folder with your own texts for some of `settings.DOCUMENTS`.
    `settings.json` in `folder` is yours: it is read, and written only if it is missing. Raises KeptError if
    the folder holds responses, a file that was changed or one that is not the kit's, or a launch build where
    a draft is asked for; nothing is written then.
    """
    check_untouched(folder)
    if _holds_launch(folder) and not launch:
        raise KeptError(
            f"{folder} holds a launch build; a draft would replace it. Choose another folder (--out), or "
            "give --launch to build it anew."
        )
    settings_file = folder / SETTINGS
    settings = read(settings_file) if settings_file.is_file() else blank()
    build = "launch" if launch else "draft"
    texts = participants_texts(settings, own_documents(own))
    found = content(spec, items(spec), slots(spec), settings, texts, build)
    files = _files(spec, found, settings, texts)
    if launch:
        check_filled(settings, *(f for name, f in files.items() if name.endswith(".md")))
    given = settings_file.read_bytes() if settings_file.is_file() else b""
    files[SETTINGS] = given or json.dumps(blank(), indent=1) + "\n"
    _write(folder, files)
    return found


def _files(
    spec: UserStudySpec, found: Content, settings: dict[str, str], texts: dict[str, str]
) -> dict[str, str | bytes]:
    """All files of the study by their place in the folder."""
    return {
        "index.html": page(found),
        "study.json": _json(found.study),
        "private/key.json": _json(found.key),
        "response.schema.json": _json(response_schema(found.study)),
        **all_documents(spec, found, settings),
        **{f"documents/{name}.md": text for name, text in texts.items()},
        **{f"stimuli/{code}.png": data for code, data in found.pictures.items()},
    }


def _json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def check_untouched(folder: Path) -> None:
    """Raises KeptError unless `folder` is missing, empty, or as the kit wrote it, without responses."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        checksums = json.loads((folder / CHECKSUMS).read_text("utf-8"))
        if not isinstance(checksums, dict):
            raise ValueError(f"{CHECKSUMS} holds no checksums")
    except (OSError, ValueError, RecursionError) as error:
        raise KeptError(
            f"{folder} is not empty and no user study of the kit; choose another folder."
        ) from error
    way_out = "choose another folder (--out), or move it away first."
    if any(p.is_file() for p in (folder / RESPONSES).glob("**/*")):
        raise KeptError(
            f"{folder / RESPONSES} holds responses, which belong to the study as it is; {way_out}"
        )
    for path in sorted(p for p in folder.glob("**/*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if name in (SETTINGS, CHECKSUMS):
            continue
        if name not in checksums:
            raise KeptError(f"{path} is not the kit's; {way_out}")
        if hashlib.sha256(path.read_bytes()).hexdigest() != checksums[name]:
            raise KeptError(f"{path} was changed by hand and would be overwritten; {way_out}")


def _write(folder: Path, files: dict[str, str | bytes]) -> None:
    """Write all files to a folder beside `folder`, then put it in its place."""
    checksums = {
        name: hashlib.sha256(_bytes(data)).hexdigest()
        for name, data in sorted(files.items())
        if name != SETTINGS
    }
    partial = folder.with_name(f".partial-{folder.name}-{os.getpid()}")
    with store.writing_to(folder.parent):
        try:
            (partial / RESPONSES).mkdir(parents=True)
            for name, data in {**files, CHECKSUMS: _json(checksums)}.items():
                path = partial / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(_bytes(data))
            if folder.exists():
                old = folder.with_name(f".partial-{folder.name}-old-{os.getpid()}")
                folder.rename(old)
                try:
                    partial.rename(folder)
                except OSError:
                    old.rename(folder)
                    raise
                shutil.rmtree(old)
            else:
                partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
