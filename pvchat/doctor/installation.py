"""What a training on any machine needs: packages, video, faces, a cache, a step that learns."""

import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib.metadata import PackageNotFoundError, requires, version
from io import StringIO
from math import isfinite
from pathlib import Path

import torch
from packaging.requirements import Requirement

from pvchat.assets import cache_dir, list_assets

Check = Callable[[], str]
"""Returns what was found; raises AssertionError, or what broke, when it is not well."""


def packages() -> str:
    """Every requirement of pvchat is installed in a version it allows."""
    wrong, count = [], 0
    for line in requires("pvchat") or ():
        need = Requirement(line)
        if need.marker is not None and not need.marker.evaluate({"extra": ""}):
            continue
        count += 1
        try:
            found = version(need.name)
        except PackageNotFoundError:
            wrong.append(f"{need.name} is missing")
            continue
        if not need.specifier.contains(found, prereleases=True):
            wrong.append(f"{need.name} {found} is not {need.specifier}")
    assert not wrong, f"{'; '.join(wrong)}. Install again with -c requirements.lock"
    return f"{count} as required, Python {sys.version.split()[0]}, torch {torch.__version__}"


def torchvision() -> str:
    """torch and torchvision are of one build: operators of one are found by the other."""
    import torchvision  # type: ignore[import-untyped]

    boxes = torch.tensor([[0, 0, 10, 10], [0, 0, 10, 11], [20, 20, 30, 30.0]])
    kept = torchvision.ops.nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5).tolist()
    assert kept == [0, 2], f"nms keeps {kept}. Install torch and torchvision from one index"
    return str(torchvision.__version__)


def video() -> str:
    """A video that is written here is read as it was."""
    import numpy as np

    from pvchat.datamodules.video import decode, sample_indices
    from pvchat.synthesis.writing import write_video

    shades = list(range(20, 220, 20))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shades.mp4"
        write_video(path, np.stack([np.full((64, 64, 3), s, np.uint8) for s in shades]))
        clip = decode(path, num_frames=4)
    found = [float(frame.mean()) for frame in clip.frames]
    written = [shades[i] for i in sample_indices(len(shades), 4)]
    assert np.allclose(found, written, atol=8), f"brightness {found}, not {written}. Install av again"
    try:
        return f"PyAV {version('av')}, decord {version('decord')}"
    except PackageNotFoundError:
        return f"PyAV {version('av')} alone: decord has no wheel here"


def faces() -> str:
    """One face is found in a photo that comes with a package."""
    from skimage.data import astronaut

    from pvchat.faces import FaceAnalyzer

    (found,) = FaceAnalyzer().detect(astronaut()[None])  # type: ignore[no-untyped-call]
    assert len(found) == 1, f"{len(found)} faces in a portrait. Install facenet-pytorch again"
    return f"MTCNN, probability {found[0].probability:.3f}"


def cache() -> str:
    """The user's cache can be written; which pretrained parts are there."""
    root = cache_dir()
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=root):
        free = shutil.disk_usage(root).free / 1e9
    rows = list_assets()
    ready = sum(row.status == "ready" for row in rows)
    missing = "" if ready == len(rows) else "; pvchat assets prefetch fetches the rest"
    return f"{root}, {free:.0f} GB free, {ready} of {len(rows)} pretrained parts ready{missing}"


def training() -> str:
    """A step of the debug experiment, loss and gradients finite."""
    from pvchat.lightning_cli import run
    from pvchat.runs import experiment_file

    with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()):
        cli = run(
            [
                "fit",
                f"--config={experiment_file('debug.yaml')}",
                f"--runs={folder}",
                "--trainer.fast_dev_run=true",
                "--trainer.enable_progress_bar=false",
            ]
        )
        loss = float(cli.trainer.callback_metrics["train/loss"])
        values = cli.model.trainable_state().values()
    assert isfinite(loss), f"the loss is {loss}"
    assert all(bool(v.isfinite().all()) for v in values), "weights are not finite after a step"
    return f"one step of experiments/debug.yaml on {cli.trainer.strategy.root_device}, loss {loss:.2f}"


CHECKS: dict[str, Check] = {
    "packages": packages,
    "torchvision": torchvision,
    "video": video,
    "faces": faces,
    "cache": cache,
    "training": training,
}
