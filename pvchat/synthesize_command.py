"""``pvchat synthesize``: what was asked for; what can be wrong with it is said before anything loads."""

import argparse
import json
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pvchat.errors import UserError
from pvchat.interruption import Interruption
from pvchat.subjects import check_name
from pvchat.synthesis.pipeline.subject_request import SubjectRequest

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from pvchat.synthesis.pipeline.recipe import Recipe
    from pvchat.synthesis.roles import Executor

DEFAULT = "synthesis/laptop.yaml"
_ADVICE = "pvchat synthesize --print-config shows what can be set."


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
    """Check the request, make the corpus and say what is in it. Raises UserError, and Interruption."""
    with _resumable():
        _main(options)


def _main(options: argparse.Namespace) -> None:
    if not options.print_config:
        check_request(options)
    if options.print_config:
        print(recipe_text(options.config, _overrides(options)), end="")
        return
    recipe, config = load_recipe(options.config, _overrides(options))
    from pvchat.data_command import describe
    from pvchat.datamodules.manifest import read_manifest
    from pvchat.synthesis.licences import check_commercial
    from pvchat.synthesis.pipeline.overview import STATISTICS, sentences
    from pvchat.synthesis.pipeline.synthesize import synthesize

    if options.places:
        recipe = _in_places(recipe, options.places)
    if options.commercial:
        check_commercial(recipe.terms)
    manifest = synthesize(
        options.subjects,
        recipe,
        out=Path(options.out),
        config=config,
        seed=options.seed,
        allow=options.allow,
        places=options.places,
        executor=_executor(options),
    )
    numbers = json.loads((manifest.parent / STATISTICS).read_text(encoding="utf-8"))
    print("\n" + "\n\n".join([*describe(read_manifest(manifest)), "\n".join(sentences(numbers))]))
    print(f"\nCorpus: {manifest}\nLook at it: {manifest.parent / 'contact_sheet.html'}")


@contextmanager
def _resumable() -> Iterator[None]:
    """Whoever ends the command is told that nothing is lost."""
    try:
        yield
    except (KeyboardInterrupt, Interruption) as end:
        number = end.status - 128 if isinstance(end, Interruption) else signal.SIGINT
        raise Interruption(number, "interrupted. The same command goes on where it was.") from end


def check_request(options: argparse.Namespace) -> None:
    """Raises UserError for names, files and folders that cannot be."""
    subjects: Sequence[SubjectRequest] = options.subjects or []
    if not subjects:
        raise UserError("a corpus needs somebody: give --subject NAME --reference CLIP.")
    names = [s.name for s in subjects]
    for name in names:
        check_name(name)
    folded = [n.casefold() for n in names]
    if twice := next((n for n in names if folded.count(n.casefold()) > 1), None):
        raise UserError(
            f"each subject is given once, with all references: {twice!r} is given "
            f"{folded.count(twice.casefold())} times. Put all files behind one --reference."
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
    if options.out is None:
        raise UserError("a corpus needs a folder: give --out DIR.")
    out = Path(options.out)
    if out.exists() and not out.is_dir():
        raise UserError(f"--out is a folder: {out} is a file.")


def load_recipe(configs: Sequence[str], overrides: Sequence[str]) -> "tuple[Recipe, str]":
    """The recipe of ``configs`` (later ones win; default: the laptop's) with ``overrides`` such as
    ``--faces=4``, and the resolved config. Raises UserError."""
    from pvchat.synthesis.pipeline.recipe import Recipe

    with _parsed(configs, overrides) as (parser, parsed):
        text = parser.dump(parsed, skip_none=False)
        built = parser.instantiate(parsed)
    values = {k: v for k, v in vars(built).items() if k != "config"}
    return Recipe(**values), text


def recipe_text(configs: Sequence[str], overrides: Sequence[str]) -> str:
    """The resolved config of ``load_recipe``; nothing is built. Raises UserError."""
    with _parsed(configs, overrides) as (parser, parsed):
        return str(parser.dump(parsed, skip_none=False))


@contextmanager
def _parsed(configs: Sequence[str], overrides: Sequence[str]) -> "Iterator[tuple[ArgumentParser, Namespace]]":
    """What is wrong with the recipe, inside as well, becomes a UserError."""
    from jsonargparse import ArgumentParser

    from pvchat.runs import experiment_file
    from pvchat.synthesis.pipeline.recipe import Recipe
    from pvchat.usage import explain, user_error

    parser = ArgumentParser(exit_on_error=False, parser_mode="omegaconf+")
    parser.add_argument("-c", "--config", action="config")
    parser.add_class_arguments(Recipe, None)
    # the default is an object, which no config can name
    parser.set_defaults(others={"class_path": "pvchat.synthesis.pipeline.package_people.PackagePeople"})
    files = [_config(name) for name in configs] or [str(experiment_file(DEFAULT))]
    try:
        yield parser, parser.parse_args([*(f"--config={f}" for f in files), *overrides])
    except Exception as error:  # what jsonargparse raises depends on where it notices
        ours = user_error(error)
        raise ours or UserError(explain(str(error), advice=_ADVICE)) from error


def _config(name: str) -> str:
    """``name`` from this folder, or one of the project's."""
    from pvchat.runs import experiment_file

    if Path(name).is_file():
        return name
    try:
        return str(experiment_file(name.removeprefix("experiments/")))
    except UserError as error:
        raise UserError(
            f"a config must be a file: {Path(name).absolute()} does not exist. The project's are "
            "synthesis/laptop.yaml and synthesis/paper.yaml."
        ) from error


def _executor(options: argparse.Namespace) -> "Executor":
    from pvchat.synthesis.executors import LocalExecutor, ProcessExecutor, RayExecutor

    if options.ray is not None:
        return RayExecutor(options.workers, options.ray or None)
    return LocalExecutor() if options.workers == 1 else ProcessExecutor(options.workers)


def _overrides(options: argparse.Namespace) -> list[str]:
    if not options.gallery:
        return list(options.more)
    return [  # first the class, so that more can be said about it
        "--others=pvchat.synthesis.pipeline.gallery_people.GalleryPeople",
        f"--others.init_args.folder={Path(options.gallery).absolute()}",
        *options.more,
    ]


def _in_places(recipe: "Recipe", folder: str) -> "Recipe":
    """``recipe`` with the user's own places where its studios show any."""
    parts = [
        replace(part, studio=move(folder)) if (move := getattr(part.studio, "in_places", None)) else part
        for part in recipe.parts
    ]
    return replace(recipe, parts=parts)
