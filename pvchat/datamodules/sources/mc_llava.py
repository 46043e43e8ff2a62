"""MC-LLaVA (An et al., 2024): film characters, alone and two to four together.

Below ``two_concept`` and ``three_concept``: ``concept/{train,test}/<concept>/0.png`` (and ``0_mask.png``),
``multi/<a>_<b>/0.png``; beside test photos ``choice.json``, ``vqa.json`` and ``qa.json``: photo -> ``Human``
and ``AI``, several in ``multi``, or a list of questions without photo; ``multi/<a>_<b>/position.json``: who
is where. ``random-images`` show none of them."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from pvchat.datamodules.manifest import QA, Record, Split
from pvchat.datamodules.sources.concepts import (
    ConceptSource,
    folders,
    read_json,
    read_object,
    text_of,
)
from pvchat.datamodules.sources.wording import choice, opened
from pvchat.errors import UserError
from pvchat.subjects import mention

CHOICE, ASKED, POSITION = "choice.json", ("choice.json", "vqa.json", "qa.json"), "position.json"
_OPTION = re.compile(r"(?:^|[\s(])([A-D])\s?[.):]\s*(.+?)[\s,;]*(?=$|[\s(][A-D]\s?[.):]\s)", re.S)


class MCLLaVA(ConceptSource):
    """The unpacked data set. A scenario is its concepts: give them as ``subjects``."""

    licence = "MIT as its README states; stills of films"

    def concepts(self) -> Iterable[str]:
        cases = [folder / "concept" / split for folder in folders(self.root) for split in ("train", "test")]
        return [folder.name for case in cases for folder in folders(case)]

    def read(self) -> list[Record]:
        records = [
            self.record(f"random-images/{path.name}", path, shown=(), split="train")
            for path in self.pictures(self.root / "random-images")
        ]
        for case in folders(self.root):
            for split in ("train", "test"):
                for folder in folders(case / "concept" / split):
                    records += self._shown(folder, (folder.name,), split)
            for folder in folders(case / "multi"):
                records += self._shown(folder, self._cast(folder), "test")
        self._check_scenarios()
        return records

    def _shown(self, folder: Path, cast: tuple[str, ...], split: Split) -> Iterator[Record]:
        """The photos of ``folder``; ``cast`` is on all of them, unless ``position.json`` says who is."""
        qa = self._questions(folder, cast)
        photos = [p.name for p in self.pictures(folder, known=(*ASKED, POSITION))]
        seen = self._positions(folder, cast)
        for name in dict.fromkeys([*(n for n in photos if "_mask." not in n), *qa]):
            path = folder / name
            key = path.relative_to(self.root).as_posix()
            yield self.record(key, path, shown=seen.get(name, cast), split=split, qa=qa.get(name, ()))

    def _cast(self, folder: Path) -> tuple[str, ...]:
        names = tuple(folder.name.split("_"))
        if unknown := [name for name in names if name not in self._concepts]:
            raise UserError(
                f"{folder}: a scenario is named after its concepts, as a_b: {unknown[0]!r} has no folder "
                f"below {folder.parent.parent / 'concept'}."
            )
        return names

    def _positions(self, folder: Path, cast: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
        """Who is on each photo: those who have a position."""
        file, found = folder / POSITION, {}
        for path, places in read_object(file).items() if file.is_file() else ():
            if not isinstance(places, dict) or not set(places) <= set(cast):
                raise UserError(
                    f"{file}, {path!r}: positions must be of {list(cast)}: got {str(places)[:60]!r}."
                )
            found[PurePosixPath(path).name] = tuple(n for n, place in places.items() if place is not None)
        return found

    def _questions(self, folder: Path, cast: tuple[str, ...]) -> dict[str, list[QA]]:
        found: dict[str, list[QA]] = {}
        for file in [folder / name for name in ASKED if (folder / name).is_file()]:
            data = read_json(file)
            if isinstance(data, list):
                for item in data:
                    self.leave_out("questions without a photo", str(item)[:60])
                continue
            if not isinstance(data, dict):
                raise UserError(f"{file} must hold an object or a list: got {str(data)[:40]!r}.")
            for path, items in data.items():
                where = f"{file}, {path!r}"
                some = items if isinstance(items, list) else [items]
                qa = [_question(item, cast, file.name == CHOICE, where) for item in some]
                found.setdefault(PurePosixPath(path).name, []).extend(qa)
        return found

    def _check_scenarios(self) -> None:
        file = self.root / "scenarios.json"
        there = {folder.name for case in folders(self.root) for folder in folders(case / "multi")}
        scenarios = read_json(file) if file.is_file() else []
        if not isinstance(scenarios, list) or not all(isinstance(name, str) for name in scenarios):
            raise UserError(f"{file} must hold a list of names: got {str(scenarios)[:40]!r}.")
        for name in scenarios:
            if name not in there:
                self.leave_out("scenarios of scenarios.json without a folder", name)


def _question(item: Any, cast: tuple[str, ...], is_choice: bool, where: str) -> QA:
    """Options that stand in the question are read off it; where they cannot be, it is asked for a letter."""
    question, answer = (text_of(item, key, where) for key in ("Human", "AI"))
    if len(cast) == 1:
        question, answer = (text.replace("<sks>", mention(cast[0])) for text in (question, answer))
    qa = opened(question, answer, cast)
    if not is_choice:
        return qa
    options = {match[1]: match[2] for match in _OPTION.finditer(question)}
    letter = answer.strip(" .()")
    if letter in options and len(options) > 1:
        start = next(_OPTION.finditer(question)).start()
        return choice(question[:start], list(options.values()), options[letter], qa.subjects, where)
    return QA(f"{question.strip()} Answer with a single letter.", letter, "general", None, qa.subjects)
