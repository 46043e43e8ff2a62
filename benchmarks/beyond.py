"""Beyond existence: does a model learn when real people are on screen, and who of two or three does what?

    PVCHAT_MEDIA=... python -m benchmarks.beyond

Three people are filmed by the studio in places, clothes and motions, strangers too; the test shows other
photos of the three and other strangers. ``pvchat data compose`` makes videos of these clips: three parts of
two seconds, and two or three people side by side. Beside the model stands the control without video.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.grid import Cell, run_grid
from benchmarks.people import TALKING, media
from pvchat.datamodules.manifest import Record, Split, read_manifest, write_manifest
from pvchat.datamodules.video import decode
from pvchat.datamodules.vocabulary import vocabulary
from pvchat.runs import PREDICTIONS
from pvchat.scoring.answers import read_predictions
from pvchat.scoring.score_page import screen
from pvchat.scoring.scorecard import score
from pvchat.synthesis.animation.animator import WarpAnimator
from pvchat.synthesis.composition import Composition, compose_corpus
from pvchat.synthesis.studio.actors import Actor
from pvchat.synthesis.studio.photo_studio import PhotoStudio
from pvchat.synthesis.writing import write_video

ROOT = Path(__file__).parents[1]
CONFIGS = tuple(ROOT / "experiments" / name for name in ("laptop.yaml", "composed.yaml", "bench/beyond.yaml"))
SUBJECTS = ("obama", "scarlett", "yangmi")
TRAIN_PHOTOS, TEST_PHOTOS = 2, 2
CLIPS: dict[Split, int] = {"train": 6, "test": 4}
"""Of each photo of a subject; of a stranger half as many."""
COMPOSITION = Composition(count=40, held_out=12, parts=3, seconds=(2.0, 2.0), people=(2, 3), existence=1)
FRAMES, FPS, SIZE_PX, PHOTO_PX = 8, 4, 224, 640


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "bench")
    options = parser.parse_args()
    corpora = options.out / "corpora"
    filmed, composed = (corpora / name / "manifest.jsonl" for name in ("beyond-clips", "beyond"))
    if not filmed.is_file():
        write_manifest(filmed, list(film(filmed.parent)))
    if not composed.is_file():
        compose_corpus(read_manifest(filmed), composed.parent, COMPOSITION)
    cells = [
        Cell({"seed": str(seed)}, CONFIGS, (f"--seed_everything={seed}",), composed)
        for seed in range(options.seeds)
    ]
    words = vocabulary(read_manifest(composed))
    for cell, metrics in run_grid(cells, options.out / "runs"):
        predictions = read_predictions(options.out / "runs" / cell.key / PREDICTIONS)
        about = {"run": str(cell.labels), "seconds": f"{metrics['seconds/fit']:.0f}"}
        print(screen(score(predictions, about=about, threshold=metrics["test/threshold"], vocabulary=words)))


def film(folder: Path) -> Iterator[Record]:
    """Clips of the subjects and of strangers, of either split from photos of its own."""
    studio = PhotoStudio(animator=WarpAnimator(), size_px=SIZE_PX, num_frames=FRAMES, fps=FPS)
    for half, split in enumerate(CLIPS):
        rng = np.random.default_rng([len(split), 6])
        scenes = studio.plan(rng, split)
        for actor in people(half):
            for _ in range(CLIPS[split] // (1 if actor.person in SUBJECTS else 2)):
                scene = studio.match(next(scenes), [actor])
                told, path = studio.tell(scene), folder / f"{split}-{actor.source_id}-{scene.seed:08x}.mp4"
                write_video(path, studio.shoot(actor, scene).frames, fps=FPS)
                yield _record(path, split, actor, told.background, told.clothes, told.motion)


def people(half: int) -> list[Actor]:
    """Who is filmed for training (0) and for the test (1)."""
    cast = []
    for name in SUBJECTS:
        files = sorted((media() / "photos" / name).iterdir())
        chosen = files[:TRAIN_PHOTOS] if half == 0 else files[TRAIN_PHOTOS:][:TEST_PHOTOS]
        cast += [_actor(name, file) for file in chosen]
    return cast + [_actor(name, media() / "talking" / f"{name}.mp4") for name in TALKING[half::2]]


def _actor(name: str, file: Path) -> Actor:
    image = Image.fromarray(decode(file, num_frames=1).frames[0])
    image.thumbnail((PHOTO_PX, PHOTO_PX))
    return Actor(name, f"{name}-{file.stem}", np.asarray(image))


def _record(
    path: Path, split: Split, actor: Actor, background: str | None, clothes: str | None, motion: str | None
) -> Record:
    presence = {name: name == actor.person for name in SUBJECTS}
    return Record(
        id=path.stem,
        path=path,
        presence=presence,
        source_id=actor.source_id,
        background=background,
        clothes=clothes,
        motion=motion,
        origin="warp" if any(presence.values()) else "negative",
        split=split,
        licence="not stated",
        consent="not stated",
    )


if __name__ == "__main__":
    main()
