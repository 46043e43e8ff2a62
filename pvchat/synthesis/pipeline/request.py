"""``pvchat synthesize``: what was asked for. What can be wrong with it is looked for before anything loads."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pvchat.errors import UserError
from pvchat.subjects import check_name

SHARED = ("source", "background")


@dataclass
class SubjectRequest:
    """One subject: who, the files, and what is said about them."""

    name: str
    reference: list[str] = field(default_factory=list)
    face: int | None = None
    like: list[str] = field(default_factory=list)
    gender: str | None = None
    age: str | None = None
    licence: str = "not stated"
    consent: str = "not stated"


class SubjectAction(argparse.Action):
    """``--subject NAME`` begins a subject."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        subjects = getattr(namespace, "subjects", None) or []
        namespace.subjects = [*subjects, SubjectRequest(values)]


class AboutSubject(argparse.Action):
    """An option about the subject named last."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        if not getattr(namespace, "subjects", None):
            parser.error(f"{option_string} is about the --subject before it: there is none yet")
        subject = namespace.subjects[-1]
        old = getattr(subject, self.dest)
        setattr(subject, self.dest, [*old, *values] if isinstance(values, list) else values)


def main(options: argparse.Namespace) -> None:
    """Check the request, then make the corpus. Raises UserError."""
    check_request(options)
    from pvchat.synthesis.pipeline.synthesize import synthesize_command

    synthesize_command(options)


def check_request(options: argparse.Namespace) -> None:
    """Raises UserError for names, files and folders that cannot be."""
    subjects: Sequence[SubjectRequest] = options.subjects or []
    if not subjects:
        raise UserError("a corpus needs somebody: give --subject NAME --reference CLIP.")
    names = [s.name for s in subjects]
    for name in names:
        check_name(name)
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise UserError(
            f"each subject is given once, with all references: {twice[0]!r} is given {names.count(twice[0])} "
            "times. Put all files behind one --reference."
        )
    for subject in subjects:
        if not subject.reference:
            raise UserError(f"each --subject needs a --reference behind it: {subject.name!r} has none.")
        for place in (*subject.reference, *subject.like):
            if not Path(place).exists():
                raise UserError(
                    f"--reference and --like are clips, photos or folders of them: {place} does not exist."
                )
        if subject.face is not None and subject.like:
            raise UserError(
                f"--face and --like both say who is meant: {subject.name!r} has both. Leave one out."
            )
    for flag, folder in (("--gallery", options.gallery), ("--places", options.places)):
        if folder is not None and not Path(folder).is_dir():
            raise UserError(f"{flag} is a folder: {folder} is none.")
    out = Path(options.out)
    if out.exists() and not out.is_dir():
        raise UserError(f"--out is a folder: {out} is a file.")
