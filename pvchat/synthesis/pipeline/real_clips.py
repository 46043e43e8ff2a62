"""Real footage of a corpus: the references, and others as they were filmed beside them."""

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pvchat.datamodules.manifest import Record, Split
from pvchat.datamodules.video import clip_times, content_hash, is_photo
from pvchat.synthesis.pipeline.casts import TRAIN_UNTIL, VALIDATION_UNTIL, split_at
from pvchat.synthesis.pipeline.finishing import Corpus
from pvchat.synthesis.pipeline.folder import RAW
from pvchat.synthesis.pipeline.known_subjects import Known, position
from pvchat.synthesis.pipeline.others import Others
from pvchat.synthesis.pipeline.recipe import Recipe
from pvchat.synthesis.pipeline.takes import Cast
from pvchat.synthesis.pipeline.witnessing import captioned
from pvchat.synthesis.studio.actors import Actor
from pvchat.synthesis.writing import whole


def add_references(recipe: Recipe, known: Sequence[Known], corpus: Corpus, out: Path) -> None:
    """The references themselves: to train on, and to test on the part that training does not show."""
    shown: dict[str, set[str]] = {}
    for k in known:
        for file in k.files:
            shown.setdefault(content_hash(file), set()).add(k.request.name)
    done: set[str] = set()
    for k in known:
        for number, file in enumerate(k.files):
            content = content_hash(file)
            ranges = [] if content in done else list(_ranges(recipe, file, k.files))
            done.add(content)
            for split, start, end in ranges:
                record = Record(
                    id=f"{split}-{k.request.name}-{number:02d}",
                    path=_kept_copy(file, out / RAW / f"{content[:12]}{file.suffix.lower()}"),
                    start_s=start,
                    end_s=end,
                    presence={o.request.name: o.request.name in shown[content] for o in known},
                    source_id=f"{file.name}@{0 if start is None else start:.1f}s",
                    origin="real",
                    split=split,
                    licence=k.request.licence,
                    consent=k.request.consent,
                )
                corpus.records.append(record)
                witness = captioned(recipe, record)
                if witness is not None and len(shown[content]) == 1:
                    corpus.witnesses[record.id] = {k.request.name: witness}


def add_real_negatives(others: Others, casts: Mapping[Split, Cast[Actor]], corpus: Corpus, out: Path) -> None:
    """For each reference somebody else as they were filmed or photographed, as long as there are any."""
    real = Counter(record.split for record in corpus.records if record.origin == "real")
    pairs: tuple[tuple[Split, Split], ...] = (("train", "reference"), ("test", "test"))
    for split, shown in pairs:
        there = casts[split].strangers if split in casts else ()
        people = {a.person: a for a in there if a.person in others.originals}
        for n, actor in enumerate(list(people.values())[: real[shown]]):
            file = others.originals[actor.person]
            corpus.records.append(
                Record(
                    id=f"{split}-other-{n:02d}",
                    path=_kept_copy(file, out / RAW / f"{content_hash(file)[:12]}{file.suffix.lower()}"),
                    presence=dict.fromkeys(corpus.subjects, False),
                    source_id=actor.source_id,
                    origin="negative",
                    split=split,
                    licence=actor.licence,
                    consent=actor.consent,
                )
            )


def _ranges(
    recipe: Recipe, file: Path, files: Sequence[Path]
) -> Iterator[tuple[Split, float | None, float | None]]:
    """Split and seconds of each part of a reference that is in the corpus."""
    if recipe.references == "whole" or (recipe.references == "split" and len(files) == 1 and _is_still(file)):
        yield "reference", None, None
    elif recipe.references == "split" and len(files) > 1:
        split = split_at(position(file, 0.0, files))
        if split != "validation":
            yield ("reference" if split == "train" else split), None, None
    elif recipe.references == "split":
        seconds = float(clip_times(file)[-1])
        yield "reference", 0.0, TRAIN_UNTIL * seconds
        yield "test", VALIDATION_UNTIL * seconds, None


def _is_still(file: Path) -> bool:
    """A photo, or a clip of one frame: nothing in it can be kept for the test."""
    return is_photo(file) or len(clip_times(file)) < 2


def _kept_copy(file: Path, path: Path) -> Path:
    """A copy of ``file`` as ``path``, made once."""
    if not path.is_file():
        with whole(path) as temporary:
            shutil.copyfile(file, temporary)
    return path
