"""Yo'LLaVA (Nguyen et al., NeurIPS 2024): photos of 40 persons, pets and things.

``train/<concept>/0.png``, ``test/<concept>/0.png`` and ``yollava-visual-qa.json``: concept -> path of a photo
-> question with options. ``train/<concept>/negative_example/`` has look-alikes, if they were downloaded."""

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from pvchat.datamodules.manifest import QA, Record, Split
from pvchat.datamodules.sources.concepts import ConceptSource, folders, read_object, text_of
from pvchat.datamodules.sources.wording import choice
from pvchat.errors import UserError
from pvchat.subjects import mention

QUESTIONS, LOOKALIKES = "yollava-visual-qa.json", "negative_example"
_SPLITS: tuple[Split, ...] = ("train", "test")


class YoLLaVA(ConceptSource):
    """The folder ``yollava-data``. Look-alikes are asked about their own concept alone."""

    def concepts(self) -> Iterable[str]:
        return [folder.name for split in _SPLITS for folder in folders(self.root / split)]

    def read(self) -> list[Record]:
        questions = self._questions()
        records = []
        for split in _SPLITS:
            for name in self._concepts:
                folder = self.root / split / name
                there = [p.relative_to(self.root).as_posix() for p in self.pictures(folder)]
                asked = [key for key in questions if key.startswith(f"{split}/{name}/")]
                records += [
                    self.record(key, self.root / key, shown=(name,), split=split, qa=questions.get(key, ()))
                    for key in dict.fromkeys([*there, *asked])
                ]
                if split == "train" and name in self.subjects:
                    records += self._lookalikes(folder)
        return records

    def _lookalikes(self, folder: Path) -> Iterator[Record]:
        for path in self.pictures(folder / LOOKALIKES, known=("scores.json",)):
            key = path.relative_to(self.root).as_posix()
            yield self.record(key, path, shown=(), split="train", asked=(folder.name,))

    def _questions(self) -> dict[str, list[QA]]:
        """Questions by photo, as ``test/bo/0.png``."""
        file = self.root / QUESTIONS
        if not file.is_file():
            self.leave_out("files of questions that are missing", QUESTIONS)
            return {}
        found: dict[str, list[QA]] = {}
        for concept, photos in read_object(file).items():
            if not isinstance(photos, dict) or concept not in self._concepts:
                raise UserError(
                    f"{file}, {concept!r}: a concept with a folder must hold its photos: got "
                    f"{str(photos)[:40]!r}, folders of {len(self._concepts)} others."
                )
            for path, item in photos.items():
                key = "/".join(PurePosixPath(path).parts[-3:])
                if key.split("/")[:-1] not in [[split, concept] for split in _SPLITS]:
                    raise UserError(
                        f"{file}, {concept!r}: a photo is train or test, {concept}, file: got {path!r}."
                    )
                found.setdefault(key, []).append(_question(item, concept, f"{file}, {path!r}"))
        return found


def _question(item: Any, concept: str, where: str) -> QA:
    question = text_of(item, "question", where).replace("<sks>", mention(concept))
    options, letter = item.get("options"), text_of(item, "correct_answer", where)
    if not isinstance(options, dict) or letter not in options:
        raise UserError(f"{where}: options must hold correct_answer {letter!r}: got {str(options)[:60]!r}.")
    texts = {key: text_of(options, key, f"{where}, options") for key in options}
    return choice(question, list(texts.values()), texts[letter], [concept], where)
