"""A small corpus of two real people from installed packages, for configs that must run as they are."""

import hashlib
from pathlib import Path

import numpy as np
from filelock import FileLock

from pvchat.assets import cache_dir
from pvchat.datamodules.manifest import Record, read_manifest
from pvchat.faces import FaceAnalyzer
from pvchat.synthesis.builder import CorpusSettings, build_corpus
from pvchat.synthesis.identities import admiral, astronaut
from pvchat.synthesis.pipeline.takes import SplitSize
from pvchat.synthesis.questions import QuestionCounts
from pvchat.synthesis.reshaping import reshape, sample_genes

SUBJECT = "eileen"
SETTINGS = CorpusSettings(
    train=SplitSize(8),
    validation=SplitSize(3),
    test=SplitSize(4),
    questions=QuestionCounts(2, 1, 1),
    num_frames=4,
    size_px=160,
)


class DemoCorpus:
    """A source: Eileen Collins against Grace Hopper and faces reshaped from hers, in drawn scenes.

    Built once into the user's cache, without any download. One photo of each: it shows that everything runs,
    not that anybody is recognised."""

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed

    @property
    def subjects(self) -> tuple[str, ...]:
        return (SUBJECT,)

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(f"DemoCorpus {self.seed} {SETTINGS}".encode()).hexdigest()[:16]

    def records(self) -> list[Record]:
        """The clips, built first where they are not there yet."""
        folder = cache_dir() / "corpora" / f"demo-{self.fingerprint}"
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not folder.is_dir():
                self._build(folder)
        return read_manifest(folder / "manifest.jsonl")

    def _build(self, folder: Path) -> None:
        faces = FaceAnalyzer()
        eileen, grace = astronaut(faces), admiral(faces)
        rng = np.random.default_rng(self.seed)
        others = [reshape(grace, sample_genes(rng), person=f"grace {n}") for n in (1, 2)]
        build_corpus(
            subjects=[SUBJECT],
            positives={SUBJECT: {"train": [eileen], "validation": [eileen], "test": [eileen]}},
            negatives={"train": [grace], "validation": others[:1], "test": others[1:]},
            out=folder,
            seed=self.seed,
            settings=SETTINGS,
        )
