"""The released PVChat corpus as it is downloaded: a zip file, or the folder it was unpacked into."""

import hashlib
import shutil
import zlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile

from filelock import FileLock

from pvchat.assets import cache_dir as user_cache
from pvchat.datamodules.manifest import Record
from pvchat.datamodules.sources.concepts import folders
from pvchat.datamodules.sources.pvchat_json import PVChatJSON
from pvchat.errors import UserError, writing


class PVChatRelease:
    """``PVChatJSON`` with clips and JSON out of ``path``. ``train``, ``validation``, ``test``: names of files
    that are looked for in it. ``root``: where the clips are, relative to ``path`` (default: ``path`` itself
    or the folder in it that has most of them). A zip file is unpacked below ``cache_dir`` (default:
    ``releases`` in the user cache) on first use, once for all runs and processes."""

    def __init__(
        self,
        *,
        path: str | Path,
        subjects: str | Sequence[str],
        train: str | None = "train_all_video.json",
        validation: str | None = None,
        test: str | None = "test_all_video.json",
        root: str | None = None,
        aliases: Mapping[str, str] | None = None,
        cache_dir: str | Path | None = None,
    ) -> None:
        self.path, self._subjects, self.root, self.aliases = Path(path), subjects, root, aliases
        self.files = {"train": train, "validation": validation, "test": test}
        self.cache_dir = Path(cache_dir) if cache_dir else user_cache() / "releases"

    @property
    def subjects(self) -> tuple[str, ...]:
        return self._source.subjects

    @property
    def fingerprint(self) -> str:
        return self._source.fingerprint

    def records(self) -> list[Record]:
        return self._source.records()

    @cached_property
    def _source(self) -> PVChatJSON:
        folder = self.path if self.path.is_dir() else self._unpacked()
        files = {split: self._find(folder, name) for split, name in self.files.items() if name is not None}
        roots = [folder, *folders(folder)] if self.root is None else [folder / self.root]
        sources = [
            PVChatJSON(subjects=self._subjects, root=root, aliases=self.aliases, **files) for root in roots
        ]
        return max(sources, key=lambda source: sum(r.path.is_file() for r in source.records()))

    def _find(self, folder: Path, name: str) -> Path:
        found = sorted(p for p in folder.rglob(name) if p.is_file() and "__MACOSX" not in p.parts)
        if len(found) != 1:
            have = [p.relative_to(folder).as_posix() for p in found or sorted(folder.rglob("*.json"))]
            raise UserError(
                f"{self.path} must hold one file {name}: got {len(found)}. Name another with train, "
                f"validation or test (null for none); it has {have[:5]}."
            )
        return found[0]

    def _unpacked(self) -> Path:
        """The folder with all files of the zip file, whole."""
        try:
            with ZipFile(self.path) as archive:
                listing = [(i.filename, i.CRC, i.file_size) for i in archive.infolist()]
                folder = self.cache_dir / hashlib.sha256(repr(listing).encode()).hexdigest()[:16]
                with writing(self.cache_dir):
                    self.cache_dir.mkdir(parents=True, exist_ok=True)
                    with FileLock(folder.with_suffix(".lock")):
                        if not folder.is_dir():
                            self._unpack(archive, folder.with_suffix(".partial"))
                            folder.with_suffix(".partial").rename(folder)
                return folder
        except FileNotFoundError as error:
            raise UserError(
                f"path must be the released zip file or its folder: {self.path} does not exist."
            ) from error
        except RuntimeError as error:  # a password, or a compression that Python lacks
            raise UserError(
                f"{self.path} cannot be unpacked: {error}. Unpack it and give the folder."
            ) from error
        except (BadZipFile, zlib.error, EOFError) as error:
            raise UserError(f"{self.path} is no whole zip file: {error}. Download it again.") from error

    def _unpack(self, archive: ZipFile, partial: Path) -> None:
        shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
        for name in archive.namelist():
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise UserError(f"{self.path} names {name!r}, a file outside of it. Download it again.")
        archive.extractall(partial)
