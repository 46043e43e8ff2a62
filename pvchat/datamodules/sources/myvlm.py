"""MyVLM (Alaluf et al., ECCV 2024): photos of named things or persons with captions.

``<concept>/*.jpg`` with ``captions.json``, or ``captions_augmented.json``, which is preferred as there:
photo -> captions; ``additional_llava_vqa_data.json`` if it was made: photo -> questions with answers."""

import random
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from pvchat.datamodules.manifest import QA, Record
from pvchat.datamodules.sources.concepts import ConceptSource, folders, natural, read_object
from pvchat.datamodules.sources.wording import named, opened
from pvchat.errors import UserError
from pvchat.subjects import mention

CAPTIONS, AUGMENTED, VQA = "captions.json", "captions_augmented.json", "additional_llava_vqa_data.json"


class MyVLM(ConceptSource):
    """The folder of the concepts. The data set has no splits: as in its paper ``num_train`` photos of each
    concept, drawn by ``seed``, are trained on and the others are for testing."""

    licence = "non-commercial, see its LICENSE"

    def __init__(
        self, *, root: str | Path, subjects: list[str] | None = None, num_train: int = 4, seed: int = 0
    ) -> None:
        super().__init__(root=root, subjects=subjects)
        if num_train < 1:
            raise UserError(f"num_train must be >= 1: got {num_train}.")
        self.num_train, self.seed = num_train, seed

    def concepts(self) -> Iterable[str]:
        return [folder.name for folder in folders(self.root)]

    def read(self) -> list[Record]:
        return [record for folder in folders(self.root) for record in self._concept(folder)]

    def _concept(self, folder: Path) -> list[Record]:
        qa = self._questions(folder)
        files = {p.name for p in self.pictures(folder, known=(CAPTIONS, AUGMENTED, VQA))}
        photos = sorted(files | set(qa), key=natural)
        drawn = random.Random(f"{self.seed} {folder.name}").sample(photos, min(self.num_train, len(photos)))
        return [
            self.record(
                f"{folder.name}/{photo}",
                folder / photo,
                shown=(folder.name,),
                split="train" if photo in drawn else "test",
                qa=qa.get(photo, ()),
            )
            for photo in photos
        ]

    def _questions(self, folder: Path) -> dict[str, list[QA]]:
        """Captions and questions by name of the photo; the file has paths of its author's machine."""
        found: dict[str, list[QA]] = {}
        captions = next((folder / n for n in (AUGMENTED, CAPTIONS) if (folder / n).is_file()), None)
        if captions is None:
            self.leave_out("concepts without captions", folder.name)
        for file in (captions, folder / VQA):
            for path, items in read_object(file).items() if file is not None and file.is_file() else ():
                where = f"{file}, {path!r}"
                if not isinstance(items, list):
                    raise UserError(f"{where}: a photo must have a list: got {str(items)[:40]!r}.")
                photo = PurePosixPath(path.replace("\\", "/")).name
                pairs = [self._pair(item, folder.name, file is captions, where) for item in items]
                found.setdefault(photo, []).extend(opened(q, a, [folder.name]) for q, a in pairs)
        return found

    def _pair(self, item: Any, concept: str, is_caption: bool, where: str) -> tuple[str, str]:
        pair = [f"Please caption this photo of {mention(concept)}.", item] if is_caption else item
        if (
            not isinstance(pair, list)
            or len(pair) != 2
            or not all(isinstance(t, str) and t.strip() for t in pair)
        ):
            what = "a caption must be a text" if is_caption else "an item must be a question and its answer"
            raise UserError(f"{where}: {what}: got {str(item)[:40]!r}.")
        question, answer = (named(text, concept) for text in pair)
        return question, answer
