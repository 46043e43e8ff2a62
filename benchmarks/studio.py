"""The default studio: recovered motion, identity, colour of clothes, seconds a frame.

    PVCHAT_MEDIA=... python -m benchmarks.studio [--prototype FOLDER]

People of PVCHAT_MEDIA are filmed as ``pvchat synthesize`` films them. The motion found in the frames is held
against the commanded one, the face of each frame against its photo and the nearest other person, the colour
of the chest against the words of the wardrobe. ``FOLDER`` holds another ``portrait_animator.py`` to be timed
in the same run, in turn with the studio.
"""

import argparse
import importlib
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from skimage.color import rgb2lab
from skimage.data import astronaut

from benchmarks.animator import MOTIONS, people
from pvchat.faces import FaceAnalyzer, Vector
from pvchat.reporting.table import Cell, render_table
from pvchat.synthesis.animation.animator import WarpAnimator
from pvchat.synthesis.animation.face_mesh import turned
from pvchat.synthesis.animation.motion_library import POSE
from pvchat.synthesis.roles import Frames
from pvchat.synthesis.studio.actors import Actor
from pvchat.synthesis.studio.photo_studio import PhotoStudio
from pvchat.synthesis.studio.scenes import Scene
from pvchat.synthesis.wardrobe import COLOURS, Clothes

