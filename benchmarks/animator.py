"""The default portrait animator: seconds a frame against an exact warp, recovered motion, identity.

    PVCHAT_MEDIA=... python -m benchmarks.animator

Both warps run in turn in one process, several times: ours (grids, interpolated) and the spline evaluated at
every pixel, on the astronaut at 512 px. Then people of PVCHAT_MEDIA nod, shake and tilt: the motion found in
the frames against the commanded one, and the distance of each frame's face to the photo against the nearest
other person.
"""

import argparse
import statistics
import time
from collections.abc import Mapping

import numpy as np
import torch
from PIL import Image
from skimage.data import astronaut

from benchmarks.people import media
from pvchat.datamodules.video import decode
from pvchat.faces import FaceAnalyzer, Vector
from pvchat.reporting.table import Cell, render_table
from pvchat.synthesis.animation.animator import WarpAnimator
from pvchat.synthesis.animation.face_mesh import turned
from pvchat.synthesis.animation.motion_library import POSE, Channel
from pvchat.synthesis.animation.thin_plate import exact_displacement
from pvchat.synthesis.roles import Frames

MOTIONS: dict[str, Channel] = {"nod": "pitch", "shake": "yaw", "tilt": "roll"}


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    animator = WarpAnimator()
    print(_speed(animator, options.repeats, options.frames), "", sep="\n")
    print(_likeness(animator, people(animator.faces)))


def _speed(animator: WarpAnimator, repeats: int, count: int) -> str:
    """Processor seconds a frame: they do not depend on what else the machine does."""
    photo = np.asarray(astronaut())
    warp = animator.prepare(photo).warp
    curves = animator.library.curves("shake", seed=1, num_frames=count, fps=12)
    spline, _ = warp.splines(curves)
    seconds: dict[str, list[float]] = {"whole": [], "field": [], "exact field": []}
    for repeat in range(-1, repeats):  # the first one warms up
        marks = [time.process_time()]
        animator.follow(photo, curves)
        marks.append(time.process_time())
        with torch.inference_mode():
            spline, landmarks = warp.splines(curves)
            warp.field(spline, landmarks)
            marks.append(time.process_time())
            exact_displacement(
                spline, warp.region, origin=torch.from_numpy(warp.centre), unit_px=warp.face.unit_px
            )
        marks.append(time.process_time())
        if repeat >= 0:
            for name, begun, ended in zip(seconds, marks, marks[1:], strict=False):
                seconds[name].append((ended - begun) / count)
    ratio = [exact / whole for exact, whole in zip(seconds["exact field"], seconds["whole"], strict=True)]
    rows: list[list[Cell]] = [[f"{name}, s a frame", _spread(values)] for name, values in seconds.items()]
    rows.append(["exact field over our whole frame", _spread(ratio)])
    return render_table(["astronaut, 512 px", "median (least to most)"], rows, style="markdown")


def people(faces: FaceAnalyzer) -> dict[str, tuple[Frames, Vector]]:
    """Photo and embedding of everybody with one clear face."""
    files = sorted((media() / "talking").glob("*.mp4"))
    files += [sorted(d.iterdir())[0] for d in sorted((media() / "photos").iterdir()) if d.is_dir()]
    files += [sorted(d.iterdir())[0] for d in sorted((media() / "tv").iterdir()) if d.is_dir()]
    people = {}
    for file in files:
        photo = _small(decode(file, num_frames=1).frames[0])
        found = faces.detect(photo[None])[0]
        if len(found) == 1:
            people[f"{file.parent.name} {file.stem}"] = (photo, faces.embed(photo, found[0]))
    return people


def _small(photo: Frames) -> Frames:
    image = Image.fromarray(photo)
    image.thumbnail((640, 640))
    return np.asarray(image)


def _likeness(animator: WarpAnimator, people: Mapping[str, tuple[Frames, Vector]]) -> str:
    rows: list[list[Cell]] = []
    for name, (photo, own) in people.items():
        others = [v for n, (_, v) in people.items() if n != name]
        nearest = min(float(np.linalg.norm(own - v)) for v in others)
        row: list[Cell] = [name]
        distances: list[float] = []
        for motion, channel in MOTIONS.items():
            made = animator.animate(photo, motion, seed=1, num_frames=12, fps=8)
            chosen = animator.faces.detect(photo[None])[0][0]
            rest = animator.prepare(photo).face.rest
            found = turned(animator.mesh.locate(made.frames, chosen)[0], rest)[:, POSE.index(channel)]
            commanded = made.curves[channel]
            row.append(f"{np.corrcoef(found, commanded)[0, 1]:.3f}, {np.polyfit(commanded, found, 1)[0]:.2f}")
            for frame in made.frames[::3]:
                shown = animator.faces.detect(frame[None])[0]
                if shown:
                    distances.append(float(np.linalg.norm(animator.faces.embed(frame, shown[0]) - own)))
        rows.append([*row, f"{np.mean(distances):.2f}, {max(distances):.2f}", f"{nearest:.2f}"])
    header = ["person", *(f"{m}: r, gain" for m in MOTIONS), "distance: mean, max", "nearest other"]
    return render_table(header, rows, style="markdown")


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


if __name__ == "__main__":
    main()