PLACES = ("stage", "snow", "forest", "kitchen")


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--prototype", help="folder of a portrait_animator.py")
    parser.add_argument("--people", type=int, help="how many of PVCHAT_MEDIA (default: all)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    animator = WarpAnimator()
    print(_speed(animator, options.repeats, options.prototype), "", sep="\n", flush=True)
    studio = PhotoStudio(animator=animator, num_frames=12)
    known = people(animator.faces)
    chosen = dict(list(known.items())[: options.people])
    actors = {name: Actor(name, name, photo) for name, (photo, _) in chosen.items()}
    print(
        _likeness(studio, animator, actors, {n: v for n, (_, v) in known.items()}), "", sep="\n", flush=True
    )
    print(_colours(studio, list(actors.values())))


def _speed(animator: WarpAnimator, repeats: int, prototype: str | None, count: int = 16) -> str:
    """Processor seconds a frame, photo prepared before: they do not depend on what else the machine does."""
    actor = Actor("astronaut", "astronaut", np.asarray(astronaut()))
    makers: dict[str, Callable[[], Any]] = {}
    for size_px in (256, 512):
        studio = PhotoStudio(animator=animator, size_px=size_px, num_frames=count)
        makers[f"studio, {size_px} px"] = _shooting(studio, actor)
    makers["animator alone, 512 px"] = lambda: animator.animate(
        actor.photo, "shake", seed=1, num_frames=count, fps=8
    )
    if prototype:
        portrait = _prototype(prototype, animator).prepare(actor.photo)
        makers["prototype, 512 px"] = lambda: list(portrait.animate("shake", n=count))
    seconds: dict[str, list[float]] = {name: [] for name in makers}
    for repeat in range(-1, repeats):  # the first one warms up
        for name, make in makers.items():
            begun = time.process_time()
            make()
            if repeat >= 0:
                seconds[name].append((time.process_time() - begun) / count)
    rows: list[list[Cell]] = [
        [name, f"{statistics.median(s):.3f} ({min(s):.3f} to {max(s):.3f})"] for name, s in seconds.items()
    ]
    return render_table(["s a frame", "median (least to most)"], rows, style="markdown")


def _prototype(folder: str, animator: WarpAnimator) -> Any:
    """Its animator, with stand-ins for what it needs to take a photo apart."""
    sys.path.insert(0, folder)
    sys.modules["facemesh"] = ModuleType("facemesh")
    sys.modules["facemesh"].FaceMesh = _Found  # type: ignore[attr-defined]
    module = importlib.import_module("portrait_animator")
    if not hasattr(module.cv2, "ximgproc"):  # part of opencv-contrib
        module.cv2.ximgproc = SimpleNamespace(guidedFilter=lambda photo, matte, *_: matte)
    return module.PortraitAnimator(_Found(animator))


class _Found:
    """What the prototype gets told about a photo: only its frames are timed."""

    def __init__(self, animator: WarpAnimator) -> None:
        self.animator = animator

    def detect(self, photo: Frames) -> list[dict[str, Any]]:
        return [{"box": np.array([0, 0, 1, 1])}]

    def mesh(self, photo: Frames, found: object) -> tuple[Any, float]:
        return self.animator.prepare(photo).face.rest.copy(), 1.0

    def matte(self, photo: Frames) -> Any:
        return self.animator.prepare(photo).layers.alpha[0].numpy().copy()


def _shooting(studio: PhotoStudio, actor: Actor) -> Callable[[], Any]:
    scene = studio.match(Scene("beach", Clothes("red", "t-shirt"), "shake", "pan", seed=1), [actor])
    return lambda: studio.shoot(actor, scene)


def _likeness(
    studio: PhotoStudio, animator: WarpAnimator, actors: Mapping[str, Actor], looks: Mapping[str, Vector]
) -> str:
    rows: list[list[Cell]] = []
    for name, actor in actors.items():
        nearest = min(float(np.linalg.norm(looks[name] - v)) for n, v in looks.items() if n != name)
        row: list[Cell] = [name]
        away: list[float] = []
        for motion, channel in MOTIONS.items():
            scene = studio.match(Scene("beach", Clothes("red", "t-shirt"), motion, "still", seed=1), [actor])
            frames = studio.shoot(actor, scene).frames
            chosen = max(animator.faces.detect(frames[:1])[0], key=lambda f: f.area, default=None)
            if chosen is None:
                row.append("no face")
                continue
            marks = animator.mesh.locate(frames, chosen)[0]
            found = turned(marks, marks[0])[:, POSE.index(channel)]
            commanded = animator.library.curves(motion, seed=1, num_frames=12, fps=8)[channel]
            row.append(f"{np.corrcoef(found, commanded)[0, 1]:.3f}")
            away += _away(animator.faces, frames[::3], looks[name])
        rows.append([*row, f"{np.mean(away):.2f}, {max(away):.2f}", f"{nearest:.2f}"])
    header = ["person", *(f"{m}: r" for m in MOTIONS), "distance: mean, max", "nearest other"]
    return render_table(header, rows, style="markdown")


def _away(faces: FaceAnalyzer, frames: Frames, own: Vector) -> list[float]:
    found = [max(f, key=lambda g: g.area, default=None) for f in faces.detect(frames)]
    return [
        float(np.linalg.norm(faces.embed(frame, face) - own))
        for frame, face in zip(frames, found, strict=True)
        if face is not None
    ]


def _colours(studio: PhotoStudio, actors: Sequence[Actor]) -> str:
    """How often the chest has the commanded colour over ``PLACES``, and its largest chroma (Lab)."""
    names = rgb2lab(np.array(list(COLOURS.values()), np.uint8)[None])[0]
    rows: list[list[Cell]] = []
    for number, colour in enumerate(COLOURS):
        right, tint = [], []
        for turn, place in enumerate(PLACES):
            actor = actors[(number + turn) % len(actors)]
            scene = Scene(place, Clothes(colour, "t-shirt"), "still", "still", seed=10 * number + turn)
            scene = studio.match(scene, [actor])
            assert scene.treatment is not None
            at, frame = scene.treatment.framing, studio.shoot(actor, scene).frames[0]
            size = len(frame)
            rows_px, reach = round(size * (at.y + 3.3 * at.unit)), at.unit
            chest = frame[rows_px:, round(size * (at.x - reach)) : round(size * (at.x + reach))]
            lab = rgb2lab(np.median(chest.reshape(-1, 3), axis=0)[None, None] / 255)[0, 0]
            right.append(list(COLOURS)[np.linalg.norm(names - lab, axis=1).argmin()] == colour)
            tint.append(float(np.hypot(*lab[1:])))
        rows.append([colour, f"{sum(right)} of {len(right)}", f"{max(tint):.1f}"])
    return render_table(["clothes", "measured back", "most chroma"], rows, style="markdown")


if __name__ == "__main__":
    main()
